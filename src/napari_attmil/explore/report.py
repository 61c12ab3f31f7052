"""What was found in samples, as plain values for a JSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.bags.attribution_measures import TOP_CELLS
from napari_attmil.settings import CAUTION as CAUTION  # stands wherever a prediction is shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_attmil.bags.classifier import Prediction


def classification_report(
    predictions: Sequence[Prediction], model: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a classifier said of samples.

    Parameters
    ----------
    predictions
        One a sample.
    model
        Where the classifier comes from: its file, the detector's digest, its provenance.
    """
    return {
        "caution": CAUTION,
        "model": dict(model),
        "samples": [_sample(prediction) for prediction in predictions],
    }


def top_cells(attention: Sequence[float] | np.ndarray[Any, Any], count: int = TOP_CELLS) -> Any:
    """Return the positions of the cells with the highest attention, the highest first."""
    values = np.asarray(attention, dtype=np.float64)
    return np.argsort(-values, kind="stable")[:count]


def _sample(prediction: Prediction) -> dict[str, Any]:
    rows = top_cells(prediction.attention)
    return {
        "sample": prediction.sample,
        "predicted": prediction.predicted,
        "probabilities": {
            name: round(float(share), 6)
            for name, share in zip(prediction.classes, prediction.probabilities, strict=True)
        },
        "cells": len(prediction.cell_id),
        "top_cells": [
            {
                "cell_id": int(prediction.cell_id[row]),
                "attention": round(float(prediction.attention[row]), 6),
            }
            for row in rows
        ],
    }
