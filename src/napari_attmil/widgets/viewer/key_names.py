"""Names of keys: napari's, and Qt's."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence

# Names of keys, from Qt's to napari's.
_NAPARI_NAMES = {"PgUp": "PageUp", "PgDown": "PageDown", "Del": "Delete", "Return": "Enter"}
_QT_NAMES = {name: qt_name for qt_name, name in _NAPARI_NAMES.items()}


def from_qt(sequence: QKeySequence) -> str:
    """Return a key by napari's name: the first one if several were pressed."""
    text = sequence.toString(QKeySequence.SequenceFormat.PortableText).split(", ")[0]
    head, plus, last = text.rpartition("+") if text != "+" else ("", "", "+")
    return head + plus + _NAPARI_NAMES.get(last, last)


def to_qt(key: str) -> QKeySequence:
    """Return a key of napari's as a sequence for Qt."""
    head, plus, last = key.rpartition("+") if key != "+" else ("", "", "+")
    return QKeySequence(head + plus + _QT_NAMES.get(last, last))


def key_of_event(key: int, modifiers: Qt.KeyboardModifier) -> str:
    """Return a pressed key by napari's name."""
    modifiers &= ~Qt.KeyboardModifier.KeypadModifier
    pressed: Any = getattr(modifiers, "value", modifiers)  # PySide6 and PyQt6 differ
    return from_qt(QKeySequence(key | pressed))
