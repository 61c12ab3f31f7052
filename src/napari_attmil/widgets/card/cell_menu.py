"""The menu of a right click on a cell, in whichever view."""

from __future__ import annotations

from qtpy.QtCore import QPoint
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QMenu, QWidget

from napari_attmil.session import CellKey
from napari_attmil.widgets.context import PanelContext


class CellMenu(QMenu):
    """What can be done with one cell.

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


def offer_menu(
    context: PanelContext, key: CellKey, parent: QWidget | None = None, place: QPoint | None = None
) -> CellMenu:
    """Open the menu of a cell, at the mouse pointer by default; it is deleted when it closes."""
    menu = CellMenu(context, key, parent)
    menu.aboutToHide.connect(menu.deleteLater)
    menu.popup(QCursor.pos() if place is None else place)
    return menu
