from __future__ import annotations

import pytest

from napari_attmil.exploration import FADED_ALPHA, MAKER


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
