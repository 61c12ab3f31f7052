"""The sheet of keys: what each does, and how to change it."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QKeySequenceEdit,
    QLabel,
    QWidget,
)

from napari_attmil.core import UserError
from napari_attmil.widgets.parts import column, hint_label, scrolling, set_warning
from napari_attmil.widgets.viewer import ACTIONS, KeyRegistry, from_qt, is_same_key, to_qt

HOW = "Click a key, then press the one you want; Backspace removes it."


class KeySheet(QDialog):
    """All keys, editable.

    Parameters
    ----------
    keys
        The keys of all actions.
    """

    def __init__(self, keys: KeyRegistry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys = keys
        self._fields = {action.name: QKeySequenceEdit() for action in ACTIONS}
        self._told = hint_label(HOW, "told")
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
        self._reset.setToolTip("Restore the default keys.")
        close = self._buttons.addButton(QDialogButtonBox.StandardButton.Close)
        close.setToolTip("Close the sheet (Esc).")
        rows = QWidget()
        grid = QGridLayout(rows)
        for place, action in enumerate(ACTIONS):
            field = self._fields[action.name]
            field.setAccessibleName(f"Key for {action.title}")
            field.setToolTip(action.what)
            field.setMaximumWidth(150)
            grid.addWidget(QLabel(action.title), place, 0)
            grid.addWidget(field, place, 1)
            grid.addWidget(hint_label(action.what), place, 2)
        grid.setColumnStretch(2, 1)
        column(self._told, (scrolling(rows), 1), self._buttons, within=self)
        self.resize(640, 640)

    def _change(self, name: str) -> None:
        key = from_qt(self._fields[name].keySequence())
        if is_same_key(key, self._keys.key(name)):
            return
        try:
            self._keys.set_key(name, "" if key == "Backspace" else key)
            self._tell("The key is changed and saved.", is_warning=False)
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
