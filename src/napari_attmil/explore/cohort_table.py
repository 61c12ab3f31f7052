"""Tables with one row per sample: predictions beside the true classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from napari_attmil.bags import are_equal, shares_in_words
from napari_attmil.core import counted

if TYPE_CHECKING:
    from napari_attmil.bags import Prediction
    from napari_attmil.images import Sample

WRONG: Final = "wrong"
UNDECIDED: Final = "undecided"
PROBABILITY: Final = "probability_"
"""Begins the name of the column of each class."""


def sample_table(samples: Iterable[tuple[Sample, int, Prediction | None]]) -> pd.DataFrame:
    """Return samples as a table.

    Parameters
    ----------
    samples
        Each with its number of cells and its prediction, if any.

    Returns
    -------
    DataFrame
        Columns sample, patient, class (empty where unknown), cells, predicted, probability (of
        the predicted class), result ("right", "wrong", "undecided", or empty where class or
        prediction is unknown), trained_on ("yes" where the classifier learnt from it), held_out
        (the class predicted while its patient was held out, empty where unknown), models_agreeing,
        effective_cells, frequencies (of the classes, which the probabilities rest on: "equal", or
        "healthy 90%, sickle 10%"; empty where unknown), and probability_<class>.
    """
    rows = [_row(sample, cells, prediction) for sample, cells, prediction in samples]
    columns = ["sample", "patient", "class", "cells", "predicted", "probability", "result"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def confusion(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many samples of each class (rows) were assigned to each (columns).

    Only samples with a class and a prediction count; classes are in alphabetical order.
    """
    classified = table[(table["class"] != "") & (table["predicted"] != "")]
    names = sorted({*classified["class"], *classified["predicted"]})
    counts = pd.crosstab(classified["class"], classified["predicted"])
    return counts.reindex(index=names, columns=names, fill_value=0)


def confusion_in_words(table: pd.DataFrame) -> str:
    """Return how many samples were assigned to a wrong and to the right class, as a sentence.

    Undecided samples count as their most probable class and are mentioned. So are samples that the
    classifier was trained on, as these show what it has learnt, not how well it does. Empty
    without samples.
    """
    classified = table[table["result"] != ""]
    if not len(classified):
        return ""
    undecided = classified["result"] == UNDECIDED
    wrong = classified["class"] != classified["predicted"]
    return (
        f"{np.count_nonzero(wrong)} of {counted(len(classified), 'sample')} taken for another class"
        f"{_of_these(undecided & wrong)}, {np.count_nonzero(~wrong)} for the right one"
        f"{_of_these(undecided & ~wrong)}.{_learnt_from(classified)}"
    )


def _learnt_from(classified: pd.DataFrame) -> str:
    """Say how many samples the classifier was trained on, and how it did without them."""
    trained_on = classified[classified["trained_on"] != ""]
    if not len(trained_on):
        return ""
    said = trained_on[trained_on["held_out"] != ""]
    right = np.count_nonzero(said["held_out"] == said["class"])
    without = f"; while they were held out, {right} of {len(said)} were right" if len(said) else ""
    return f" The classifier was trained on {len(trained_on)} of these{without}."


def _of_these(undecided: pd.Series[bool]) -> str:
    count = np.count_nonzero(undecided)
    return f" ({count} undecided)" if count else ""


def _row(sample: Sample, cells: int, prediction: Prediction | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "sample": sample.name,
        "patient": sample.patient,
        "class": sample.label or "",
        "cells": cells,
        "predicted": "" if prediction is None else prediction.predicted,
        "probability": float("nan") if prediction is None else float(max(prediction.probabilities)),
        "result": _result(sample.label, prediction),
    }
    if prediction is not None:
        row["trained_on"] = "yes" if prediction.was_trained_on else ""
        row["held_out"] = prediction.predicted_held_out or ""
        row["models_agreeing"] = f"{prediction.agreeing} of {len(prediction.member_probabilities)}"
        row["effective_cells"] = prediction.effective_cells
        row["frequencies"] = _frequencies(prediction)
        for name, probability in zip(prediction.classes, prediction.probabilities, strict=True):
            row[PROBABILITY + name] = float(probability)
    return row


def _frequencies(prediction: Prediction) -> str:
    shares = prediction.assumed or {}
    return "equal" if shares and are_equal(shares) else shares_in_words(shares)


def _result(label: str | None, prediction: Prediction | None) -> str:
    if label is None or prediction is None:
        return ""
    if prediction.abstains:
        return UNDECIDED
    return "right" if prediction.predicted == label else WRONG
