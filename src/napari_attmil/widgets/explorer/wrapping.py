"""Rows of controls that wrap where a window is narrow, instead of being cut off."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget
from superqt.utils import QFlowLayout

from napari_attmil.widgets.parts import row


def wrapping_row(*controls: QWidget) -> QWidget:
    """Return controls side by side, on as many lines as they need."""
    line = QWidget()
    layout = QFlowLayout(line)
    layout.setContentsMargins(0, 0, 0, 0)
    for control in controls:
        layout.addWidget(control)
    return line


def together(*controls: QWidget) -> QWidget:
    """Return controls that stay together on one line of a wrapping row."""
    group = QWidget()
    row(*controls, within=group, margin_px=0)
    return group
