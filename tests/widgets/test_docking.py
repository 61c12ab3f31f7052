"""Where panels go in napari's window."""

from __future__ import annotations

from qtpy.QtWidgets import QMainWindow

from napari_attmil.widgets.workbench import AnnotateWidget


def test_panels_at_one_side_share_its_room_as_tabs(window_viewer, docked_panel, qtbot):
    annotate = AnnotateWidget(window_viewer)
    window_viewer.window.add_dock_widget(annotate, area="right")
    window = annotate.window()
    assert isinstance(window, QMainWindow)
    qtbot.waitUntil(lambda: bool(window.tabifiedDockWidgets(annotate.dock())))
    assert window.tabifiedDockWidgets(annotate.dock()) == [docked_panel.dock()]
    annotate.close_panel()


def test_a_panel_at_another_side_is_left_alone(window_viewer, docked_panel, qtbot):
    annotate = AnnotateWidget(window_viewer)
    window_viewer.window.add_dock_widget(annotate, area="left")
    qtbot.waitUntil(lambda: not annotate._join_timer.isActive())
    assert annotate.window().tabifiedDockWidgets(annotate.dock()) == []
    annotate.close_panel()
