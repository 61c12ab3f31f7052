"""Where panels go in napari's window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QMainWindow, QWidget

from napari_attmil.widgets.annotate.panel import AnnotateWidget
from napari_attmil.widgets.parts import MessageBar, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
    from napari_attmil.widgets.explorer.panel import ExploreWidget

BOTTOM = Qt.DockWidgetArea.BottomDockWidgetArea


def test_panels_at_one_side_share_its_room_as_tabs(
    window_viewer: Any, docked_panel: AttentionMILWidget, qtbot: QtBot
) -> None:
    annotate = AnnotateWidget(window_viewer)
    window_viewer.window.add_dock_widget(annotate, area="right")
    window = annotate.window()
    assert isinstance(window, QMainWindow)
    qtbot.waitUntil(lambda: bool(window.tabifiedDockWidgets(annotate.dock())))
    assert window.tabifiedDockWidgets(annotate.dock()) == [docked_panel.dock()]
    annotate.close_panel()


def test_a_message_of_a_panel_behind_another_tab_is_told_by_napari_too(
    window_viewer: Any,
    docked_panel: AttentionMILWidget,
    qtbot: QtBot,
    notifications: list[tuple[str, str]],
) -> None:
    window_viewer.window.show()
    annotate = AnnotateWidget(window_viewer)
    window_viewer.window.add_dock_widget(annotate, area="right")
    qtbot.waitUntil(lambda: docked_panel.visibleRegion().isEmpty())
    warn(annotate, "In front.")
    warn(docked_panel, "Behind.")
    assert notifications == [("warning", "Behind.")]
    docked_panel.dock().raise_()
    qtbot.waitUntil(lambda: annotate.visibleRegion().isEmpty())
    warn(docked_panel, "In front now.")
    assert len(notifications) == 1
    annotate.close_panel()


def test_a_panel_at_another_side_is_left_alone(
    window_viewer: Any, docked_panel: AttentionMILWidget, qtbot: QtBot
) -> None:
    annotate = AnnotateWidget(window_viewer)
    window_viewer.window.add_dock_widget(annotate, area="left")
    qtbot.waitUntil(lambda: not any(timer.isActive() for timer in annotate.findChildren(QTimer)))
    assert annotate.window().tabifiedDockWidgets(annotate.dock()) == []
    annotate.close_panel()


@pytest.fixture
def low_window(
    window_viewer: Any, stack: Image, qtbot: QtBot
) -> Iterator[tuple[ExploreWidget, int]]:
    """Open the explorer in a window as low as napari's is by default; tell its height before."""
    window_viewer.add_layer(stack)
    window_viewer.window.resize(1089, 630)
    window_viewer.window.show()
    height = window_viewer.window.geometry()[3]
    _, explorer = window_viewer.window.add_plugin_dock_widget("napari-attmil", "Explore cells")
    qtbot.waitUntil(lambda: explorer.window().dockWidgetArea(explorer.dock()) == BOTTOM)
    yield explorer, height
    explorer.close_panel()


def test_explorer_is_high_enough_in_a_low_window_and_leaves_room_for_the_image(
    low_window: tuple[ExploreWidget, int], qtbot: QtBot
) -> None:
    explorer, height = low_window
    qtbot.waitUntil(lambda: explorer.dock().height() >= 300)
    assert explorer.window().height() == height < 660
    assert explorer.window().centralWidget().height() >= 200


def test_explorer_grows_with_the_window_and_is_as_wide_where_there_is_room(
    low_window: tuple[ExploreWidget, int], qtbot: QtBot
) -> None:
    dock, window = low_window[0].dock(), low_window[0].window()
    window.resize(1300, 950)
    # napari 0.10 gives it a few pixels less.
    qtbot.waitUntil(lambda: dock.height() == pytest.approx(0.42 * 950, abs=6))
    assert dock.width() == window.width()


def test_explorer_keeps_the_height_that_a_person_drags_it_to(
    low_window: tuple[ExploreWidget, int], qtbot: QtBot
) -> None:
    dock, window = low_window[0].dock(), low_window[0].window()
    qtbot.waitUntil(lambda: dock.height() >= 300)
    edge = QPoint(dock.x() + dock.width() // 2, dock.y() - 2)
    drag(window, edge, edge + QPoint(0, 80))
    dragged = dock.height()
    assert 200 < dragged < 300
    window.resize(1300, 950)
    qtbot.waitUntil(lambda: window.height() == 950)
    qtbot.wait(50)
    assert dock.height() == dragged


def test_closed_explorer_gives_the_corner_of_the_window_back(
    low_window: tuple[ExploreWidget, int],
) -> None:
    window = low_window[0].window()
    assert window.corner(Qt.Corner.BottomLeftCorner) != BOTTOM
    low_window[0].close_panel()
    assert window.corner(Qt.Corner.BottomLeftCorner) == BOTTOM


def drag(window: QWidget | None, start: QPoint, end: QPoint) -> None:
    """Drag with the left button held; qtbot's moves hold none."""
    assert window is not None
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    for kind, place, button, held in (
        (QEvent.Type.MouseButtonPress, start, left, left),
        (QEvent.Type.MouseMove, end, none, left),
        (QEvent.Type.MouseButtonRelease, end, left, none),
    ):
        where = QPointF(place), QPointF(window.mapToGlobal(place))
        modifier = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(window, QMouseEvent(kind, *where, button, held, modifier))
        QApplication.processEvents()


def test_messages_do_not_enlarge_a_low_window(
    low_window: tuple[ExploreWidget, int], window_viewer: Any, qtbot: QtBot
) -> None:
    explorer, height = low_window
    for number in range(3):
        warn(explorer, f"{number}: {'A folder of a long name cannot be written to. ' * 9}")
    qtbot.waitUntil(lambda: explorer.findChild(MessageBar).height() > 0)
    qtbot.wait(100)
    assert window_viewer.window.geometry()[3] == height
