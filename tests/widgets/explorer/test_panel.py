from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QComboBox, QWidget

from napari_attmil.bags.attribution.what_if import RemovalCurve, WhatIf
from napari_attmil.core.errors import UserError
from napari_attmil.explore.colouring import FADED_ALPHA
from napari_attmil.reports.cell_scale import GalleryScale
from napari_attmil.session.cell_tables import MAKER
from napari_attmil.widgets.explorer import explorer_tasks
from napari_attmil.widgets.explorer.explorer_tasks import Removal
from napari_attmil.widgets.explorer.gallery_export import export
from napari_attmil.widgets.explorer.views.gallery_figure import GalleryFigure, save_figure
from napari_attmil.widgets.explorer.views.scatter import Scatter
from napari_attmil.widgets.parts.workers import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path
    from threading import Event

    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    from napari_attmil.cells import Boxes
    from napari_attmil.images import Cohort
    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
    from napari_attmil.widgets.explorer.panel import ExploreWidget
    from napari_attmil.widgets.explorer.tabs.colours_tab import ColoursTab
    from napari_attmil.widgets.explorer.tabs.explorer_tab import ExplorerTab
    from napari_attmil.widgets.explorer.tabs.gallery_tab import GalleryTab
    from napari_attmil.widgets.explorer.tabs.map_tab import MapTab
    from napari_attmil.widgets.explorer.tabs.sample_tab import SampleTab
    from napari_attmil.widgets.explorer.tabs.table_tab import TableTab


def show_tab(explorer: ExploreWidget, tab: ExplorerTab, qtbot: QtBot) -> None:
    explorer.show_tab(tab)
    qtbot.waitUntil(lambda: not tab._is_stale, timeout=5000)


def send_drag(widget: QWidget, place: QPoint) -> None:
    """Move the mouse with the left button held; qtbot's moves hold none."""
    button = Qt.MouseButton.LeftButton
    where = QPointF(place), QPointF(widget.mapToGlobal(place))
    event = QMouseEvent(
        QEvent.Type.MouseMove, *where, Qt.MouseButton.NoButton, button, Qt.KeyboardModifier(0)
    )
    QApplication.sendEvent(widget, event)


def choose(combo: QComboBox, value: object) -> None:
    combo.setCurrentIndex(combo.findData(value))
    combo.activated.emit(combo.currentIndex())


@pytest.fixture
def colours(explored: ExploreWidget, qtbot: QtBot) -> ColoursTab:
    show_tab(explored, explored.colours, qtbot)
    return explored.colours


def test_boxes_are_coloured_by_the_column_that_is_chosen(
    explored: ExploreWidget, colours: ColoursTab, qtbot: QtBot
) -> None:
    layer = explored.context.cells.layer
    assert layer.edge_color[8].tolist() == [1, 1, 1, 1]
    choose(colours._column, MAKER)
    assert len({tuple(colour) for colour in layer.edge_color.tolist()}) == 1
    choose(colours._column, "contribution_sickle")
    assert layer.edge_color[8].tolist() == [1, 1, 1, 1]


def test_slider_fades_cells_outside_of_the_range(
    explored: ExploreWidget, colours: ColoursTab, qtbot: QtBot
) -> None:
    layer = explored.context.cells.layer
    colours._range._slider.setValue((500, 1000))
    qtbot.waitUntil(lambda: explored.context.exploration.colouring.low == 0.5, timeout=5000)
    assert (layer.edge_color[:, 3] == 1).sum() == 5
    assert layer.edge_color[:, 3].min() == pytest.approx(FADED_ALPHA)
    qtbot.waitUntil(lambda: colours._explanation.text().startswith("5 of 9 cells"), timeout=5000)
    choose(colours._outside, True)
    assert layer.edge_color[:, 3].min() == 0


