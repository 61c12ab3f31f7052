from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QWidget
from support.pages.attention_mil import ResultPage
from support.pages.explorer import (
    ColoursPage,
    ExplorerPage,
    GalleryPage,
    MapPage,
    SamplePage,
    ScatterPage,
    TablePage,
)
from support.pages.page import Page

from napari_attmil import workflows
from napari_attmil.bags.attribution.what_if import RemovalCurve, WhatIf
from napari_attmil.core.errors import UserError
from napari_attmil.explore.colouring import FADED_ALPHA
from napari_attmil.session.cell_tables import MAKER
from napari_attmil.widgets.explorer.views.scatter import Scatter
from napari_attmil.widgets.parts import tell, warn
from napari_attmil.widgets.thumbnails import Thumbnails
from napari_attmil.workflows import Progress, Removal, Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import Event

    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
    from napari_attmil.widgets.explorer.panel import ExploreWidget


def send_drag(widget: QWidget, place: QPoint) -> None:
    """Move the mouse with the left button held; qtbot's moves hold none."""
    button = Qt.MouseButton.LeftButton
    where = QPointF(place), QPointF(widget.mapToGlobal(place))
    event = QMouseEvent(
        QEvent.Type.MouseMove, *where, Qt.MouseButton.NoButton, button, Qt.KeyboardModifier(0)
    )
    QApplication.sendEvent(widget, event)


@pytest.fixture
def page(explored: ExploreWidget, qtbot: QtBot) -> ExplorerPage:
    return ExplorerPage(explored, qtbot)


@pytest.fixture
def colours(page: ExplorerPage) -> ColoursPage:
    page.colours.open()
    return page.colours


def test_boxes_are_coloured_by_the_column_that_is_chosen(
    explored: ExploreWidget, colours: ColoursPage, qtbot: QtBot
) -> None:
    layer = explored.context.cells.layer
    assert layer.edge_color[8].tolist() == [1, 1, 1, 1]
    colours.colour_by(MAKER)
    assert len({tuple(colour) for colour in layer.edge_color.tolist()}) == 1
    colours.colour_by("contribution_sickle")
    assert layer.edge_color[8].tolist() == [1, 1, 1, 1]


def test_tags_have_colours_and_a_legend(
    explored: ExploreWidget, colours: ColoursPage, qtbot: QtBot
) -> None:
    session, layer = explored.context.session, explored.context.cells.layer
    cells = session.boxes.cell_id.tolist()
    session.notes.tag(cells[:2], "a < b")
    choice = colours.combo("What the boxes are coloured by")
    qtbot.waitUntil(lambda: choice.findData("tags") >= 0)
    colours.colour_by("tags")
    first = layer.edge_color[layer.features["cell_id"].to_numpy() == cells[0]][0]
    np.testing.assert_allclose(first, [230 / 255, 159 / 255, 0, 1], atol=0.01)
    qtbot.waitUntil(lambda: "a &lt; b: 2 cells" in colours.text("explanation"))
    session.editor.undo()
    qtbot.waitUntil(lambda: "a &lt; b" not in colours.text("explanation"))


def test_slider_fades_cells_outside_of_the_range(
    explored: ExploreWidget, colours: ColoursPage, qtbot: QtBot
) -> None:
    layer = explored.context.cells.layer
    colours.drag_range(0.5, 1)
    qtbot.waitUntil(lambda: explored.context.exploration.colouring.low == 0.5, timeout=5000)
    assert (layer.edge_color[:, 3] == 1).sum() == 5
    assert layer.edge_color[:, 3].min() == pytest.approx(FADED_ALPHA)
    qtbot.waitUntil(lambda: colours.text("explanation").startswith("5 of 9 cells"), timeout=5000)
    colours.hide_outside()
    assert layer.edge_color[:, 3].min() == 0


