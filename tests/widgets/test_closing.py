"""Work that is under way is not stopped by closing its panel or napari without a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from qtpy.QtCore import QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QMainWindow, QMessageBox, QPushButton
from support.pages.page import Page

from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
from napari_attmil.widgets.closing import KEEP, STOP, WindowGuard
from napari_attmil.widgets.parts import ProgressRow
from napari_attmil.workflows import NEVER, Progress, Stage

if TYPE_CHECKING:
    from threading import Event

    from napari.layers import Image
    from pytestqt.qtbot import QtBot


def train_until_stopped(stop: Event = NEVER) -> Stage[None]:
    while True:
        yield Progress(1, 9, "Model 1 of 3")
        if stop.wait(0.01):
            return


class Asked:
    """Presses a button in the question that comes up; keeps what the questions said."""

    def __init__(self, qtbot: QtBot) -> None:
        self._qtbot = qtbot
        self.questions: list[str] = []

    def answer(self, text: str) -> None:
        QTimer.singleShot(50, lambda: self._press(text))

    def _press(self, text: str) -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        self.questions.append(box.text())
        Page(box).press(text)


@pytest.fixture
def asked(qtbot: QtBot) -> Asked:
    return Asked(qtbot)


@pytest.fixture
def shown_panel(window_viewer: Any, stack: Image, fakes: None, qtbot: QtBot) -> AttentionMILWidget:
    """Return the panel, docked in a window that is shown, with a training under way."""
    window_viewer.add_layer(stack)
    window_viewer.window.show()
    _, panel = window_viewer.window.add_plugin_dock_widget("napari-attmil", "Classify samples")
    assert isinstance(panel, AttentionMILWidget)
    qtbot.waitUntil(lambda: panel.window().findChild(WindowGuard) is not None)
    start(panel, qtbot)
    return panel


def start(panel: AttentionMILWidget, qtbot: QtBot) -> None:
    progress = panel.classifier_step.findChild(ProgressRow)
    progress.start("Loading", train_until_stopped, on_done=lambda _: None)
    qtbot.waitUntil(lambda: progress.text == "Model 1 of 3", timeout=10_000)


def press_dock_button(panel: AttentionMILWidget, name: str) -> None:
    button = panel.dock().titleBarWidget().findChild(QPushButton, name)
    button.click()


def test_the_x_of_a_panel_asks_and_only_hides_it_while_the_work_goes_on(
    shown_panel: AttentionMILWidget, asked: Asked
) -> None:
    dock, runner = shown_panel.dock(), shown_panel.context.runner
    asked.answer(KEEP)
    press_dock_button(shown_panel, "QTitleBarCloseButton")
    (question,) = asked.questions
    assert "• Model 1 of 3" in question and "Plugins menu" in question
    assert runner.busy and not dock.isVisible() and shown_panel.dock() is dock
    dock.toggleViewAction().trigger()
    assert dock.isVisible()
    dock.setFloating(True)  # napari makes the title and its buttons anew
    asked.answer(STOP)
    press_dock_button(shown_panel, "QTitleBarCloseButton")
    assert len(asked.questions) == 2 and not runner.busy and shown_panel.dock() is None


def test_hiding_a_panel_stops_nothing_and_asks_nothing(shown_panel: AttentionMILWidget) -> None:
    dock = shown_panel.dock()
    for hide in (
        lambda: press_dock_button(shown_panel, "QTitleBarHideButton"),
        dock.toggleViewAction().trigger,
    ):
        hide()
        assert not dock.isVisible() and shown_panel.context.runner.busy
        dock.show()
    shown_panel.context.runner.stop()


def test_a_panel_at_rest_closes_without_a_question(
    shown_panel: AttentionMILWidget, qtbot: QtBot
) -> None:
    shown_panel.context.runner.stop()
    qtbot.waitUntil(lambda: not shown_panel.context.runner.busy, timeout=10_000)
    press_dock_button(shown_panel, "QTitleBarCloseButton")
    assert shown_panel.dock() is None


def test_napari_stays_open_while_the_work_is_to_go_on(
    shown_panel: AttentionMILWidget, asked: Asked, qtbot: QtBot
) -> None:
    window, runner = shown_panel.window(), shown_panel.context.runner
    assert isinstance(window, QMainWindow)
    asked.answer(KEEP)
    assert not window.close()
    assert window.isVisible() and runner.busy and shown_panel.dock() is not None
    assert "napari stays open" in asked.questions[0]
    asked.answer(STOP)
    assert not window.findChild(WindowGuard).eventFilter(window, QCloseEvent())
    qtbot.waitUntil(lambda: not runner.busy, timeout=10_000)


def test_a_script_that_closes_the_viewer_is_not_asked(
    shown_panel: AttentionMILWidget, window_viewer: Any
) -> None:
    window = shown_panel.window()
    window_viewer.close()
    assert not window.isVisible()


def test_what_stops_with_a_panel_that_a_script_removes_is_told(
    shown_panel: AttentionMILWidget, window_viewer: Any, notifications: list[tuple[str, str]]
) -> None:
    window_viewer.window.remove_dock_widget(shown_panel.dock())
    told = "Stopped, as the panel “Classify samples” was closed: Model 1 of 3."
    assert [message for _, message in notifications] == [told]
    assert not shown_panel.context.runner.busy
