from __future__ import annotations

import pandas as pd
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_attmil.exploration import FADED_ALPHA, MAKER
from napari_attmil.explore.gallery_scale import GalleryScale
from napari_attmil.settings import UserError
from napari_attmil.widgets.gallery_export import export
from napari_attmil.widgets.gallery_figure import GalleryFigure, save_figure


def show_tab(explorer, tab, qtbot):
    explorer.tabs.setCurrentWidget(tab)
    qtbot.waitUntil(lambda: not tab._is_stale, timeout=5000)


def choose(combo, value):
    combo.setCurrentIndex(combo.findData(value))
    combo.activated.emit(combo.currentIndex())


@pytest.fixture
def colours(explored, qtbot):
    show_tab(explored, explored.colours, qtbot)
    return explored.colours


def test_boxes_are_coloured_by_the_column_that_is_chosen(explored, colours, qtbot):
    layer = explored.context.cells.layer
    assert layer.edge_color[8].tolist() == [1, 1, 1, 1]
    choose(colours._column, MAKER)
    assert len({tuple(colour) for colour in layer.edge_color.tolist()}) == 1
    choose(colours._column, "contribution_sickle")
    assert layer.edge_color[8].tolist() == [1, 1, 1, 1]


def test_slider_fades_cells_outside_of_the_range(explored, colours, qtbot):
    layer = explored.context.cells.layer
    colours._range._slider.setValue((500, 1000))
    qtbot.waitUntil(lambda: explored.context.exploration.colouring.low == 0.5, timeout=5000)
    assert (layer.edge_color[:, 3] == 1).sum() == 5
    assert layer.edge_color[:, 3].min() == pytest.approx(FADED_ALPHA)
    qtbot.waitUntil(lambda: colours._explanation.text().startswith("5 of 9 cells"), timeout=5000)
    choose(colours._outside, True)
    assert layer.edge_color[:, 3].min() == 0


def test_stale_colours_are_marked_and_updated_by_one_click(explored, colours, qtbot):
    session = explored.context.session
    assert colours._stale.isHidden() and colours._update.isHidden()
    session.add(0, [80, 50, 100, 70])
    qtbot.waitUntil(lambda: not colours._stale.isHidden(), timeout=5000)
    assert colours._update.text() == "Update"
    colours._update.click()
    qtbot.waitUntil(lambda: colours._stale.isHidden(), timeout=5000)
    assert len(session.prediction.cell_id) == 10


def test_filter_is_told_when_it_cannot_be_understood(explored, qtbot):
    bar = explored.scope_bar
    bar._filter.setText("attention > 0.2")
    bar._filter.editingFinished.emit()
    qtbot.waitUntil(lambda: bar._count.text() == "2 of 9 cells", timeout=5000)
    bar._filter.setText("size > 3")
    bar._filter.editingFinished.emit()
    assert "There is no column 'size'" in bar._hint.text()
    assert len(explored.context.exploration.rows) == 2


def test_closed_explorer_no_longer_listens(explored, viewer):
    explored.close_panel()
    explored.context.session.add(0, [80, 50, 100, 70])
    assert not explored.colours._refresh_timer.isActive()


def test_explorer_goes_below_the_images(window_viewer, stack, make_explorer, qtbot):
    window_viewer.add_layer(stack)
    explorer = make_explorer(window_viewer)
    dock, window = explorer.parent(), explorer.window()
    qtbot.waitUntil(
        lambda: window.dockWidgetArea(dock) == window.dockWidgetArea(dock).BottomDockWidgetArea,
        timeout=5000,
    )


def test_result_step_opens_the_explorer(docked_panel, window_viewer, qtbot):
    docked_panel.result_step._explore.click()
    (dock,) = [d for name, d in window_viewer.window.dock_widgets.items() if "Explore" in name]
    assert dock.context.session is docked_panel.context.session
    dock.close_panel()


@pytest.fixture
def gallery(explored, qtbot):
    show_tab(explored, explored.gallery, qtbot)
    return explored.gallery