def test_stale_colours_are_marked_and_updated_by_one_click(
    explored: ExploreWidget, colours: ColoursPage, qtbot: QtBot
) -> None:
    session = explored.context.session
    assert not colours.shows("stale") and colours.button("Classify").isHidden()
    session.editor.add(0, [80, 50, 100, 70])
    qtbot.waitUntil(lambda: colours.shows("stale"), timeout=5000)
    colours.press("Update")
    qtbot.waitUntil(lambda: not colours.shows("stale"), timeout=5000)
    assert len(session.state.prediction.cell_id) == 10


def test_filter_is_told_when_it_cannot_be_understood(explored: ExploreWidget, qtbot: QtBot) -> None:
    scope = ExplorerPage(explored, qtbot).scope
    scope.filter("attention > 0.2")
    qtbot.waitUntil(lambda: scope.says("2 of 9 cells"), timeout=5000)
    scope.filter("size > 3")
    assert "There is no column 'size'" in scope.text("hint")
    assert len(explored.context.exploration.rows) == 2


def test_closed_explorer_no_longer_listens(explored: ExploreWidget, viewer: ViewerModel) -> None:
    explored.close_panel()
    explored.context.session.editor.add(0, [80, 50, 100, 70])
    assert not any(timer.isActive() for timer in explored.colours.findChildren(QTimer))


def test_explorer_goes_below_the_images(
    window_viewer: Any, stack: Image, make_explorer: Callable[[Any], ExploreWidget], qtbot: QtBot
) -> None:
    window_viewer.add_layer(stack)
    explorer = make_explorer(window_viewer)
    dock, window = explorer.parent(), explorer.window()
    qtbot.waitUntil(
        lambda: window.dockWidgetArea(dock) == window.dockWidgetArea(dock).BottomDockWidgetArea,
        timeout=5000,
    )


def test_result_step_opens_the_explorer(
    docked_panel: AttentionMILWidget, window_viewer: Any, qtbot: QtBot
) -> None:
    ResultPage(docked_panel.result_step).press("Explore cells")
    (dock,) = [d for name, d in window_viewer.window.dock_widgets.items() if "Explore" in name]
    assert dock.context.session is docked_panel.context.session
    dock.close_panel()


@pytest.fixture
def gallery(page: ExplorerPage) -> GalleryPage:
    page.gallery.open()
    return page.gallery


def test_gallery_shows_the_highest_first_and_selects_everywhere(
    explored: ExploreWidget, gallery: GalleryPage, qtbot: QtBot
) -> None:
    assert gallery.ids() == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    gallery.click(1)
    assert explored.context.session.selection == (8,)
    assert explored.context.cells.layer.selected_data == {7}
    explored.context.session.select([3, 4])
    assert gallery.selected_rows() == {5, 6}


def test_double_click_in_the_gallery_goes_to_the_cell(
    explored: ExploreWidget, gallery: GalleryPage, viewer: ViewerModel, qtbot: QtBot
) -> None:
    gallery.click(0)
    gallery.double_click(0)
    assert viewer.dims.current_step[0] == 2
    assert viewer.scene.camera.center[-2:] == pytest.approx((10 + 70 / 2, 20 + 30 / 2))


def test_thumbnails_show_the_cells_of_their_images(
    explored: ExploreWidget, gallery: GalleryPage, stack: Image, qtbot: QtBot
) -> None:
    cutout = gallery.view.cutout(0)
    assert (cutout.sample, cutout.image_index, cutout.x, cutout.y) == ("blood", 2, 30, 70)
    qtbot.waitUntil(lambda: gallery.thumbnails.pixmap(cutout) is not None, timeout=10_000)
    half = int(cutout.side_px / 2)
    part = stack.data[2, 70 - half : 70 + half, 30 - half : 30 + half]
    assert cutout.cut(stack.data[2]).mean() == pytest.approx(part.mean(), rel=0.05)


