"""The line charts of an evaluation's page; all axes run from 0 to 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_attmil.bags.attribution import CURVE_STEPS
from napari_attmil.reports import LIGHT, LINE_COLOURS, hint_id, inline_svg, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Report = Mapping[str, Any]
    Line = tuple[str, Sequence[float], Sequence[float]]

SIZE_PX: Final = (320, 240)
TICKS: Final = (0, 0.25, 0.5, 0.75, 1)


@dataclass(frozen=True)
class Chart:
    """A chart and its title."""

    title: str
    svg: str


def line_chart(
    title: str, labels: tuple[str, str], lines: Iterable[Line], diagonal: bool = False
) -> Chart:
    """Return a chart of lines.

    Parameters
    ----------
    title
        Plain text.
    labels
        Of the x and the y axis.
    lines
        The tooltip and the points of each line; later lines lie on top. Lines take the colours of
        `LINE_COLOURS` in order, then again dashed.
    diagonal
        Whether to draw the diagonal and mark the points, for comparison.
    """

    def draw(figure: Figure, _: str) -> None:
        axes = plain_axes(figure, LIGHT["faint"])
        axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(0, 1), ylim=(0, 1))
        axes.set(xticks=TICKS, yticks=TICKS)
        axes.grid(color=LIGHT["rule"], linewidth=0.8)
        axes.tick_params(bottom=False, left=False)
        if diagonal:
            axes.plot((0, 1), (0, 1), color=LIGHT["rule"])
        for place, (hint, x, y) in enumerate(lines):
            dashes, colour = divmod(place, len(LINE_COLOURS))
            (drawn,) = axes.plot(x, y, color=LINE_COLOURS[colour], clip_on=False)
            drawn.set(linestyle="--" if dashes else "-", marker="o" if diagonal else "")
            drawn.set_gid(hint_id(hint))

    return Chart(title, inline_svg(draw, SIZE_PX, title))


def precision_recall_chart(report: Report, label: str, title: str) -> Chart:
    """Return the precision-recall curves of all rows for a class, as in the paper's Fig. 3."""
    lines = [
        (
            f"{row['title']}: {row['auprc'][label]['mean']:.2f}",
            report["recalls"],
            row["precision_recall"][label],
        )
        for row in report["methods"].values()
    ]
    return line_chart(title, ("recall", "precision"), lines)


def row_charts(row: Report) -> list[Chart]:
    """Return the charts of a row: reliability, deletion and insertion of cells."""
    bins, steps = row["reliability"], np.linspace(0, 1, CURVE_STEPS + 1).tolist()
    deleted, added = (
        [(score, steps, row["attribution"][score][curve]) for score in scores_with_curves(row)]
        for curve in ("deletion", "insertion")
    )
    return [
        line_chart(
            "Reliability",
            ("probability of the predicted class", "share right"),
            [("all runs", bins["confidence"], bins["accuracy"])],
            diagonal=True,
        ),
        line_chart(
            "Highest cells deleted first", ("share of cells deleted", "probability"), deleted
        ),
        line_chart("Highest cells added first", ("share of cells added", "probability"), added),
    ]


def scores_with_curves(row: Report) -> list[str]:
    """Return the scores by which cells were deleted and added."""
    scores = row["attribution"].items()
    return [score for score, figures in scores if figures["deletion"] is not None]
