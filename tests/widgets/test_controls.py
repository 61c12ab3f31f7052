"""What holds for every control of "Annotate cells" and "Train detector", whatever it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QPushButton,
    QSlider,
    QWidget,
)

from napari_attmil.widgets.annotate.panel import AnnotateWidget
from napari_attmil.widgets.detector.panel import DetectorPanel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from pytestqt.qtbot import QtBot

CONTROLS = (QAbstractButton, QComboBox, QAbstractSpinBox, QSlider)


@pytest.fixture(params=[AnnotateWidget, DetectorPanel])
def controls(
    request: pytest.FixtureRequest, viewer: ViewerModel, fakes: None, qtbot: QtBot
) -> Iterator[list[QWidget]]:
    """Return the controls of a panel; parts that Qt itself makes have names of its own."""
    panel = request.param(viewer)
    qtbot.addWidget(panel)
    yield [
        control
        for control in panel.findChildren(QWidget)
        if isinstance(control, CONTROLS) and not control.objectName().startswith("qt_")
    ]
    panel.close_panel()


def test_each_has_a_tooltip_and_a_name(controls: list[QWidget]) -> None:
    assert len(controls) > 5
    for control in controls:
        name = control.accessibleName() or getattr(control, "text", str)()
        assert control.toolTip(), f"{type(control).__name__} {name!r} has no tooltip"
        assert name, f"{type(control).__name__} with {control.toolTip()!r} has no name"


def test_each_is_reached_with_the_tab_key(controls: list[QWidget]) -> None:
    for control in controls:
        policy = control.focusPolicy()
        assert policy & Qt.FocusPolicy.TabFocus, f"{control.toolTip()!r} needs the mouse"


def test_each_button_has_room_for_its_text_in_the_narrowest_panel(controls: list[QWidget]) -> None:
    panel = controls[0].window()
    panel.resize(panel.minimumWidth(), 800)
    panel.show()
    buttons = [button for button in controls if isinstance(button, QPushButton)]
    shown = [button for button in buttons if button.isVisible() and button.text()]
    assert len(shown) > 2
    for button in shown:
        assert button.width() > button.fontMetrics().horizontalAdvance(button.text()), button.text()