@pytest.mark.parametrize(("shift_px", "moved"), [(0.005, False), (0.02, True)])
def test_thumbnail_is_cut_again_once_its_box_lies_elsewhere(
    explored: ExploreWidget, gallery: GalleryPage, qtbot: QtBot, shift_px: float, moved: bool
) -> None:
    # Not the gallery's own: repainted, it asks for the cell where it was.
    cutout, thumbnails = gallery.view.cutout(0), Thumbnails(explored.context, explored)
    qtbot.waitUntil(lambda: thumbnails.pixmap(cutout) is not None, timeout=10_000)
    now = replace(cutout, x=cutout.x + shift_px)
    assert (thumbnails.pixmap(now) is None) == moved
    qtbot.waitUntil(lambda: thumbnails.pixmap(now) is not None, timeout=10_000)


def test_gallery_in_another_order(
    explored: ExploreWidget, gallery: GalleryPage, qtbot: QtBot
) -> None:
    gallery.turn_order()
    qtbot.waitUntil(lambda: gallery.ids()[0] == 1, timeout=5000)
    gallery.turn_order()
    gallery.show_highest_of_each("sample")
    qtbot.waitUntil(lambda: gallery.ids() == [9, 8, 7, 6, 5, 4, 3, 2], timeout=5000)


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_gallery_is_exported_as_a_figure(
    gallery: GalleryPage, tmp_path: Path, qtbot: QtBot, suffix: str, magic: bytes
) -> None:
    path = tmp_path / f"cells.{suffix}"
    gallery.export(path)
    qtbot.waitUntil(path.exists, timeout=10_000)
    assert path.read_bytes().startswith(magic)
    if suffix == "svg":
        text = path.read_text(encoding="utf-8")
        assert "not a diagnosis" in text and text.count("<image") == 9


@pytest.fixture
def table(page: ExplorerPage) -> TablePage:
    page.table.open()
    return page.table


def test_table_is_sorted_by_a_click_on_a_heading(table: TablePage, qtbot: QtBot) -> None:
    orders = []
    for _ in range(2):
        table.click_heading("attention")
        orders.append(table.ids()[:3])
    assert sorted(orders) == [[1, 2, 3], [9, 8, 7]]


def test_table_and_session_share_one_selection(explored: ExploreWidget, table: TablePage) -> None:
    table.select(2)
    assert explored.context.session.selection == (table.ids()[2],)
    explored.context.session.select([9])
    assert table.selected_ids() == {9}


def test_table_is_exported_as_shown(
    explored: ExploreWidget, table: TablePage, tmp_path: Path, qtbot: QtBot
) -> None:
    explored.context.exploration.set_filter("attention > 0.2")
    qtbot.waitUntil(lambda: table.model.rowCount() == 2, timeout=5000)
    explored.table.export(tmp_path / "cells.v1")
    written = pd.read_csv(tmp_path / "cells.v1.csv")
    assert written["cell_id"].tolist() == [8, 9] and "contribution_sickle" in written


@pytest.fixture
def cell_map(page: ExplorerPage) -> MapPage:
    page.map.open()
    return page.map


def test_lasso_selects_the_cells_within_it_everywhere(
    explored: ExploreWidget, cell_map: MapPage, qtbot: QtBot
) -> None:
    points = cell_map.points
    inside = np.flatnonzero(points[:, 1] > 0.1)
    low, high = 0.1, points[:, 1].max() + 1
    cell_map.lasso([(-1e3, low), (1e3, low), (1e3, high), (-1e3, high)])
    expected = tuple(sorted(cell_map.ids()[int(row)] for row in inside))
    assert explored.context.session.selection == expected and len(expected) > 1
    assert len(explored.context.cells.layer.selected_data) == len(expected)


def test_lasso_is_drawn_with_the_left_button(
    explored: ExploreWidget, cell_map: MapPage, qtbot: QtBot
) -> None:
    plot = cell_map.plot
    qtbot.waitExposed(plot)
    size = plot.viewport().size()
    corners = [(0.2, 0.03), (0.97, 0.03), (0.97, 0.75), (0.2, 0.75)]
    places = [QPoint(int(x * size.width()), int(y * size.height())) for x, y in corners]
    qtbot.mousePress(plot.viewport(), Qt.MouseButton.LeftButton, pos=places[0])
    for place in places[1:]:
        send_drag(plot.viewport(), place)
    qtbot.mouseRelease(plot.viewport(), Qt.MouseButton.LeftButton, pos=places[-1])
    assert explored.context.session.selection