def ids(tab):
    return [tab._model.key(row)[1] for row in range(tab._model.rowCount())]


def test_gallery_shows_the_highest_first_and_selects_everywhere(explored, gallery, qtbot):
    assert ids(gallery) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    view = gallery._view
    place = view.visualRect(view.model().index(1, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert explored.context.session.selection == (8,)
    assert explored.context.cells.layer.selected_data == {7}
    explored.context.session.select([3, 4])
    selected = {index.row() for index in view.selectionModel().selectedIndexes()}
    assert selected == {5, 6}


def test_double_click_in_the_gallery_goes_to_the_cell(explored, gallery, viewer, qtbot):
    view = gallery._view
    place = view.visualRect(view.model().index(0, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert viewer.dims.current_step[0] == 2
    assert viewer.scene.camera.center[-2:] == pytest.approx((10 + 70 / 2, 20 + 30 / 2))


def test_thumbnails_show_the_cells_of_their_images(explored, gallery, stack, qtbot):
    view = gallery._view
    cutout = view.cutout(0)
    assert (cutout.sample, cutout.image_index, cutout.x, cutout.y) == ("blood", 2, 30, 70)
    qtbot.waitUntil(lambda: cutout in gallery._thumbnails._kept, timeout=10_000)
    half = int(cutout.side_px / 2)
    part = stack.data[2, 70 - half : 70 + half, 30 - half : 30 + half]
    assert cutout.cut(stack.data[2]).mean() == pytest.approx(part.mean(), rel=0.05)


def test_gallery_in_another_order(explored, gallery, qtbot):
    gallery._ascending.click()
    qtbot.waitUntil(lambda: ids(gallery)[0] == 1, timeout=5000)
    gallery._ascending.click()
    choose(gallery._shown, "sample")
    qtbot.waitUntil(lambda: ids(gallery) == [9, 8, 7, 6, 5, 4, 3, 2], timeout=5000)


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_gallery_is_exported_as_a_figure(gallery, tmp_path, qtbot, suffix, magic):
    path = tmp_path / f"cells.{suffix}"
    export(path, gallery._exporter, gallery._view, gallery._thumbnails)
    qtbot.waitUntil(path.exists, timeout=10_000)
    assert path.read_bytes().startswith(magic)
    if suffix == "svg":
        text = path.read_text(encoding="utf-8")
        assert "not a diagnosis" in text and text.count("<image") == 9


def test_figure_of_another_kind_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"cannot be saved as '\.bmp'"):
        save_figure(tmp_path / "cells.bmp", GalleryFigure((), GalleryScale(), ""))


@pytest.fixture
def table(explored, qtbot):
    show_tab(explored, explored.table, qtbot)
    return explored.table


def test_table_is_sorted_by_a_click_on_a_heading(table, qtbot):
    header = table._view.horizontalHeader()
    column = list(table._model.table.columns).index("attention")
    table._view.scrollTo(table._model.index(0, column))
    place = QPoint(header.sectionViewportPosition(column) + 5, header.height() // 2)
    orders = []
    for _ in range(2):
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
        orders.append(ids(table)[:3])
    assert sorted(orders) == [[1, 2, 3], [9, 8, 7]]


def test_table_and_session_share_one_selection(explored, table):
    table._view.selectRow(2)
    assert explored.context.session.selection == (ids(table)[2],)
    explored.context.session.select([9])
    (row,) = {index.row() for index in table._view.selectionModel().selectedIndexes()}
    assert ids(table)[row] == 9


def test_table_is_exported_as_shown(explored, table, tmp_path, qtbot):
    explored.context.exploration.set_filter("attention > 0.2")
    qtbot.waitUntil(lambda: table._model.rowCount() == 2, timeout=5000)
    table.export(tmp_path / "cells")
    written = pd.read_csv(tmp_path / "cells.csv")
    assert written["cell_id"].tolist() == [8, 9] and "contribution_sickle" in written
