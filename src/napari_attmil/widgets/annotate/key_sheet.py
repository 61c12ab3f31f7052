"""The sheet of keys: what each does; click one and press another to change it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QKeySequenceEdit,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_attmil.core import UserError
from napari_attmil.widgets.parts import hint_label, set_warning
from napari_attmil.widgets.viewer import ACTIONS, KeyRegistry, is_same_key

# What Qt calls a key, and what napari calls it.
_NAPARI_NAMES = {"PgUp": "PageUp", "PgDown": "PageDown", "Del": "Delete", "Return": "Enter"}
_QT_NAMES = {name: qt_name for qt_name, name in _NAPARI_NAMES.items()}


HOW = "Click a key, then press the one you want; Backspace frees it."


class KeySheet(QDialog):
    """All keys, editable.

    Parameters
    ----------
    keys
        Which key does what.
    """

    def __init__(self, keys: KeyRegistry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys = keys
        self._fields = {action.name: QKeySequenceEdit() for action in ACTIONS}
        self._told = hint_label(
            "Click a key, then press the one you want; Backspace frees it.", "told"
        )
        self._buttons = QDialogButtonBox()
        self._lay_out()
        for name, field in self._fields.items():
            field.editingFinished.connect(lambda name=name: self._change(name))
        self._reset.clicked.connect(self._on_reset)
        self._buttons.rejected.connect(self.reject)
        self._show_keys()

    def _lay_out(self) -> None:
        self.setWindowTitle("Keys of napari-attmil")
        self._reset = self._buttons.addButton("Reset all", QDialogButtonBox.ButtonRole.ResetRole)
        self._reset.setToolTip("Return to the keys that the plugin comes with.")
        close = self._buttons.addButton(QDialogButtonBox.StandardButton.Close)
        close.setToolTip("Close the sheet (Esc).")
        rows = QWidget()
        grid = QGridLayout(rows)
        for row, action in enumerate(ACTIONS):
            field = self._fields[action.name]
            field.setAccessibleName(f"Key for {action.title}")
            field.setToolTip(action.what)
            field.setMaximumWidth(150)
            grid.addWidget(QLabel(action.title), row, 0)
            grid.addWidget(field, row, 1)
            grid.addWidget(hint_label(action.what), row, 2)
        grid.setColumnStretch(2, 1)
        area = QScrollArea()
        area.setWidget(rows)
        area.setWidgetResizable(True)
        layout = QVBoxLayout(self)
        layout.addWidget(self._told)
        layout.addWidget(area, 1)
        layout.addWidget(self._buttons)
        self.resize(640, 640)

    def _change(self, name: str) -> None:
        key = from_qt(self._fields[name].keySequence())
        if is_same_key(key, self._keys.key(name)):
            return
        try:
            self._keys.set_key(name, "" if key == "Backspace" else key)
            self._tell("The key is changed and kept.", is_warning=False)
        except UserError as error:
            self._tell(str(error), is_warning=True)
        self._show_keys()

    def _on_reset(self) -> None:
        self._keys.reset()
        self._show_keys()

    def _show_keys(self) -> None:
        for name, field in self._fields.items():
            field.setKeySequence(to_qt(self._keys.key(name)))

    def _tell(self, text: str, is_warning: bool) -> None:
        self._told.setText(text)
        set_warning(self._told, is_warning)


def from_qt(sequence: QKeySequence) -> str:
    """Return a key in napari's words: the first one if several were pressed."""
    text = sequence.toString(QKeySequence.SequenceFormat.PortableText).split(", ")[0]
    head, plus, last = text.rpartition("+") if text != "+" else ("", "", "+")
    return head + plus + _NAPARI_NAMES.get(last, last)


def to_qt(key: str) -> QKeySequence:
    """Return napari's key as Qt has it."""
    head, plus, last = key.rpartition("+") if key != "+" else ("", "", "+")
    return QKeySequence(head + plus + _QT_NAMES.get(last, last))


def key_of_event(key: int, modifiers: Qt.KeyboardModifier) -> str:
    """Return a pressed key in napari's words."""
    modifiers &= ~Qt.KeyboardModifier.KeypadModifier
    pressed: Any = getattr(modifiers, "value", modifiers)  # PySide6 and PyQt6 differ
    return from_qt(QKeySequence(key | pressed))