def test_cell_under_the_mouse_is_shown(cell_map: MapPage, qtbot: QtBot) -> None:
    cell_map.point_at(4)
    assert cell_map.text("about") == "Cell 5 in image 2 of blood"
    qtbot.waitUntil(lambda: cell_map.shows_picture(), timeout=10_000)


def test_selected_cells_are_ringed_on_the_map(explored: ExploreWidget, cell_map: MapPage) -> None:
    explored.context.session.select([2, 3])
    assert cell_map.ringed() == 2


def test_points_of_the_map_have_their_colours_in_whatever_view(qtbot: QtBot) -> None:
    scatter = Scatter()
    page = ScatterPage(scatter)
    qtbot.addWidget(scatter)
    scatter.resize(400, 300)
    with qtbot.waitExposed(scatter):
        scatter.show()
    points = np.array([[0, 0], [np.nan, 1], [10.0, 3]])
    scatter.setPoints(points, np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]))
    assert page.colour_on_screen(0) == (255, 0, 0)
    assert page.colour_on_screen(2) == (0, 0, 255)
    page.plot.getViewBox().setRange(xRange=(-5, 40), yRange=(-9, 5))
    assert page.colour_on_screen(2) == (0, 0, 255)
    scatter.setPoints(points[:1], np.array([[0, 1.0, 0]]))
    assert page.colour_on_screen(0) == (0, 255, 0)


def fake_removal(
    study: Any, cells: Any, classifier: Any, score: Any, device_name: str, stop: Event
) -> Stage[Removal]:
    yield Progress(0, 0, "Reading")
    left = np.array([[0.1, 0.7, 0.2], [0.3, 0.5, 0.2], [0.6, 0.2, 0.2]])
    curve = RemovalCurve(np.array([9, 8]), left, left, left - 0.1, left + 0.1)

    def without(cell_ids: Any) -> npt.NDArray[Any]:
        if len(cell_ids) == 9:
            raise UserError("All 9 cells would be taken away; leave at least one.")
        return np.array([0.2, 0.3, 0.5])

    return Removal(cast("WhatIf", SimpleNamespace(without=without)), curve, np.arange(9.0))


@pytest.fixture
def sample_tab(page: ExplorerPage, monkeypatch: pytest.MonkeyPatch) -> SamplePage:
    monkeypatch.setattr(workflows, "prepare_removal", fake_removal)
    page.sample.open()
    page.sample.prepare()
    return page.sample


def test_probabilities_move_as_cells_are_taken_away(
    explored: ExploreWidget, sample_tab: SamplePage, qtbot: QtBot
) -> None:
    assert sample_tab.probabilities()[0] == ("sickle", 0.7)
    assert "rests on about 5 of 9 cells" in sample_tab.text("cells")
    sample_tab.slider.setValue(2)
    assert sample_tab.without()[0] == ("healthy", 0.6)
    assert sample_tab.says("Without the 2 cells that count most:")
    sample_tab.drag_line(1.2)
    assert sample_tab.slider.value() == 1 and sample_tab.without()[0] == ("sickle", 0.5)
    assert not sample_tab.can_press("Remove the selected")
    explored.context.session.select([1])
    sample_tab.press("Remove the selected")
    assert sample_tab.without()[0] == ("spherocytosis", 0.5)
    assert "distance_from_healthy" in explored.context.exploration.sample_table


def test_taking_all_cells_away_is_refused(explored: ExploreWidget, sample_tab: SamplePage) -> None:
    explored.context.session.select(np.arange(1, 10))
    sample_tab.press("Remove the selected")
    assert any("leave at least one" in message for message in Page(explored).messages())


