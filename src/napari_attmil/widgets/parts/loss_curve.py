"""The losses of a training, drawn while it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyqtgraph as pg

from napari_attmil.widgets.parts.themed_plot import ThemedPlot

EPOCH_LOSSES = {
    "loss": ("total", "#D55E00"),
    "mil_loss": ("sample", "#0072B2"),
    "sic_loss": ("single cell", "#009E73"),
}
"""Of the Okabe-Ito palette; they stand out on dark and on light ground."""
FEW_POINTS = 12
LOSS_TIP = (
    "How wrong the classifier still is on the samples it learns from: total, for whole samples, "
    "and for single cells. It should go down and level off."
)


class LossCurve(ThemedPlot):
    """Curves of one training against its epochs or steps.

    Parameters
    ----------
    curves
        Title and colour of each, by name; by default total, sample (bag) and single-cell loss.
    labels
        What stands at the lower and the left side.
    tip
        What the curves say.
    """

    def __init__(
        self,
        curves: Mapping[str, tuple[str, str]] = EPOCH_LOSSES,
        labels: tuple[str, str] = ("pass over the samples", "loss"),
        tip: str = LOSS_TIP,
    ) -> None:
        super().__init__()
        self._values: dict[str, list[float]] = {name: [] for name in curves}
        self._epochs: list[int] = []
        self._training, self._last = "", None
        self._legend = self._plot.addLegend(offset=(-4, 4), labelTextSize="8pt")
        self._curves = {
            name: self._plot.plot(
                name=title, pen=pg.mkPen(colour, width=2), symbolBrush=colour, symbolPen=colour
            )
            for name, (title, colour) in curves.items()
        }

        self._plot.setLabel("bottom", labels[0])
        self._plot.setLabel("left", labels[1])
        self._plot.getAxis("left").setWidth(44)
        self._plot.getAxis("left").enableAutoSIPrefix(False)  # no losses in thousandths
        self._plot.getAxis("bottom").setHeight(36)
        # Room for the upper number, and for the lower label, which pyqtgraph moves down by 5 px.
        self._plot.getPlotItem().layout.setContentsMargins(1, 8, 1, 7)
        self._plot.setFixedHeight(190)
        self.setToolTip(tip)

    def clear(self) -> None:
        """Start new curves."""
        self._training, self._last = "", None
        self._epochs.clear()
        for values in self._values.values():
            values.clear()
        self._redraw()

    def add(self, training: str, progress: Any) -> None:
        """Add a point to each curve; the first of another training starts new ones.

        The last one is not added again.

        Parameters
        ----------
        training
            Tells one training from the next.
        progress
            Something with `done` and the curves' names; None leaves a gap.
        """
        if progress is self._last:
            return
        if training != self._training:
            self.clear()
            self._training = training
        self._last = progress
        self._epochs.append(progress.done)
        for name, values in self._values.items():
            value = getattr(progress, name)
            values.append(math.nan if value is None else float(value))
        self._redraw()

    def value(self) -> dict[str, list[float]]:
        """Return the losses that are drawn, by name."""
        return {name: list(values) for name, values in self._values.items()}

    def _redraw(self) -> None:
        for name, curve in self._curves.items():
            known = np.isfinite(self._values[name])
            points = np.array(self._epochs)[known], np.array(self._values[name])[known]
            # A value that is measured only now and then would not show as a line alone.
            curve.setData(*points, symbol="o" if known.sum() <= FEW_POINTS else None)
