"""Predictions of samples in words, and as plain values for a JSON file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_attmil.bags.attribution import TOP_CELLS
from napari_attmil.core import CAUTION

if TYPE_CHECKING:
    from napari_attmil.bags import Classifier, HeldOut, Prediction


def classification_report(
    predictions: Sequence[Prediction], model: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the predictions of samples as plain values.

    Parameters
    ----------
    predictions
        One per sample.
    model
        The origin of the classifier; see `model_origin`.
    """
    return {
        "caution": CAUTION,
        "model": dict(model),
        "samples": [_sample(prediction) for prediction in predictions],
    }


def in_words(prediction: Prediction) -> str:
    """Describe the certainty of a prediction.

    "5 of 5 models agree · all but sickle ruled out at 90%", "Undecided: sickle and healthy cannot
    be ruled out at 90% · 3 of 5 models favour sickle"; empty for one model without calibration.
    """
    possible, models = prediction.prediction_set, len(prediction.member_probabilities)
    agreeing = f"{prediction.agreeing} of {models} models"
    agree = f"{agreeing} agree" if models > 1 else ""
    favour = f"{agreeing} favour {prediction.predicted}" if models > 1 else ""
    if possible is None or prediction.coverage is None:
        return agree
    level = f"at {100 * prediction.coverage:g}%"
    if len(possible) == len(prediction.classes):
        parts = [f"Undecided: no class can be ruled out {level}", favour]
    elif prediction.abstains:
        names = f"{', '.join(possible[:-1])} and {possible[-1]}"
        parts = [f"Undecided: {names} cannot be ruled out {level}", favour]
    else:
        parts = [agree, f"all but {possible[0]} ruled out {level}"]
    return " · ".join(part for part in parts if part)


def held_out_in_words(prediction: Prediction) -> str:
    """Say what was predicted while the patient was held out from training; empty if unknown."""
    if prediction.held_out is None:
        return ""
    named, share = prediction.predicted_held_out, float(prediction.held_out.max())
    return f"Without this patient in the training: {named} {share:.0%}."


def model_origin(classifier: Classifier, file: str) -> dict[str, Any]:
    """Return a report's entries on the classifier: its origin and how it was trained."""
    held_out = classifier.held_out
    return {
        "file": file,
        "features_by": classifier.feature_settings.reader,
        "features_digest": classifier.reader_digest,
        "models": len(classifier.models),
        "settings": classifier.settings.model_dump(),
        "certainty": classifier.certainty.to_json(),
        "on_new_patients": classifier.on_new_patients,
        "held_out": None if held_out is None else _held_out(held_out, classifier.classes),
        **classifier.provenance,
    }


def held_out_table(held_out: HeldOut, classes: Sequence[str]) -> pd.DataFrame:
    """Return (K, K) how many held-out patients of each class (rows) were given each (columns)."""
    return pd.DataFrame(held_out.confusion(), index=list(classes), columns=list(classes))


def _held_out(held_out: HeldOut, classes: Sequence[str]) -> dict[str, Any]:
    """Return the figures on held-out patients as plain values."""
    return {
        "patients": len(held_out.of_patients),
        "right": held_out.right,
        "chance": held_out.chance,
        "interval": list(held_out.interval),
        "classes": list(classes),
        "confusion": held_out.confusion().tolist(),
    }


def top_cells(attention: npt.ArrayLike, count: int = TOP_CELLS) -> npt.NDArray[np.intp]:
    """Return (min(n, count),) positions of the cells with the highest of (n,) attention, first."""
    values = np.asarray(attention, dtype=np.float64)
    return np.argsort(-values, kind="stable")[:count]


def _sample(prediction: Prediction) -> dict[str, Any]:
    rows = top_cells(prediction.attention)
    return {
        "sample": prediction.sample,
        "predicted": prediction.predicted,
        "probabilities": _by_class(prediction, prediction.probabilities),
        "model_probabilities": [
            _by_class(prediction, alone) for alone in prediction.member_probabilities
        ],
        "class_frequencies": {
            "taken": None
            if prediction.assumed is None
            else _by_class(prediction, prediction.assumed.values()),
            "given": prediction.before_prior is not None,
            "in_words": prediction.frequencies_in_words(),
        },
        "models_agreeing": prediction.agreeing,
        "prediction_set": prediction.prediction_set,
        "coverage": prediction.coverage,
        "abstains": prediction.abstains,
        "in_words": in_words(prediction),
        "certainty_note": prediction.note,
        "was_trained_on": prediction.was_trained_on,
        "held_out_probabilities": None
        if prediction.held_out is None
        else _by_class(prediction, prediction.held_out),
        "cells": len(prediction.cell_id),
        "effective_cells": round(prediction.effective_cells, 2),
        "top_cells": [
            {
                "cell_id": int(prediction.cell_id[row]),
                "attention": round(float(prediction.attention[row]), 6),
            }
            for row in rows
        ],
    }


def _by_class(prediction: Prediction, shares: Iterable[float]) -> dict[str, float]:
    pairs = zip(prediction.classes, shares, strict=True)
    return {name: round(float(share), 6) for name, share in pairs}
