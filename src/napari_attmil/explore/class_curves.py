"""ROC and precision-recall curves of each class against the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_attmil.explore.cohort_table import PROBABILITY

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]


@dataclass(frozen=True, eq=False)
class ClassCurve:
    """The curves of one class against the rest.

    Attributes
    ----------
    name
        The class.
    roc
        (m,) false positive rates, (m,) true positive rates, and the area below.
    precision_recall
        (m,) recalls, (m,) precisions, and the average precision.
    """

    name: str
    roc: Curve
    precision_recall: Curve


def class_curves_of(table: pd.DataFrame) -> list[ClassCurve]:
    """Return the curves of each class that has samples and is not the only one.

    Parameters
    ----------
    table
        Columns class and probability_<class>; see `napari_attmil.explore.cohort_table`. Samples
        without a class or a prediction are left out.
    """
    names = [name for name in map(str, table) if name.startswith(PROBABILITY)]
    if not names:
        return []
    known = table[(table["class"] != "") & table[names].notna().all(axis=1)]
    curves = []
    for column in names:
        name = column.removeprefix(PROBABILITY)
        is_class = (known["class"] == name).to_numpy()
        if is_class.any() and not is_class.all():
            curves.append(_curve(name, is_class, known[column].to_numpy(np.float64)))
    return curves


def curve_points(curves: Sequence[ClassCurve]) -> pd.DataFrame:
    """Return the points of the curves, one per row: class, curve, x, y, area."""
    parts = [
        pd.DataFrame({"class": curve.name, "curve": kind, "x": x, "y": y, "area": area})
        for curve in curves
        for kind, (x, y, area) in (("roc", curve.roc), ("precision_recall", curve.precision_recall))
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _curve(
    name: str, is_class: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64]
) -> ClassCurve:
    from sklearn import metrics  # takes a second to load

    false_rate, true_rate, _ = metrics.roc_curve(is_class, probability)
    precision, recall, _ = metrics.precision_recall_curve(is_class, probability)
    return ClassCurve(
        name,
        (false_rate, true_rate, float(metrics.auc(false_rate, true_rate))),
        (recall, precision, float(metrics.average_precision_score(is_class, probability))),
    )
