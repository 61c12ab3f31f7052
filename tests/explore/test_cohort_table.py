from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_attmil.bags.prediction import Prediction
from napari_attmil.explore.cohort_table import confusion, confusion_in_words, sample_table
from napari_attmil.images.cohort import Sample


def said(first: float, prediction_set: tuple[str, ...] | None = None) -> Prediction:
    return Prediction(
        "s",
        ("healthy", "sickle"),
        np.array([first, 1 - first], dtype=np.float32),
        np.arange(1, 5),
        np.array([0.5, 0.5, 0, 0], np.float32),
        np.zeros((4, 2), np.float32),
        np.array([[first, 1 - first], [0.9, 0.1]]),
        prediction_set,
    )


SAMPLES = [
    (Sample("a", "anna", "healthy", ()), 4, said(0.75)),
    (Sample("b", "ben", "sickle", ()), 4, said(0.75)),
    (Sample("c", "ben", "sickle", ()), 4, said(0.25, ("sickle", "healthy"))),
    (Sample("d", "dora", None, ()), 4, said(0.25)),
    (Sample("e", "dora", "sickle", ()), 0, None),
]


def test_samples_are_right_wrong_undecided_or_unknown() -> None:
    table = sample_table(SAMPLES)
    assert table["result"].tolist() == ["right", "wrong", "undecided", "", ""]
    assert table["predicted"].tolist() == ["healthy", "healthy", "sickle", "sickle", ""]
    assert table["probability"].tolist()[:4] == [0.75] * 4
    assert table["models_agreeing"].tolist()[:3] == ["2 of 2", "2 of 2", "1 of 2"]
    assert table["effective_cells"][0] == pytest.approx(2)


def test_each_sample_says_which_frequencies_its_probabilities_rest_on() -> None:
    even = replace(said(0.75), assumed={"healthy": 0.5, "sickle": 0.5})
    rare = even.with_prior({"healthy": 9, "sickle": 1})
    sample = SAMPLES[0][0]
    table = sample_table([(sample, 4, even), (sample, 4, rare), (sample, 4, said(0.75))])
    assert table["frequencies"].tolist() == ["equal", "healthy 90%, sickle 10%", ""]
    # 0.75 x 0.9 : 0.25 x 0.1 = 27 : 1
    assert table["probability_healthy"][1] == pytest.approx(27 / 28)


def test_confusion_counts_samples_whose_class_and_prediction_are_known() -> None:
    counts = confusion(sample_table(SAMPLES))
    assert counts.to_numpy().tolist() == [[1, 0], [1, 1]]
    assert list(counts.index) == list(counts.columns) == ["healthy", "sickle"]


def test_samples_that_were_trained_on_are_counted_beside_what_was_said_without_them() -> None:
    learnt = [
        (sample, cells, replace(said(p), was_trained_on=True, held_out=np.array(without)))
        for (sample, cells, _), p, without in zip(
            SAMPLES[:3], (0.75, 0.25, 0.25), ([0.9, 0.1], [0.6, 0.4], [0.2, 0.8]), strict=True
        )
    ]
    table = sample_table([*learnt, *SAMPLES[3:]])
    assert table["trained_on"].tolist()[:4] == ["yes", "yes", "yes", ""]
    assert table["held_out"].tolist()[:4] == ["healthy", "healthy", "sickle", ""]
    assert confusion_in_words(table) == (
        "0 of 3 samples taken for another class, 3 for the right one. The classifier was trained "
        "on 3 of these; while they were held out, 2 of 3 were right."
    )


def test_no_samples_are_a_table_too() -> None:
    assert len(confusion(sample_table([]))) == 0


def test_undecided_samples_are_named_and_counted_as_the_confusions_count_them() -> None:
    unsure = said(0.75, ("healthy", "sickle"))
    samples = [
        *SAMPLES,
        (Sample("f", "fritz", "sickle", ()), 4, unsure),
        (Sample("g", "gina", "sickle", ()), 4, unsure),
    ]
    table = sample_table(samples)
    assert confusion_in_words(table) == (
        "3 of 5 samples taken for another class (2 undecided), 2 for the right one (1 undecided)."
    )
    counts = confusion(table).to_numpy()
    assert (counts.sum(), counts.trace()) == (5, 2)


def test_a_single_decided_sample_is_told_without_doubts() -> None:
    assert confusion_in_words(sample_table(SAMPLES[:1])) == (
        "0 of 1 sample taken for another class, 1 for the right one."
    )


def test_nothing_is_told_where_no_class_and_prediction_are_known() -> None:
    assert confusion_in_words(sample_table(SAMPLES[3:])) == ""
    assert confusion_in_words(sample_table([])) == ""
