"""The card about one cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMenu

from napari_attmil.widgets.card.card import CellCard, SimilarCells
from napari_attmil.widgets.card.strips import ContributionBars, MeasureStrips
from support.hand import MOUSE
from support.pages.page import Page

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

    from napari_attmil.explore import CellMeasure
    from napari_attmil.session import CellKey
    from napari_attmil.widgets.dock_panel import DockPanel


class CardPage(Page):
    """The card that a panel opens, as a person sees it."""

    def __init__(self, panel: DockPanel, qtbot: QtBot) -> None:
        self.panel, self.qtbot = panel, qtbot

    @property
    def widget(self) -> CellCard:  # type: ignore[override]
        card = self.panel.card_host.card
        assert card is not None, "the card is closed"
        return card

    @property
    def is_open(self) -> bool:
        return self.panel.card_host.card is not None

    @property
    def window(self) -> QDockWidget:
        dock = self.widget.parent()
        assert isinstance(dock, QDockWidget)
        return dock

    def key(self) -> CellKey | None:
        """Return which cell the card is about; None if it is closed."""
        if not self.is_open or self.widget.facts is None:
            return None
        return self.widget.facts.sample, self.widget.facts.cell_id

    def wait_complete(self) -> None:
        """Wait until nothing more is computed."""
        self.qtbot.waitUntil(lambda: not self.shows("state"), timeout=10_000)

    def contributions(self) -> dict[str, float]:
        return self.part(ContributionBars).value()

    def measures(self) -> tuple[CellMeasure, ...]:
        return self.part(MeasureStrips).value()

    def similar(self) -> list[CellKey]:
        return [(cell.sample, cell.cell_id) for cell in self.part(SimilarCells).value()]

    def press_similar(self, place: int) -> None:
        self.part(SimilarCells).press(place)

    def tags(self) -> frozenset[str]:
        """Return the tags of the cell that the card shows."""
        return self.widget.answers.value()

    def answer(self, tag: str) -> None:
        self.widget.answers.press(tag)

    def press_escape(self) -> None:
        MOUSE.keyClick(self.window, Qt.Key.Key_Escape)


def menus_of(panel: DockPanel) -> list[str]:
    """Return what the open menu of a cell offers."""
    (menu,) = (menu for menu in panel.findChildren(QMenu) if menu.isVisible())
    return [action.text() for action in menu.actions() if action.text()]


def choose_in_menu(panel: DockPanel, text: str) -> None:
    """Choose what begins so in the open menu of a cell."""
    (menu,) = (menu for menu in panel.findChildren(QMenu) if menu.isVisible())
    (action,) = (action for action in menu.actions() if action.text().startswith(text))
    action.trigger()
    menu.close()