def test_stale_colours_are_marked_and_updated_by_one_click(
    explored: ExploreWidget, colours: ColoursTab, qtbot: QtBot
) -> None:
    session = explored.context.session
    assert colours._stale.isHidden() and colours._update.isHidden()
    session.editor.add(0, [80, 50, 100, 70])
    qtbot.waitUntil(lambda: not colours._stale.isHidden(), timeout=5000)
    assert colours._update.text() == "Update"
    colours._update.click()
    qtbot.waitUntil(lambda: colours._stale.isHidden(), timeout=5000)
    assert len(session.state.prediction.cell_id) == 10


def test_filter_is_told_when_it_cannot_be_understood(explored: ExploreWidget, qtbot: QtBot) -> None:
    bar = explored.scope_bar
    bar._filter.setText("attention > 0.2")
    bar._filter.editingFinished.emit()
    qtbot.waitUntil(lambda: bar._count.text() == "2 of 9 cells", timeout=5000)
    bar._filter.setText("size > 3")
    bar._filter.editingFinished.emit()
    assert "There is no column 'size'" in bar._hint.text()
    assert len(explored.context.exploration.rows) == 2


def test_closed_explorer_no_longer_listens(explored: ExploreWidget, viewer: ViewerModel) -> None:
    explored.close_panel()
    explored.context.session.editor.add(0, [80, 50, 100, 70])
    assert not explored.colours._refresh_timer.isActive()


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
    docked_panel.result_step._explore.click()
    (dock,) = [d for name, d in window_viewer.window.dock_widgets.items() if "Explore" in name]
    assert dock.context.session is docked_panel.context.session
    dock.close_panel()


@pytest.fixture
def gallery(explored: ExploreWidget, qtbot: QtBot) -> GalleryTab:
    show_tab(explored, explored.gallery, qtbot)
    return explored.gallery


def ids(tab: Any) -> list[int]:
    return [tab._model.key(row)[1] for row in range(tab._model.rowCount())]