def test_what_if_is_forgotten_with_the_prediction(
    explored: ExploreWidget, sample_tab: SamplePage, qtbot: QtBot
) -> None:
    explored.context.session.predictions.use(None)
    qtbot.waitUntil(lambda: not sample_tab.is_prepared(), timeout=5000)
    assert sample_tab.text("certainty") == "This sample is not classified yet."


def test_reopened_explorer_shows_the_same_cells_and_selection(
    explored: ExploreWidget,
    gallery: GalleryPage,
    viewer: ViewerModel,
    make_explorer: Callable[[Any], ExploreWidget],
    qtbot: QtBot,
) -> None:
    explored.context.session.select([3])
    explored.close_panel()
    again = ExplorerPage(make_explorer(viewer), qtbot).gallery
    again.open()
    assert again.ids() == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert again.selected_ids() == {3}


def test_without_the_boxes_layer_the_gallery_goes_on_and_a_double_click_brings_it_back(
    explored: ExploreWidget, gallery: GalleryPage, viewer: ViewerModel, qtbot: QtBot
) -> None:
    viewer.layers.remove(explored.context.cells.layer)
    gallery.click(0)
    assert explored.context.session.selection == (9,)
    gallery.double_click(0)
    qtbot.waitUntil(lambda: explored.context.cells.layer is not None, timeout=5000)
    assert explored.context.cells.layer.nshapes == 9


def test_explorers_of_two_viewers_do_not_mix(
    explored: ExploreWidget,
    gallery: GalleryPage,
    make_explorer: Callable[[Any], ExploreWidget],
    qtbot: QtBot,
) -> None:
    other = make_explorer(ViewerModel())
    others = ExplorerPage(other, qtbot).gallery
    others.open()
    explored.context.session.select([2])
    assert others.ids() == [] and other.context.session.selection == ()
    other.close_panel()
    assert gallery.ids() == [9, 8, 7, 6, 5, 4, 3, 2, 1]


def test_boxes_selected_in_the_layer_are_selected_in_gallery_and_table(
    explored: ExploreWidget, page: ExplorerPage, gallery: GalleryPage, qtbot: QtBot
) -> None:
    explored.context.cells.layer.selected_data = {0, 4}
    assert gallery.selected_ids() == {1, 5}
    page.table.open()
    assert page.table.selected_ids() == {1, 5}


def test_tags_notes_and_own_columns_are_written_into_the_table(
    explored: ExploreWidget, table: TablePage, qtbot: QtBot
) -> None:
    session = explored.context.session
    first = table.ids()[0]
    session.notes.set_value([first], "stage", "1")
    qtbot.waitUntil(lambda: "stage" in table.model.table)
    for column, text in (("tags", "odd; not altered;"), ("note", "Blurred"), ("stage", "2")):
        table.write(0, column, text)
    note = session.notes.of(first)
    assert (note.tags, note.text) == (("not altered", "odd"), "Blurred")
    assert ("stage", "2") in note.columns
    assert not table.can_write(0, "score") and table.can_write(0, "stage")
    assert session.editor.undo_title == "stage: 2, 1 cell"


def test_key_in_the_gallery_tags_all_selected_cells(
    explored: ExploreWidget, gallery: GalleryPage, qtbot: QtBot
) -> None:
    session = explored.context.session
    explored.context.exploration.select(gallery.keys()[:2])
    explored.activateWindow()
    gallery.view.setFocus()
    gallery.press_key("Y")
    tagged = [cell for cell, note in session.state.notes.items() if note.tags == ("not altered",)]
    assert sorted(tagged) == sorted(gallery.ids()[:2])


def test_a_note_on_what_is_done_goes_with_the_tab_and_a_warning_stays(
    explored: ExploreWidget, qtbot: QtBot
) -> None:
    page = ExplorerPage(explored, qtbot)
    page.gallery.open()
    tell(explored.gallery, "The figure was written.")
    warn(explored.gallery, "A sample has no boxes.")
    page.table.open()
    assert Page(explored).messages() == ["A sample has no boxes."]
