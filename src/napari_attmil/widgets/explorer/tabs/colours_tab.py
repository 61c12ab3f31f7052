"""The colours of the boxes, which of them fade, and whether that is up to date."""

from __future__ import annotations

from html import escape

import numpy as np
from qtpy.QtCore import QSignalBlocker

from napari_attmil.core import CAUTION, counted
from napari_attmil.explore import COLOUR_MAPS, SCALES, Categories, colours_of_parts
from napari_attmil.session import MAKER, column_title, numeric_columns, text_columns
from napari_attmil.widgets.classifying import classify_shown, missing_to_classify
from napari_attmil.widgets.explorer.column_combo import ColumnCombo
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.explorer.value_range import ValueRange
from napari_attmil.widgets.parts import (
    STRETCH,
    ProgressRow,
    column,
    elastic,
    form,
    hint_label,
    narrow_combo,
    pause_timer,
    push_button,
    row,
    scrolling_column,
    wrapping_label,
)

STALE = "Boxes changed since the classification; new and moved ones have no attention."
WHO_MADE_THEM = "Yellow boxes are drawn by hand, green ones accepted, blue ones the detector's."
SCALE_TITLES = {"rank": "by rank", "linear": "by value", "log": "by logarithm of the value"}
FOLLOW_SLIDER_MS = 30


class ColoursTab(ExplorerTab):
    """Colours the boxes of the shown sample."""

    def _create(self) -> None:
        self._column = ColumnCombo("What the boxes are coloured by.")
        self._scale = narrow_combo(
            "How values become colours: by rank, every colour has as many cells; by value and by "
            "logarithm, the distances between cells show.",
            {SCALE_TITLES[scale]: scale for scale in SCALES},
        )
        self._map = narrow_combo(
            "The colours; in all of them lightness keeps the order for colour-blind readers. "
            "The last has 0 in its middle, for contributions to and against a class.",
            {title: colour_map for colour_map, title in COLOUR_MAPS.items()},
        )
        self._outside = narrow_combo(
            "What happens to cells outside the slider's range.", {"fade": False, "hide": True}
        )
        self._range = elastic(ValueRange())
        self._explanation = hint_label(name="explanation")
        self._stale = wrapping_label(STALE, "stale")
        self._stale.setProperty("warning", True)
        self._update = push_button(
            "Classify sample",
            "Classify the sample with its present boxes; only changed cells are read again.",
            lambda: classify_shown(self._context, self._progress),
        )
        self._progress = ProgressRow(
            self._context.runner, "Cancel", "Stop classifying; nothing changes."
        )
        # A slider that is dragged changes more often than boxes can be coloured.
        self._slider_timer = pause_timer(self._apply_range, FOLLOW_SLIDER_MS, self)
        self._wanted_range = (0.0, 1.0)

    def _lay_out(self) -> None:
        combos = {
            "Colour by": self._column,
            "Scale": self._scale,
            "Colours": self._map,
            "Outside": self._outside,
        }
        below = (self._stale, self._update, self._progress, hint_label(CAUTION), STRETCH)
        right = column((self._range, 1), self._explanation)
        # By itself, so that the histogram stays in view where a window is low.
        left = elastic(scrolling_column(column(form(combos), *below)))
        row((left, 2), (right, 3), within=self)

    def _connect(self) -> None:
        context = self._context
        for combo in (self._column, self._scale, self._map, self._outside):
            combo.activated.connect(self._on_choice)
        self._range.range_changed.connect(self._on_range)
        context.runner.busy_changed.connect(self.invalidate)
        context.images_changed.connect(self.invalidate)
        self.listen(context.exploration.table_changed, self.invalidate)
        self.listen(context.exploration.colouring_changed, self.invalidate)
        self.listen(context.session.classifier_changed, self.invalidate)

    def refresh(self) -> None:
        """Show colouring and range, and whether they are up to date."""
        table = self._context.exploration.sample_table
        self._column.setColumns([MAKER, *numeric_columns(table), *text_columns(table)])
        self._show_choices()
        self._show_distribution()
        self._show_state()

    def _show_choices(self) -> None:
        exploration = self._context.exploration
        colouring = exploration.colouring
        for combo, value in (
            (self._column, exploration.coloured_column),
            (self._scale, colouring.scale),
            (self._map, colouring.colour_map),
            (self._outside, colouring.hides),
        ):
            with QSignalBlocker(combo):
                combo.setCurrentIndex(combo.findData(value))
        has_scale = exploration.has_scale
        for control in (self._scale, self._map, self._outside, self._range):
            control.setEnabled(has_scale)
        self._range.setRange(colouring.low, colouring.high)
        self._range.setVisible(has_scale)

    def _show_distribution(self) -> None:
        exploration = self._context.exploration
        spread = exploration.distribution()
        colours = colours_of_parts(exploration.colouring.colour_map)
        self._range.histogram.setValue(spread.heights, colours, spread.ticks)
        has_value = np.isfinite(exploration.relative())
        if not has_value.any():
            categories = exploration.categories
            self._explanation.setText(_legend(categories) if categories else WHO_MADE_THEM)
            return
        shown = int(np.count_nonzero(exploration.is_inside() & has_value))
        title = column_title(exploration.coloured_column)
        height = f"{title} at each rank" if exploration.colouring.scale == "rank" else "cells"
        self._explanation.setText(
            f"{shown} of {has_value.sum()} cells are in the range. Height of the bars: {height}."
        )

    def _show_state(self) -> None:
        context, session = self._context, self._context.session
        missing = missing_to_classify(context)
        self._stale.setVisible(session.state.is_stale)
        self._update.setText("Update" if session.state.is_stale else "Classify sample")
        self._update.setVisible(session.state.prediction is None or session.state.is_stale)
        self._update.setEnabled(not missing and not context.runner.busy)
        self._update.setStatusTip(missing)

    def _on_choice(self) -> None:
        self._context.exploration.colour(
            column=self._column.currentData(),
            scale=self._scale.currentData(),
            colour_map=self._map.currentData(),
            hides=self._outside.currentData(),
        )

    def _on_range(self, low: float, high: float) -> None:
        self._wanted_range = (low, high)
        if not self._slider_timer.isActive():
            self._slider_timer.start()

    def _apply_range(self) -> None:
        low, high = self._wanted_range
        self._context.exploration.colour(low=low, high=high)


def _legend(categories: Categories) -> str:
    """Return the names of categories with their colours and numbers of cells, one a line."""
    lines = []
    for place, (name, count) in enumerate(zip(categories.names, categories.counts(), strict=True)):
        red, green, blue, _ = (round(255 * part) for part in categories.colour(place))
        square = f'<span style="color: #{red:02x}{green:02x}{blue:02x}">\u25a0</span>'
        lines.append(f"{square} {escape(name)}: {counted(count, 'cell')}")
    return "<br>".join([*lines, "Cells without any are grey."])