def test_gallery_shows_the_highest_first_and_selects_everywhere(
    explored: ExploreWidget, gallery: GalleryTab, qtbot: QtBot
) -> None:
    assert ids(gallery) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    view = gallery._view
    place = view.visualRect(view.model().index(1, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert explored.context.session.selection == (8,)
    assert explored.context.cells.layer.selected_data == {7}
    explored.context.session.select([3, 4])
    selected = {index.row() for index in view.selectionModel().selectedIndexes()}
    assert selected == {5, 6}


def test_double_click_in_the_gallery_goes_to_the_cell(
    explored: ExploreWidget, gallery: GalleryTab, viewer: ViewerModel, qtbot: QtBot
) -> None:
    view = gallery._view
    place = view.visualRect(view.model().index(0, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert viewer.dims.current_step[0] == 2
    assert viewer.scene.camera.center[-2:] == pytest.approx((10 + 70 / 2, 20 + 30 / 2))


def test_thumbnails_show_the_cells_of_their_images(
    explored: ExploreWidget, gallery: GalleryTab, stack: Image, qtbot: QtBot
) -> None:
    view = gallery._view
    cutout = view.cutout(0)
    assert (cutout.sample, cutout.image_index, cutout.x, cutout.y) == ("blood", 2, 30, 70)
    qtbot.waitUntil(lambda: cutout in gallery._thumbnails._kept, timeout=10_000)
    half = int(cutout.side_px / 2)
    part = stack.data[2, 70 - half : 70 + half, 30 - half : 30 + half]
    assert cutout.cut(stack.data[2]).mean() == pytest.approx(part.mean(), rel=0.05)


@pytest.mark.parametrize(("shift_px", "moved"), [(0.005, False), (0.02, True)])
def test_thumbnail_is_cut_again_once_its_box_lies_elsewhere(
    gallery: GalleryTab, qtbot: QtBot, shift_px: float, moved: bool
) -> None:
    cutout, thumbnails = gallery._view.cutout(0), gallery._thumbnails
    qtbot.waitUntil(lambda: thumbnails.pixmap(cutout) is not None, timeout=10_000)
    now = replace(cutout, x=cutout.x + shift_px)
    assert (thumbnails.pixmap(now) is None) == moved
    qtbot.waitUntil(lambda: thumbnails.pixmap(now) is not None, timeout=10_000)


def test_gallery_in_another_order(
    explored: ExploreWidget, gallery: GalleryTab, qtbot: QtBot
) -> None:
    choose(gallery._order, not gallery._order.currentData())
    qtbot.waitUntil(lambda: ids(gallery)[0] == 1, timeout=5000)
    choose(gallery._order, not gallery._order.currentData())
    choose(gallery._shown, "sample")
    qtbot.waitUntil(lambda: ids(gallery) == [9, 8, 7, 6, 5, 4, 3, 2], timeout=5000)


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_gallery_is_exported_as_a_figure(
    gallery: GalleryTab, tmp_path: Path, qtbot: QtBot, suffix: str, magic: bytes
) -> None:
    path = tmp_path / f"cells.{suffix}"
    export(path, gallery._exporter, gallery._view, gallery._thumbnails)
    qtbot.waitUntil(path.exists, timeout=10_000)
    assert path.read_bytes().startswith(magic)
    if suffix == "svg":
        text = path.read_text(encoding="utf-8")
        assert "not a diagnosis" in text and text.count("<image") == 9


def test_figure_of_another_kind_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be saved as '\.bmp'"):
        save_figure(tmp_path / "cells.bmp", GalleryFigure((), GalleryScale(), ""))


@pytest.fixture
def table(explored: ExploreWidget, qtbot: QtBot) -> TableTab:
    show_tab(explored, explored.table, qtbot)
    return explored.table


def test_table_is_sorted_by_a_click_on_a_heading(table: TableTab, qtbot: QtBot) -> None:
    header = table._view.horizontalHeader()
    column = list(table._model.table.columns).index("attention")
    table._view.scrollTo(table._model.index(0, column))
    place = QPoint(header.sectionViewportPosition(column) + 5, header.height() // 2)
    orders = []
    for _ in range(2):
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
        orders.append(ids(table)[:3])
    assert sorted(orders) == [[1, 2, 3], [9, 8, 7]]


def test_table_and_session_share_one_selection(explored: ExploreWidget, table: TableTab) -> None:
    table._view.selectRow(2)
    assert explored.context.session.selection == (ids(table)[2],)
    explored.context.session.select([9])
    (row,) = {index.row() for index in table._view.selectionModel().selectedIndexes()}
    assert ids(table)[row] == 9


def test_table_is_exported_as_shown(
    explored: ExploreWidget, table: TableTab, tmp_path: Path, qtbot: QtBot
) -> None:
    explored.context.exploration.set_filter("attention > 0.2")
    qtbot.waitUntil(lambda: table._model.rowCount() == 2, timeout=5000)
    table.export(tmp_path / "cells.v1")
    written = pd.read_csv(tmp_path / "cells.v1.csv")
    assert written["cell_id"].tolist() == [8, 9] and "contribution_sickle" in written


@pytest.fixture
def cell_map(explored: ExploreWidget, qtbot: QtBot) -> MapTab:
    show_tab(explored, explored.map, qtbot)
    return explored.map


def scene_place(cell_map: MapTab, row: int) -> QPointF:
    scatter = cell_map._scatter
    return scatter._box.mapViewToScene(QPointF(*scatter._points[row]))


def test_lasso_selects_the_cells_within_it_everywhere(
    explored: ExploreWidget, cell_map: MapTab, qtbot: QtBot
) -> None:
    points = cell_map._scatter._points
    inside = np.flatnonzero(points[:, 1] > 0.1)
    low, high = 0.1, points[:, 1].max() + 1
    polygon = np.array([[-1e3, low], [1e3, low], [1e3, high], [-1e3, high]])
    cell_map._scatter._on_lasso(polygon, SimpleNamespace(modifiers=lambda: Qt.KeyboardModifier(0)))
    expected = tuple(sorted(cell_map._model.key(int(row))[1] for row in inside))
    assert explored.context.session.selection == expected and len(expected) > 1
    assert len(explored.context.cells.layer.selected_data) == len(expected)


def test_lasso_is_drawn_with_the_left_button(
    explored: ExploreWidget, cell_map: MapTab, qtbot: QtBot
) -> None:
    plot = cell_map._scatter._plot
    qtbot.waitExposed(plot)
    size = plot.viewport().size()
    corners = [(0.2, 0.03), (0.97, 0.03), (0.97, 0.75), (0.2, 0.75)]
    places = [QPoint(int(x * size.width()), int(y * size.height())) for x, y in corners]
    qtbot.mousePress(plot.viewport(), Qt.MouseButton.LeftButton, pos=places[0])
    for place in places[1:]:
        send_drag(plot.viewport(), place)
    qtbot.mouseRelease(plot.viewport(), Qt.MouseButton.LeftButton, pos=places[-1])
    assert explored.context.session.selection


def test_cell_under_the_mouse_is_shown(cell_map: MapTab, qtbot: QtBot) -> None:
    cell_map._scatter._on_moved(scene_place(cell_map, 4))
    assert cell_map._about.text() == "Cell 5 in image 2 of blood"
    qtbot.waitUntil(lambda: not cell_map._picture.pixmap().isNull(), timeout=10_000)


def test_selected_cells_are_ringed_on_the_map(explored: ExploreWidget, cell_map: MapTab) -> None:
    explored.context.session.select([2, 3])
    assert len(cell_map._scatter._rings.points()) == 2


def colour_on_screen(scatter: Scatter, row: int) -> tuple[int, ...]:
    picture = scatter._plot.grab().toImage()
    place = scatter._plot.mapFromScene(scatter._box.mapViewToScene(QPointF(*scatter._points[row])))
    ratio = picture.devicePixelRatio()
    return picture.pixelColor(int(ratio * place.x()), int(ratio * place.y())).getRgb()[:3]


def test_points_of_the_map_have_their_colours_in_whatever_view(qtbot: QtBot) -> None:
    scatter = Scatter()
    qtbot.addWidget(scatter)
    scatter.resize(400, 300)
    with qtbot.waitExposed(scatter):
        scatter.show()
    points = np.array([[0, 0], [np.nan, 1], [10.0, 3]])
    scatter.setPoints(points, np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]))
    assert colour_on_screen(scatter, 0) == (255, 0, 0)
    assert colour_on_screen(scatter, 2) == (0, 0, 255)
    scatter._box.setRange(xRange=(-5, 40), yRange=(-9, 5))
    assert colour_on_screen(scatter, 2) == (0, 0, 255)
    scatter.setPoints(points[:1], np.array([[0, 1.0, 0]]))
    assert colour_on_screen(scatter, 0) == (0, 255, 0)


def fake_removal(
    stop: Event,
    sample: Any,
    images: Any,
    boxes: Boxes,
    classifier: Any,
    score: Any,
    device_name: str,
    cohort: Cohort,
) -> Generator[Progress, None, Removal]:
    yield Progress(0, 0, "Reading")
    left = np.array([[0.1, 0.7, 0.2], [0.3, 0.5, 0.2], [0.6, 0.2, 0.2]])
    curve = RemovalCurve(np.array([9, 8]), left, left, left - 0.1, left + 0.1)

    def without(cell_ids: Any) -> npt.NDArray[Any]:
        if len(cell_ids) == 9:
            raise UserError("All 9 cells would be taken away; leave at least one.")
        return np.array([0.2, 0.3, 0.5])

    return Removal(cast("WhatIf", SimpleNamespace(without=without)), curve, np.arange(9.0))


@pytest.fixture
def sample_tab(explored: ExploreWidget, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> SampleTab:
    monkeypatch.setattr(explorer_tasks, "prepare_removal", fake_removal)
    show_tab(explored, explored.sample, qtbot)
    explored.sample._prepare.click()
    qtbot.waitUntil(lambda: explored.sample._removal is not None, timeout=10_000)
    return explored.sample


def test_probabilities_move_as_cells_are_taken_away(
    explored: ExploreWidget, sample_tab: SampleTab, qtbot: QtBot
) -> None:
    assert sample_tab._bars.value()[0] == ("sickle", 0.7)
    assert "rests on about 5 of 9 cells" in sample_tab._cells.text()
    sample_tab._slider.setValue(2)
    assert sample_tab._without.value()[0] == ("healthy", 0.6)
    assert sample_tab._without_label.text() == "Without the 2 cells that count most:"
    sample_tab._plot._line.setValue(1.2)
    assert sample_tab._slider.value() == 1 and sample_tab._without.value()[0] == ("sickle", 0.5)
    assert not sample_tab._selected.isEnabled()
    explored.context.session.select([1])
    sample_tab._selected.click()
    assert sample_tab._without.value()[0] == ("spherocytosis", 0.5)
    assert "distance_from_healthy" in explored.context.exploration.sample_table


def test_taking_all_cells_away_is_refused(
    explored: ExploreWidget, sample_tab: SampleTab, notifications: list[tuple[str, str]]
) -> None:
    explored.context.session.select(np.arange(1, 10))
    sample_tab._selected.click()
    assert any("leave at least one" in message for _, message in notifications)


def test_what_if_is_forgotten_with_the_prediction(
    explored: ExploreWidget, sample_tab: SampleTab, qtbot: QtBot
) -> None:
    explored.context.session.predictions.use(None)
    qtbot.waitUntil(lambda: sample_tab._removal is None, timeout=5000)
    assert sample_tab._certainty.text() == "This sample is not classified yet."


def test_reopened_explorer_shows_the_same_cells_and_selection(
    explored: ExploreWidget,
    gallery: GalleryTab,
    viewer: ViewerModel,
    make_explorer: Callable[[Any], ExploreWidget],
    qtbot: QtBot,
) -> None:
    explored.context.session.select([3])
    explored.close_panel()
    again = make_explorer(viewer)
    show_tab(again, again.gallery, qtbot)
    assert ids(again.gallery) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    (row,) = {index.row() for index in again.gallery._view.selectionModel().selectedIndexes()}
    assert ids(again.gallery)[row] == 3


def test_without_the_boxes_layer_the_gallery_goes_on_and_a_double_click_brings_it_back(
    explored: ExploreWidget, gallery: GalleryTab, viewer: ViewerModel, qtbot: QtBot
) -> None:
    viewer.layers.remove(explored.context.cells.layer)
    view = gallery._view
    place = view.visualRect(view.model().index(0, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert explored.context.session.selection == (9,)
    qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: explored.context.cells.layer is not None, timeout=5000)
    assert explored.context.cells.layer.nshapes == 9


def test_explorers_of_two_viewers_do_not_mix(
    explored: ExploreWidget,
    gallery: GalleryTab,
    make_explorer: Callable[[Any], ExploreWidget],
    qtbot: QtBot,
) -> None:
    other = make_explorer(ViewerModel())
    show_tab(other, other.gallery, qtbot)
    explored.context.session.select([2])
    assert ids(other.gallery) == [] and other.context.session.selection == ()
    other.close_panel()
    assert ids(gallery) == [9, 8, 7, 6, 5, 4, 3, 2, 1]


def test_boxes_selected_in_the_layer_are_selected_in_gallery_and_table(
    explored: ExploreWidget, gallery: GalleryTab, qtbot: QtBot
) -> None:
    explored.context.cells.layer.selected_data = {0, 4}
    selected = {index.row() for index in gallery._view.selectionModel().selectedIndexes()}
    assert {ids(gallery)[row] for row in selected} == {1, 5}
    show_tab(explored, explored.table, qtbot)
    rows = {index.row() for index in explored.table._view.selectionModel().selectedIndexes()}
    assert {ids(explored.table)[row] for row in rows} == {1, 5}
