"""Figures of the explorer and its reports, drawn with matplotlib: one look on screen and paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from napari_attmil.explore.colours import class_colour
from napari_attmil.explore.shapes import feature_title
from napari_attmil.reports import Drawing, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from napari_attmil.explore.class_curves import ClassCurve

CurveKind = Literal["roc", "precision_recall"]
_NAME_INCHES: Final = 0.3
"""Width that the slanted name of a patient needs below an axis."""
_BETWEEN_PATIENTS, _BETWEEN_CLASSES = 1.0, 1.5
"""Gaps, in units of the distance between samples."""


def forest_plot(effects: pd.DataFrame, score: str) -> Drawing:
    """Return a drawing of effects and their intervals; findings are filled, healthy effects bars.

    Parameters
    ----------
    effects
        See `napari_attmil.explore.shapes.statistics.compare_high_cells`.
    score
        The score that defines high cells, in words.
    """

    def draw(figure: Figure, ink: str) -> None:
        axes = plain_axes(figure, ink)
        axes.axvline(0, color=ink, linewidth=0.8, alpha=0.5)
        for place, row in enumerate(effects.to_dict("records")):
            axes.plot([row["low"], row["high"]], [place, place], color=ink, linewidth=1.5)
            fill = class_colour(4) if row["is_found"] else "none"
            axes.plot(row["healthy"], place, "|", color=ink, alpha=0.7, markersize=14)
            axes.plot(row["effect"], place, "o", color=ink, markerfacecolor=fill, markersize=7)
        axes.set_yticks(range(len(effects)), map(feature_title, effects["feature"]))
        axes.set(xlim=(-1.05, 1.05), ylim=(len(effects) - 0.5, -0.5))
        axes.set_xlabel(f"lower (−1) or higher (1)\nin cells with high {score}")

    return draw


def severity_plot(table: pd.DataFrame, name: str) -> Drawing:
    """Return a drawing of each sample's share of cells that support a class, by patient.

    Parameters
    ----------
    table
        Columns class, patient, share, low and high, samples of a patient in their order; see
        `napari_attmil.explore.shapes.statistics.severity_by_sample`.
    name
        The class that cells support.
    """
    ordered = table.sort_values(["class", "patient"], kind="stable", ignore_index=True)
    places = _places_by_patient(ordered)

    def draw(figure: Figure, ink: str) -> None:
        axes = plain_axes(figure, ink)
        classes = sorted(ordered["class"].unique())
        for label, of_class in ordered.groupby("class"):
            colour = class_colour(classes.index(label))
            for _, rows in of_class.groupby("patient"):
                at, share = places[rows.index], rows["share"].to_numpy()
                ends = np.stack([share - rows["low"], rows["high"] - share])
                axes.errorbar(at, share, ends.clip(0), color=colour, marker="o", capsize=2)
            middle = places[of_class.index].mean()
            axes.text(middle, 1.02, str(label), color=ink, ha="center", fontsize=8)
        _name_patients(axes, ordered, places)
        axes.set_ylim(0, 1)
        axes.set_ylabel(f"cells that speak\nfor {name}")

    return draw


def class_curves_plot(curves: Sequence[ClassCurve], kind: CurveKind) -> Drawing:
    """Return a drawing of one curve per class against the rest."""
    is_roc = kind == "roc"

    def draw(figure: Figure, ink: str) -> None:
        axes = plain_axes(figure, ink)
        if is_roc:
            axes.plot([0, 1], [0, 1], color=ink, linewidth=0.8, alpha=0.5)
        for place, curve in enumerate(curves):
            x, y, area = curve.roc if is_roc else curve.precision_recall
            # Perfect curves coincide; dashes keep all of them visible.
            style = (place * 3, (8, 3 * (len(curves) - 1) or 0.1)) if len(curves) > 1 else "-"
            axes.plot(x, y, color=class_colour(place), label=f"{curve.name} {area:.2f}", ls=style)
        labels = ("false positives", "found") if is_roc else ("found (recall)", "right (precision)")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=labels[0], ylabel=labels[1])
        # Good curves leave this corner empty, and there may be no room beside the axes.
        title = "area below" if is_roc else "average precision"
        legend = axes.legend(
            loc="lower right" if is_roc else "lower left",
            title=title,
            fontsize=8,
            title_fontsize=8,
            frameon=False,
        )
        for text in (*legend.get_texts(), legend.get_title()):
            text.set_color(ink)

    return draw


def _places_by_patient(table: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Return (n,) the positions of samples, those of a patient close together."""
    new_patient = table["patient"].ne(table["patient"].shift()).to_numpy()
    new_class = table["class"].ne(table["class"].shift()).to_numpy()
    steps = 1 + _BETWEEN_PATIENTS * new_patient + _BETWEEN_CLASSES * new_class
    return np.asarray(np.cumsum(steps), dtype=np.float64)


def _name_patients(axes: Axes, table: pd.DataFrame, places: np.ndarray[Any, Any]) -> None:
    from matplotlib.figure import Figure

    middles = pd.Series(places).groupby(table["patient"], sort=False).mean()
    figure = axes.figure
    if not isinstance(figure, Figure) or len(middles) * _NAME_INCHES > figure.get_figwidth():
        axes.set_xticks([])
        axes.set_xlabel(f"{len(middles)} patients")
        return
    axes.set_xticks(middles.to_numpy(), middles.index, rotation=45, ha="right", fontsize=7)
