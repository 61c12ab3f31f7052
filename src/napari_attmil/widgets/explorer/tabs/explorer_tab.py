"""What the tabs of the explorer have in common: they refresh only while they are visible."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import QAbstractItemModel, QModelIndex, QPoint, Qt
from qtpy.QtGui import QShortcut, QShowEvent
from qtpy.QtWidgets import QAbstractItemView, QApplication, QTableView, QWidget

from napari_attmil.widgets.card import offer_menu
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.explorer.cell_model import CellModel, LinkedSelection
from napari_attmil.widgets.notes_menu import TAG_KEYS, toggle_tag
from napari_attmil.widgets.parts import Listening, elastic, pause_timer
from napari_attmil.widgets.viewer import to_qt


class ExplorerTab(Listening, QWidget):
    """A tab that shows the cells in scope in its own way.

    Parameters
    ----------
    context
        The panel's.
    """

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._show_selection: Callable[[], None] | None = None
        self.is_stale = True
        # Several changes in a row are shown once.
        self._refresh_timer = pause_timer(self._refresh_now, parent=self)
        self._create()
        self._lay_out()
        self._connect()

    def refresh(self) -> None:
        """Show the present state; called only while the tab is visible."""

    def invalidate(self) -> None:
        """Refresh soon, or as soon as the tab is visible."""
        self.is_stale = True
        if self.isVisible():
            self._refresh_timer.start()

    def showEvent(self, event: QShowEvent) -> None:
        """Show what has changed while the tab was hidden."""
        super().showEvent(event)
        if self.is_stale:
            self._refresh_timer.start()
        elif self._show_selection is not None:
            self._show_selection()

    def follow_selection(self, show: Callable[[], None]) -> None:
        """Show which cells are selected whenever that changes, or as soon as the tab is visible."""
        self._show_selection = show
        self.listen(self._context.exploration.selection_changed, self._on_selection)

    def _on_selection(self) -> None:
        if self._show_selection is not None and self.isVisible() and not self.is_stale:
            self._show_selection()

    def _create(self) -> None:
        """Make the controls."""

    def _lay_out(self) -> None:
        """Arrange the controls."""

    def _connect(self) -> None:
        """Listen to controls, session and exploration."""

    def _refresh_now(self) -> None:
        if self.is_stale and self.isVisible():
            self.is_stale = False
            self.refresh()


class CellsTab(ExplorerTab):
    """A tab with one view of the cells; a double click goes to a cell in the images."""

    def _show_in(self, view: QAbstractItemView, model: CellModel) -> None:
        """Link the selection of a view to that of the exploration, and follow double clicks."""
        exploration = self._context.exploration
        self._view, self._model = view, model
        self._selection = LinkedSelection(view, exploration)
        view.clicked.connect(self._on_click)
        view.doubleClicked.connect(self._on_double_click)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._on_menu)
        self._shortcuts = {name: QShortcut(view) for name in TAG_KEYS}
        for name, shortcut in self._shortcuts.items():
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(partial(self._toggle_tag, TAG_KEYS[name]))
        self.listen(self._context.keys.keys_changed, self._set_keys)
        self._set_keys()
        self.listen(exploration.table_changed, self.invalidate)
        self.follow_selection(self._selection.show)

    def _set_keys(self) -> None:
        for name, shortcut in self._shortcuts.items():
            shortcut.setKey(to_qt(self._context.keys.key(name)))

    def _toggle_tag(self, tag: str) -> None:
        exploration = self._context.exploration
        toggle_tag(self._context.session, exploration.by_sample(exploration.selection), tag)

    def _on_double_click(self, index: QModelIndex) -> None:
        self._context.go_to_cell(self._model.key(index.row()))

    def _on_click(self, index: QModelIndex) -> None:
        """Answer about the cell; with Shift or Control, cells are only selected."""
        if QApplication.keyboardModifiers() == Qt.KeyboardModifier.NoModifier:
            self._context.exploration.ask_about(self._model.key(index.row()))

    def _on_menu(self, place: QPoint) -> None:
        index = self._view.indexAt(place)
        if index.isValid():
            offer_menu(self._context, self._model.key(index.row()), self)


def table_view(model: QAbstractItemModel, tip: str) -> QTableView:
    """Return a table of whole rows that can be sorted but not edited."""
    view = elastic(QTableView())
    view.setModel(model)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSortingEnabled(True)
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(22)
    view.setToolTip(tip)
    return view
