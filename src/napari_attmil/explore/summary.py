"""What was found in samples, as plain values for a JSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_attmil.bags.attribution import TOP_CELLS
from napari_attmil.core import CAUTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_attmil.bags import Classifier, Prediction


def classification_report(
    predictions: Sequence[Prediction], model: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a classifier said of samples.

    Parameters
    ----------
    predictions
        One a sample.
    model
        Where the classifier comes from; see `model_origin`.
    """
    return {
        "caution": CAUTION,
        "model": dict(model),
        "samples": [_sample(prediction) for prediction in predictions],
    }


def in_words(prediction: Prediction) -> str:
    """Return how sure the classifier is of a sample, as a person says it.

    "5 of 5 models agree · all but sickle ruled out at 90%", "Undecided: sickle and healthy cannot
    be ruled out at 90% · 3 of 5 models favour sickle"; empty for one model that was not calibrated.
    """
    kept, models = prediction.prediction_set, len(prediction.member_probabilities)
    agreeing = f"{prediction.agreeing} of {models} models"
    agree = f"{agreeing} agree" if models > 1 else ""
    favour = f"{agreeing} favour {prediction.predicted}" if models > 1 else ""
    if kept is None or prediction.coverage is None:
        return agree
    level = f"at {100 * prediction.coverage:g}%"
    if len(kept) == len(prediction.classes):
        parts = [f"Undecided: no class can be ruled out {level}", favour]
    elif prediction.abstains:
        names = f"{', '.join(kept[:-1])} and {kept[-1]}"
        parts = [f"Undecided: {names} cannot be ruled out {level}", favour]
    else:
        parts = [agree, f"all but {kept[0]} ruled out {level}"]
    return " · ".join(part for part in parts if part)


def model_origin(classifier: Classifier, file: str, detector_digest: str) -> dict[str, Any]:
    """Return what a report says of the classifier: where it comes from and how it was made."""
    return {
        "file": file,
        "detector": detector_digest,
        "models": len(classifier.models),
        "settings": classifier.settings.model_dump(),
        "certainty": classifier.certainty.to_json(),
        **classifier.provenance,
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
        "models_agreeing": prediction.agreeing,
        "prediction_set": prediction.prediction_set,
        "coverage": prediction.coverage,
        "abstains": prediction.abstains,
        "in_words": in_words(prediction),
        "certainty_note": prediction.note,
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
