from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import log_softmax

from napari_attmil.bags.held_out import HeldOut, held_out_probabilities
from napari_attmil.bags.name_digests import name_digest
from napari_attmil.images.cohort import Sample
from napari_attmil.images.folds import patient_folds

if TYPE_CHECKING:
    import numpy.typing as npt

CLASSES = ("healthy", "sickle")


def held_out(*rows: tuple[str, str, int, float]) -> HeldOut:
    """Return what was said of (sample, patient, class, probability of the second class)."""
    return HeldOut(
        tuple(name_digest(sample) for sample, *_ in rows),
        tuple(name_digest(patient) for _, patient, *_ in rows),
        tuple(truth for *_, truth, _ in rows),
        tuple((1 - p, p) for *_, p in rows),
    )


THREE = held_out(
    ("a1", "anna", 0, 0.2),
    ("b1", "ben", 1, 0.1),
    ("b2", "ben", 1, 0.8),
    ("c1", "cora", 1, 0.7),
)


def test_samples_of_a_patient_count_as_one_patient() -> None:
    # Ben's samples: 0.1 and 0.8, in the mean 0.45 for his class, so he is wrong.
    assert [p.predicted for p in THREE.of_patients] == [0, 0, 1]
    assert (THREE.right, THREE.chance) == (2, 2)
    assert THREE.confusion().tolist() == [[1, 0], [1, 1]]
    assert THREE.sentence() == "2 of 3 held-out patients right; chance 2."


def test_chance_is_the_most_frequent_class_and_few_patients_are_called_few() -> None:
    many = held_out(
        *((f"s{n}", f"p{n}", int(n < 14), 0.9 if n < 14 or n >= 33 else 0.1) for n in range(38))
    )
    assert many.sentence() == "33 of 38 held-out patients right; chance 24."
    # Wilson's interval of 33 in 38, worked out by hand: 0.7267 to 0.9425.
    assert many.interval == pytest.approx((0.7267, 0.9425), abs=5e-5)
    assert many.reservation().startswith("Of new patients like these, 73% to 94% may be right")
    assert THREE.reservation().startswith("That is few patients: of new ones, 21% to 94%")


def test_patients_are_named_by_the_study_that_has_them_the_least_right_sample_first() -> None:
    samples = [
        Sample(name, patient, None, ())
        for name, patient in (("b2", "ben"), ("b1", "ben"), ("c1", "cora"))
    ]
    ben, cora = THREE.named(samples, CLASSES)
    assert ben[:3] == ("ben", "sickle", "healthy") and ben.sample == "b1"
    assert ben.probability == pytest.approx(0.55)
    assert cora == ("cora", "sickle", "sickle", pytest.approx(0.7), "c1")
    assert THREE.named([Sample("a1", "another", None, ())], CLASSES) == []


def test_a_sample_is_found_by_its_name_and_its_patients_only() -> None:
    assert THREE.of_sample("b1", "ben") == pytest.approx([0.9, 0.1])
    assert THREE.of_sample("b1", "anna") is None
    nested = held_out(("P/s1", "P", 0, 0.25))
    assert nested.of_sample("study/P/s1", "P") == pytest.approx([0.75, 0.25])
    assert nested.of_sample("s1", "P") is None


def test_no_name_is_kept_and_the_file_brings_back_the_same() -> None:
    text = json.dumps(THREE.to_json())
    assert not any(name in text for name in ("anna", "ben", "cora", "a1"))
    back = HeldOut.from_json(json.loads(text), 2)
    assert back is not None and back.to_json() == THREE.to_json()
    assert HeldOut.from_json(None, 2) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"truth": [0, 1, 1, 2]},
        {"truth": [0, 1]},
        {"probabilities": [[0.5, 0.3, 0.2]] * 4},
        {"probabilities": [[0.5, float("nan")]] * 4},
        {"samples": [], "patients": [], "truth": [], "probabilities": []},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        HeldOut.from_json(json.loads(json.dumps(THREE.to_json() | wrong)), 2)


def cohort_logits(shift: float) -> tuple[npt.NDArray[np.float64], list[int], list[str]]:
    """Return logits of two kinds of models for 24 patients, and their classes and names."""
    rng = np.random.default_rng(4)
    truth = [0, 1] * 12
    logits = rng.normal(0, 1.5, (2, 24, 2))
    logits[:, np.arange(24), truth] += shift
    return log_softmax(logits, axis=-1), truth, [f"p{n}" for n in range(24)]


def test_what_is_said_of_a_patient_does_not_depend_on_the_patients_class() -> None:
    logits, truth, patients = cohort_logits(1)
    folds = patient_folds(patients, [str(t) for t in truth], 3, seed=0)
    said = held_out_probabilities(logits, truth, patients, folds, balanced=True)
    np.testing.assert_allclose(said.sum(1), 1)
    for _, held in folds:
        other = np.array(truth)
        other[held] = 1 - other[held]
        again = held_out_probabilities(logits, other.tolist(), patients, folds, balanced=True)
        np.testing.assert_array_equal(again[held], said[held])


def test_models_that_know_nothing_are_not_right_more_often_than_half_the_time() -> None:
    right, count = 0, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth, patients = [0, 1] * 12, [f"p{n}" for n in range(24)]
        logits = log_softmax(rng.normal(0, 1, (2, 24, 2)), axis=-1)
        folds = patient_folds(patients, [str(t) for t in truth], 3, seed=seed)
        said = held_out_probabilities(logits, truth, patients, folds, balanced=True)
        right += int((said.argmax(1) == truth).sum())
        count += 24
    # 960 answers: the standard deviation of half of them is 15.5.
    assert abs(right - count / 2) < 3 * 15.5
