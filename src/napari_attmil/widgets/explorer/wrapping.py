"""Rows of controls that go on below where a window is narrow, instead of being cut off."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QWidget
from superqt.utils import QFlowLayout


def wrapping_row(*controls: QWidget) -> QWidget:
    """Return controls side by side, on as many lines as their width asks for."""
    row = QWidget()
    layout = QFlowLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for control in controls:
        layout.addWidget(control)
    return row


def together(*controls: QWidget) -> QWidget:
    """Return controls that stay on one line of a wrapping row, as one of them."""
    group = QWidget()
    layout = QHBoxLayout(group)
    layout.setContentsMargins(0, 0, 0, 0)
    for control in controls:
        layout.addWidget(control)
    return group
