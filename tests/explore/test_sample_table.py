from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.bags.prediction import Prediction
from napari_attmil.explore.sample_table import confusion, sample_table
from napari_attmil.images.cohort import Sample


def said(first, prediction_set=None):
    return Prediction(
        "s",
        ("healthy", "sickle"),
        np.array([first, 1 - first], dtype=np.float32),
        np.arange(1, 5),
        np.array([0.5, 0.5, 0, 0]),
        np.zeros((4, 2)),
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


def test_samples_are_right_wrong_undecided_or_unknown():
    table = sample_table(SAMPLES)
    assert table["result"].tolist() == ["right", "wrong", "undecided", "", ""]
    assert table["predicted"].tolist() == ["healthy", "healthy", "sickle", "sickle", ""]
    assert table["probability"].tolist()[:4] == [0.75] * 4
    assert table["models_agreeing"].tolist()[:3] == ["2 of 2", "2 of 2", "1 of 2"]
    assert table["effective_cells"][0] == pytest.approx(2)


def test_confusion_counts_samples_whose_class_and_prediction_are_known():
    counts = confusion(sample_table(SAMPLES))
    assert counts.to_numpy().tolist() == [[1, 0], [1, 1]]
    assert list(counts.index) == list(counts.columns) == ["healthy", "sickle"]


def test_no_samples_are_a_table_too():
    assert len(confusion(sample_table([]))) == 0
