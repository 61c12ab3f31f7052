"""Probabilities at other frequencies of the classes, by hand and against a known distribution."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import norm

from napari_attmil.bags.attribution import WhatIf
from napari_attmil.bags.certainty import Certainty, calibrate
from napari_attmil.bags.classifier import Classifier, new_model
from napari_attmil.bags.prediction import Prediction
from napari_attmil.bags.prior import checked_prior, log_posterior, posterior, shares_in_words
from napari_attmil.cells.settings import FeatureSettings
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.core.device import Device

EQUAL = {"healthy": 0.5, "sickle": 0.5}
RARE = {"healthy": 0.95, "sickle": 0.05}
SAID = Prediction(
    "s",
    ("healthy", "sickle"),
    np.array([0.15, 0.85], np.float32),
    np.array([1]),
    np.array([1.0], np.float32),
    np.zeros((1, 2), np.float32),
    np.array([[0.02, 0.98], [0.5, 0.5]], np.float32),
    ("sickle",),
    0.9,
    "A note.",
    held_out=np.array([0.2, 0.8]),
    assumed=EQUAL,
    holds_by_class=True,
)


@pytest.mark.parametrize(
    ("shares", "prior", "assumed", "expected"),
    [
        # 0.5 x 0.8 : 0.3 x 0.1 : 0.2 x 0.1 = 40 : 3 : 2
        ((0.5, 0.3, 0.2), (0.8, 0.1, 0.1), (1 / 3, 1 / 3, 1 / 3), (40 / 45, 3 / 45, 2 / 45)),
        # 0.6 x 0.5 / 0.75 : 0.4 x 0.5 / 0.25 = 0.4 : 0.8
        ((0.6, 0.4), (0.5, 0.5), (0.75, 0.25), (1 / 3, 2 / 3)),
        ((0.6, 0.3, 0.1), (0.5, 0.5, 0), (1 / 3, 1 / 3, 1 / 3), (2 / 3, 1 / 3, 0)),
        ((0.6, 0.4), (0.75, 0.25), (0.75, 0.25), (0.6, 0.4)),
        ((1.0, 0.0, 0.0), (0, 0.25, 0.75), (1 / 3, 1 / 3, 1 / 3), (0, 0.25, 0.75)),
    ],
)
def test_probabilities_follow_the_frequencies_as_by_hand(
    shares: Any, prior: Any, assumed: Any, expected: Any
) -> None:
    named = [dict(zip("abc", values, strict=False)) for values in (prior, assumed)]
    np.testing.assert_allclose(posterior(shares, *named), expected, atol=1e-12)
    if min(shares) > 0:
        found = np.exp(log_posterior(np.log([shares, shares]), *named))
        np.testing.assert_allclose(found, [expected, expected], atol=1e-12)


def test_frequencies_may_be_counts_in_any_order() -> None:
    found = checked_prior({"sickle": 50, "healthy": 950}, ("healthy", "sickle"))
    assert list(found.items()) == [("healthy", 0.95), ("sickle", 0.05)]
    huge = checked_prior({"healthy": 1e308, "sickle": 1e308}, ("healthy", "sickle"))
    assert huge == EQUAL


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"healthy": 1}, "given for healthy, but the classes are healthy, sickle; give each"),
        ({"healthy": 1, "sickle": 1, "x": 1}, "given for healthy, sickle, x, but the classes"),
        ({}, "given for no class, but"),
        ({"healthy": -1, "sickle": 1}, "frequency of healthy is -1; give a number of 0 or more"),
        ({"healthy": 1, "sickle": float("nan")}, "frequency of sickle is nan; give a number"),
        ({"healthy": float("inf"), "sickle": 1}, "frequency of healthy is inf; give a number"),
        ({"healthy": 0, "sickle": 0}, "Fewer than two classes have a frequency above 0"),
        ({"healthy": 1, "sickle": 0}, "Fewer than two classes .* give each class that may occur"),
    ],
)
def test_frequencies_that_cannot_be_are_refused(given: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        checked_prior(given, ("healthy", "sickle"))


def test_small_shares_keep_their_digits() -> None:
    shares = {"a": 0.99956, "b": 0.00044}
    assert shares_in_words(shares) == "a 99.96%, b 0.044%"


def test_a_prediction_follows_and_comes_back() -> None:
    found = SAID.with_prior(RARE)
    # 0.15 x 0.95 : 0.85 x 0.05 = 0.1425 : 0.0425
    np.testing.assert_allclose(found.probabilities, [0.1425 / 0.185, 0.0425 / 0.185], rtol=1e-6)
    # 0.02 x 0.95 : 0.98 x 0.05 = 0.019 : 0.049, so one of two models still says sickle
    np.testing.assert_allclose(
        found.member_probabilities, [[0.019 / 0.068, 0.049 / 0.068], [0.95, 0.05]], rtol=1e-6
    )
    assert (found.predicted, found.agreeing, SAID.predicted, SAID.agreeing) == (
        *("healthy", 1),
        *("sickle", 1),
    )
    assert found.held_out is not None
    np.testing.assert_allclose(found.held_out, [0.19 / 0.23, 0.04 / 0.23])
    assert found.frequencies_in_words() == (
        "Classes are taken to be as frequent as given: healthy 95%, sickle 5%."
    )
    assert SAID.frequencies_in_words() == "All classes are taken to be equally frequent."
    assert found.with_prior(None) is SAID
    again = found.with_prior({"healthy": 1, "sickle": 1})
    np.testing.assert_allclose(again.probabilities, SAID.probabilities, rtol=1e-6)


def test_a_class_that_becomes_most_probable_is_not_ruled_out() -> None:
    found = SAID.with_prior(RARE)
    assert found.prediction_set == ("healthy", "sickle") and found.abstains
    assert SAID.with_prior({"healthy": 6, "sickle": 4}).prediction_set == ("sickle",)


def test_a_class_that_does_not_occur_is_in_no_set() -> None:
    three = replace(
        SAID,
        classes=("a", "b", "c"),
        probabilities=np.array([0.5, 0.3, 0.2]),
        member_probabilities=np.empty((0, 3), np.float32),
        held_out=None,
        prediction_set=("a", "b"),
        assumed=dict.fromkeys("abc", 1 / 3),
    )
    assert three.with_prior({"a": 0, "b": 1, "c": 1}).prediction_set == ("b",)


def test_it_is_said_what_the_sets_do_not_follow() -> None:
    by_class, pooled = SAID.with_prior(RARE), replace(SAID, holds_by_class=False).with_prior(RARE)
    assert by_class.note == (
        "A note. What is ruled out does not depend on these frequencies: the 90% holds within "
        "each class."
    )
    assert "is an average over the patients of the calibration, and need not hold" in pooled.note
    without = replace(SAID, prediction_set=None, coverage=None).with_prior(RARE)
    assert without.note == "A note." and without.prediction_set is None


def test_a_prediction_that_does_not_say_what_it_assumed_is_to_be_made_again() -> None:
    unknown = replace(SAID, assumed=None)
    assert unknown.frequencies_in_words() == ""
    with pytest.raises(UserError, match=r"It is not known .* sample 's'; classify it again"):
        unknown.with_prior(RARE)


def normal_logits(rng: np.random.Generator, count: int, share: float) -> Any:
    """Return (n, 2) log densities of normal classes at -1 and 1, and the class, of that share."""
    truth = (rng.random(count) < share).astype(int)
    seen = rng.normal(2 * truth - 1, 1)
    return np.stack([norm.logpdf(seen, -1), norm.logpdf(seen, 1)], axis=1), truth


def test_where_a_class_is_rare_probabilities_are_right_and_sets_hold_within_each_class() -> None:
    rng = np.random.default_rng(0)
    logits, truth = normal_logits(rng, 4000, 0.5)
    certainty = calibrate(logits, truth, [str(n) for n in range(len(truth))])
    new, truth = normal_logits(rng, 40_000, 0.05)
    before = np.exp(certainty.log_probabilities(new))
    found = posterior(before, RARE, EQUAL)
    # By Bayes' rule from the densities; calibration is near, as it was fitted to 4,000.
    dense = np.exp(new) * [0.95, 0.05]
    np.testing.assert_allclose(found, dense / dense.sum(1, keepdims=True), atol=0.03)
    bins = np.digitize(found[:, 1], [0.05, 0.2, 0.5])
    for number in range(4):
        inside = bins == number
        assert truth[inside].mean() == pytest.approx(found[inside, 1].mean(), abs=0.05)
    # Those for equal classes are far off.
    assert before[truth == 0, 1].mean() > 2 * found[truth == 0, 1].mean()
    kept = certainty.prediction_set(before)
    assert kept is not None
    for label in (0, 1):
        assert kept[truth == label, label].mean() > 0.88


@pytest.fixture
def classifier(small: MILSettings, cpu: Device) -> Classifier:
    model = new_model(("healthy", "sickle"), small, cpu, channels=8)
    bounds = Certainty(1.3, 0.9, (0.2, 0.3), (12, 9), (True, True), "", (0.1, -0.1))
    return Classifier((model,), ("healthy", "sickle"), "", FeatureSettings(), bounds)


def test_a_classifier_gives_what_its_prediction_would_become(
    classifier: Classifier, make_bag: Any, tmp_path: Path, cpu: Device
) -> None:
    bag = make_bag(1, cells=5)
    rare = classifier.with_prior({"healthy": 19, "sickle": 1})
    plain, found = classifier.classify(bag), rare.classify(bag)
    np.testing.assert_allclose(found.probabilities, plain.with_prior(RARE).probabilities)
    assert found.before_prior is not None and found.holds_by_class
    # What the sample would be without some of its cells follows too.
    np.testing.assert_allclose(WhatIf(rare, bag).without([]), found.probabilities, atol=1e-5)
    assert "Probabilities are shown for healthy 95%, sickle 5%, as given." in rare.description
    assert rare.with_prior(None).classify(bag).before_prior is None
    # It is the place's that samples come from, so the model file does not carry it elsewhere.
    rare.save(tmp_path / "m.safetensors")
    assert Classifier.load(tmp_path / "m.safetensors", cpu).prior is None


def test_what_was_assumed_is_what_the_training_balanced_or_had(classifier: Classifier) -> None:
    assert classifier.assumed == EQUAL
    (model,) = classifier.models
    model.settings = model.settings.replace(balance_classes=False)
    assert classifier.assumed == pytest.approx({"healthy": 12 / 21, "sickle": 9 / 21})
    alone = replace(classifier, certainty=Certainty())
    assert alone.assumed is None
    with pytest.raises(UserError, match=r"does not say how frequent .* train the classifier"):
        alone.with_prior(RARE)
    told = replace(alone, provenance={"samples_of_classes": [3, 1]})
    assert told.assumed == {"healthy": 0.75, "sickle": 0.25}
