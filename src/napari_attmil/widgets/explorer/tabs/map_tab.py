"""Cells as points: any column against any other, or a projection by similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from qtpy.QtWidgets import QLabel

from napari_attmil import workflows
from napari_attmil.explore import MapMethod, map_colours
from napari_attmil.reports import gallery_scale
from napari_attmil.session import MAKER, MAP_COLUMNS, column_title, numeric_columns, text_columns
from napari_attmil.widgets.card import offer_menu
from napari_attmil.widgets.explorer.cell_model import CellModel
from napari_attmil.widgets.explorer.cells_at_hand import cells_in_scope
from napari_attmil.widgets.explorer.column_combo import ColumnCombo
from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
from napari_attmil.widgets.explorer.views import Scatter, cutout_of
from napari_attmil.widgets.parts import (
    STRETCH,
    ProgressRow,
    TaskRunner,
    column,
    form,
    hint_label,
    narrow_combo,
    push_button,
    row,
    scrolling_column,
)
from napari_attmil.widgets.thumbnails import Thumbnails

THUMBNAIL_PX = 96
ACROSS, UP = MAP_COLUMNS
METHODS: dict[str, MapMethod] = {"PCA, at once": "pca", "UMAP, minutes": "umap"}


class MapTab(ExplorerTab):
    """A scatter plot of the cells in scope; a lasso selects cells in all views."""

    def _create(self) -> None:
        # A model without a view, to find the cell of a point.
        self._model = CellModel(self)
        self._scale = gallery_scale(self._model.table, ())
        self._thumbnails = Thumbnails(self._context, self)
        self._scatter = Scatter()
        self._across = ColumnCombo("What is drawn from left to right.")
        self._up = ColumnCombo("What is drawn from bottom to top.")
        self._colour = ColumnCombo("What the points are coloured by.")
        self._picture = QLabel()
        self._picture.setFixedSize(THUMBNAIL_PX, THUMBNAIL_PX)
        self._about = hint_label("Point at a cell to see it.", "about")
        self._clear = push_button(
            "Select none",
            "Clear the selection of cells.",
            lambda: self._context.exploration.select([]),
        )
        self._hovered = -1
        self._runner = TaskRunner(self)
        self._method = narrow_combo(
            "How cells are placed; UMAP needs the package umap-learn.", METHODS
        )
        self._compute = push_button(
            "Place similar cells together",
            "Read the cells as the classifier sees them, and draw similar ones close together.",
            self.compute,
        )
        self._progress = ProgressRow(self._runner, "Stop", "Stop; the map stays as it is.")

    def _lay_out(self) -> None:
        axes = form({"Across": self._across, "Up": self._up, "Colour": self._colour})
        computed = (self._method, self._compute, self._progress)
        lasso = hint_label("Draw a line around cells to select them; Shift adds.")
        pointed_at = row(self._picture, (column(self._about, self._clear), 1))
        side = scrolling_column(column(pointed_at, axes, *computed, lasso, STRETCH))
        row((self._scatter, 4), (side, 1), within=self)

    def _connect(self) -> None:
        exploration = self._context.exploration
        for combo in (self._across, self._up, self._colour):
            combo.activated.connect(self.invalidate)
        self._scatter.chosen.connect(self._on_chosen)
        self._scatter.menu_wanted.connect(
            lambda row: offer_menu(self._context, self._model.key(row), self)
        )
        self._scatter.hovered.connect(self._on_hovered)
        self._scatter.entered.connect(lambda row: self._context.go_to_cell(self._model.key(row)))
        self._thumbnails.loaded.connect(self._show_picture)
        self._runner.busy_changed.connect(self.invalidate)
        self.listen(exploration.table_changed, self.invalidate)
        self.listen(self._context.session.classifier_changed, self.invalidate)
        self.listen(exploration.colouring_changed, self.invalidate)
        self.follow_selection(self._ring_selected)

    def compute(self) -> None:
        """Place the cells in scope on the map, off the main thread."""
        session, samples = self._context.session, cells_in_scope(self._context)
        if session.predictions.classifier is None or not samples:
            return
        self._progress.start(
            "Loading the detector",
            workflows.map_cells,
            samples,
            self._context.shown_study(),
            session.predictions.classifier.model,
            self._method.currentData(),
            self._context.device_name,
            on_done=self._take_over,
        )

    def _take_over(self, measured: Sequence[workflows.Measured]) -> None:
        for each in measured:
            self._context.exploration.add_measured(each.cells.key, each.cells.boxes, each.columns)

    def refresh(self) -> None:
        """Draw the cells in scope."""
        exploration = self._context.exploration
        self._model.setTable(exploration.table, exploration.rows)
        self._scale = gallery_scale(exploration.table, exploration.samples)
        self._fill_columns()
        table, rows = self._model.table, self._model.rows
        across, up = self._across.currentData(), self._up.currentData()
        points = np.full((len(rows), 2), np.nan)
        for place, name in enumerate((across, up)):
            if name in table:
                points[:, place] = table[name].to_numpy(np.float64)[rows]
        titles = (column_title(across or ""), column_title(up or ""))
        self._scatter.setPoints(points, self._colours(), titles)
        self._hovered = -1
        has_classifier = self._context.session.predictions.classifier is not None
        self._compute.setEnabled(has_classifier and len(rows) > 0 and not self._runner.busy)
        self._ring_selected()

    def _colours(self) -> npt.NDArray[np.float64]:
        """Return (n, 3) RGB of the points, on the scale of the boxes."""
        colouring, table = self._context.exploration.colouring, self._model.table
        name = self._colour.currentData()
        if name not in table:
            return map_colours(np.full(len(self._model.rows), 0.5))[:, :3]
        if name in text_columns(table):
            categories = self._context.exploration.categories_of(table, name)
            return categories.colours(self._model.rows)[:, :3]
        values = table[name].to_numpy(np.float64)[self._model.rows]
        return colouring.colours(colouring.spread(values))[:, :3]

    def _fill_columns(self) -> None:
        columns = list(numeric_columns(self._model.table))
        has_map = ACROSS in columns and UP in columns
        wanted = (ACROSS, UP) if has_map else ("diameter_px", "attention")
        first = self._context.exploration.colouring.column
        defaults = (*wanted, "attention" if first == MAKER else first)
        texts = text_columns(self._model.table)
        combos = {self._across: columns, self._up: columns, self._colour: [*columns, *texts]}
        for (combo, offered), default in zip(combos.items(), defaults, strict=True):
            if has_map and ACROSS not in combo.columns():
                combo.clear()  # a new map is shown at once
            combo.setColumns(offered, default)

    def _ring_selected(self) -> None:
        rows = self._model.rows_of(self._context.exploration.selection)
        self._scatter.setSelected(np.array(rows, dtype=np.intp))

    def _on_chosen(self, rows: npt.NDArray[np.intp], adds: bool) -> None:
        keys = self._model.keys(rows.tolist())
        exploration = self._context.exploration
        if len(keys) == 1 and not adds:
            exploration.ask_about(keys[0])
        else:
            exploration.select([*(exploration.selection if adds else ()), *keys])

    def _on_hovered(self, row: int) -> None:
        if row != self._hovered:
            self._hovered = row
            self._show_picture()

    def _show_picture(self) -> None:
        """Show the cell under the mouse; called again when its thumbnail has been cut."""
        if not 0 <= self._hovered < self._model.rowCount():
            return
        sample, cell = self._model.key(self._hovered)
        cutout = cutout_of(self._model, self._hovered, self._scale, THUMBNAIL_PX)
        self._about.setText(f"Cell {cell} in image {cutout.image_index + 1} of {sample}")
        pixmap = self._thumbnails.pixmap(cutout)
        if pixmap is not None:
            self._picture.setPixmap(pixmap)
