"""Selection is one thing: whichever view a cell is picked in, all others show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from support.pages.attention_mil import ResultPage
from support.pages.explorer import CellsPage, ExplorerPage
from support.predictions import FakeClassifier

from napari_attmil.cells import Boxes
from napari_attmil.session import LoadedClassifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image
    from pytestqt.qtbot import QtBot
    from support.hand import Hand

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
    from napari_attmil.widgets.explorer.panel import ExploreWidget

VIEWS = ("boxes", "gallery", "table", "map", "top cells")
PER_IMAGE = 9


class Views:
    """One window with everything that shows cells."""

    def __init__(
        self, viewer: Any, panel: AttentionMILWidget, explorer: ExploreWidget, qtbot: QtBot
    ) -> None:
        self.viewer, self.panel, self.explorer, self.qtbot = viewer, panel, explorer, qtbot
        self.page = ExplorerPage(explorer, qtbot)
        self.context = explorer.context
        session = self.context.session
        low = np.array(
            [[12 + 35 * column, 8 + 30 * row] for row in range(3) for column in range(3)]
        )
        corners = np.tile(np.concatenate([low, low + 20], axis=1), (3, 1))
        images = np.repeat([0, 1, 2], PER_IMAGE)
        session.editor.merge(Boxes.from_detections(images, corners, np.full(len(images), 0.9)))
        session.predictions.use(LoadedClassifier(FakeClassifier(), "fake"))
        said = FakeClassifier().predict("blood", session.boxes.cell_id)
        session.predictions.set(said, session.boxes)

    def look_at_all(self, image_index: int = 0) -> None:
        """Show a whole image, once the window has its final form."""
        QApplication.processEvents()
        self.context.cells.camera.turn_to(image_index)
        self.viewer.reset_view()
        QApplication.processEvents()

    def open_all(self) -> None:
        """Bring every tab to the front once: from now on they only have to keep up."""
        for page in (self.page.gallery, self.page.table, self.page.map):
            page.open()

    def pick(self, view: str, cell: int, hand: Hand) -> None:
        """Click a cell in one of the views."""
        if view == "boxes":
            self.look_at_all((cell - 1) // PER_IMAGE)
            x_min, y_min, x_max, y_max = self.context.session.boxes.xyxy[cell - 1].tolist()
            hand.click(20 + (x_min + x_max) / 4, 10 + (y_min + y_max) / 4)
        elif view == "top cells":
            result = ResultPage(self.panel.result_step)
            self.qtbot.waitUntil(lambda: cell in result.top_cells(), timeout=10_000)
            result.press_top_cell(result.top_cells().index(cell))
        elif view == "map":
            self.page.map.open()
            self.page.map.click(self.page.map.ids().index(cell))
        else:
            page: CellsPage = getattr(self.page, view)
            page.open()
            page.view.scrollTo(page.index(page.ids().index(cell)))
            page.click(page.ids().index(cell))

    def shows(self, view: str, cell: int) -> bool:
        """Tell whether a view shows one cell as the selected one, and nothing else."""
        if view == "boxes":
            return self.context.cells.layer.selected_data == {cell - 1}
        if view == "map":
            page = self.page.map
            page.open()
            return page.ringed() == 1 and page.is_ringed(page.ids().index(cell))
        page = getattr(self.page, view)
        page.open()
        row = page.ids().index(cell)
        seen = page.view.viewport().rect().intersects(page.view.visualRect(page.index(row)))
        return page.selected_ids() == {cell} and seen


@pytest.fixture
def views(
    window_viewer: Any,
    stack: Image,
    make_panel: Callable[[Any], AttentionMILWidget],
    make_explorer: Callable[[Any], ExploreWidget],
    qtbot: QtBot,
) -> Views:
    window_viewer.window.resize(1280, 900)
    window_viewer.window.show()
    window_viewer.add_layer(stack)
    views = Views(window_viewer, make_panel(window_viewer), make_explorer(window_viewer), qtbot)
    dock, window = views.explorer.dock(), views.explorer.window()
    qtbot.waitUntil(lambda: window.dockWidgetArea(dock) == Qt.DockWidgetArea.BottomDockWidgetArea)
    views.open_all()
    views.look_at_all()
    return views


@pytest.mark.parametrize("picked", VIEWS)
def test_cell_picked_in_one_view_is_selected_in_all_others(
    views: Views, make_hand: type[Hand], picked: str
) -> None:
    hand = make_hand(views.viewer)
    views.viewer.layers.selection.active = views.context.cells.camera.image
    for cell in (27, 25):
        views.pick(picked, cell, hand)
        assert views.context.session.selection == (cell,)
        views.context.cells.camera.turn_to((cell - 1) // PER_IMAGE)
        for shown in VIEWS[:-1]:
            assert views.shows(shown, cell), f"picked in {picked}, not shown in {shown}"


@pytest.mark.parametrize("active", ["image", "layer"])
def test_selected_box_is_marked_whichever_layer_is_active(views: Views, active: str) -> None:
    cells, viewer = views.context.cells, views.viewer
    for each in (cells.layer, cells.camera.image, cells.layer):
        viewer.layers.selection.active = each
        views.qtbot.wait(1)  # napari's own answer, and ours after it
    viewer.layers.selection.active = cells.layer if active == "layer" else cells.camera.image
    views.qtbot.wait(1)
    cells.camera.turn_to(0)
    unmarked = viewer.screenshot(flash=False)
    views.context.session.select([2])
    assert (viewer.screenshot(flash=False) != unmarked).any()


def test_click_beside_all_boxes_and_a_drag_select_nothing(
    views: Views, make_hand: type[Hand]
) -> None:
    views.viewer.layers.selection.active = views.context.cells.camera.image
    hand = make_hand(views.viewer)
    views.context.session.select([3])
    hand.click(20 + 1, 10 + 1)
    hand.drag((20 + 11, 10 + 9), (20 + 31, 10 + 19))
    assert views.context.session.selection == (3,)


def test_shift_click_adds_a_cell_and_takes_it_away(views: Views, make_hand: type[Hand]) -> None:
    views.viewer.layers.selection.active = views.context.cells.camera.image
    hand = make_hand(views.viewer)
    views.pick("boxes", 1, hand)
    hand.click(20 + 57 / 2, 10 + 18 / 2, Qt.KeyboardModifier.ShiftModifier)
    assert views.context.session.selection == (1, 2)
    hand.click(20 + 22 / 2, 10 + 18 / 2, Qt.KeyboardModifier.ShiftModifier)
    assert views.context.session.selection == (2,)
