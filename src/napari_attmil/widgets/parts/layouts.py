"""Rows, columns and forms of widgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

from qtpy.QtWidgets import QBoxLayout, QFormLayout, QHBoxLayout, QLayout, QVBoxLayout, QWidget

Part: TypeAlias = QWidget | QLayout | None
Box = TypeVar("Box", bound=QBoxLayout)

STRETCH = None
"""In a row or column: room that grows."""


def row(
    *parts: Part | tuple[Part, int],
    within: QWidget | None = None,
    margin_px: int | None = None,
    spacing_px: int | None = None,
) -> QHBoxLayout:
    """Return widgets and layouts side by side.

    Parameters
    ----------
    *parts
        From left to right; a pair is a part and its share of the room that is left.
    within
        The widget that gets the row as its layout.
    margin_px, spacing_px
        Around and between the parts, if not as the style has it.
    """
    return _filled(QHBoxLayout(within), parts, margin_px, spacing_px)


def column(
    *parts: Part | tuple[Part, int],
    within: QWidget | None = None,
    margin_px: int | None = None,
    spacing_px: int | None = None,
) -> QVBoxLayout:
    """Return widgets and layouts one below the other; see `row`."""
    return _filled(QVBoxLayout(within), parts, margin_px, spacing_px)


def form(controls: Mapping[str, QWidget]) -> QFormLayout:
    """Return controls one below the other, each with its label."""
    layout = QFormLayout()
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for label, control in controls.items():
        layout.addRow(label, control)
    return layout


def _filled(
    box: Box, parts: tuple[Part | tuple[Part, int], ...], margin: int | None, spacing: int | None
) -> Box:
    if margin is not None:
        box.setContentsMargins(margin, margin, margin, margin)
    if spacing is not None:
        box.setSpacing(spacing)
    for each in parts:
        part, share = each if isinstance(each, tuple) else (each, 0)
        if part is None:
            box.addStretch(1)
        elif isinstance(part, QLayout):
            box.addLayout(part, share)
        else:
            box.addWidget(part, share)
    return box
