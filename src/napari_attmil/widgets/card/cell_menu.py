"""The menu of a right click on a cell, in whichever view."""

from __future__ import annotations

from qtpy.QtCore import QPoint
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QMenu, QWidget

from napari_attmil.session import CellKey
from napari_attmil.widgets.context import PanelContext
from napari_attmil.widgets.notes_menu import add_note_actions


class CellMenu(QMenu):
    """What can be done with one cell, and noted about it and those selected with it.

    Parameters
    ----------
    context
        The panel's.
    key
        The cell.
    """

    def __init__(self, context: PanelContext, key: CellKey, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        sample, cell = key
        about = self.addAction(
            f"About cell {cell} of {sample}…", lambda: context.exploration.ask_about(key)
        )
        about.setEnabled(not context.exploration.is_blind)
        self.addAction("Go to it", lambda: context.go_to_cell(key))
        self.addSeparator()
        exploration = context.exploration
        # With several cells selected, what is noted is noted about all of them.
        cells = exploration.selection if key in exploration.selection else (key,)
        noted = exploration.by_sample(cells)
        add_note_actions(self, context.session, noted, parent or self)


def offer_menu(
    context: PanelContext, key: CellKey, parent: QWidget | None = None, place: QPoint | None = None
) -> CellMenu:
    """Open the menu of a cell, at the mouse pointer by default; it is deleted when it closes."""
    menu = CellMenu(context, key, parent)
    menu.aboutToHide.connect(menu.deleteLater)
    menu.popup(QCursor.pos() if place is None else place)
    return menu
