"""Every key of the plugin: one list that bindings, buttons and the sheet of keys are made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from napari.settings import get_settings
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QPushButton

from napari_attmil.core import UserError
from napari_attmil.widgets.parts import Listening

FILE_NAME = "keys.json"
_OF_OTHER_LAYERS = ("label", "brush", "complete_poly", "reset_poly", "points", "vectors", "tracks")
"""Parts of the names of napari's actions that work neither on images nor on shapes."""
# Names of keys, from Qt's to napari's.
_NAPARI_NAMES = {"PgUp": "PageUp", "PgDown": "PageDown", "Del": "Delete", "Return": "Enter"}
_QT_NAMES = {name: qt_name for qt_name, name in _NAPARI_NAMES.items()}


@dataclass(frozen=True)
class Action:
    """Something a key does.

    Attributes
    ----------
    name
        Tells actions apart, also in the file of changed keys.
    title
        What it is called.
    default_key
        In napari's words: "N", "Shift+Left", "Ctrl+Z".
    what
        What it does, as one sentence.
    """

    name: str
    title: str
    default_key: str
    what: str


def _arrows(name: str, modifiers: str, title: str, what: str) -> tuple[Action, ...]:
    return tuple(
        Action(f"{name}_{way.lower()}", f"{title} {way.lower()}", f"{modifiers}{way}", what)
        for way in ("Left", "Right", "Up", "Down")
    )


ACTIONS = (
    Action("reviewed_next", "Reviewed, next", "N", "Confirm this image and show the next one."),
    Action("previous", "Previous", "PageUp", "Show the image before."),
    Action("skip", "Skip", "PageDown", "Show the next image and leave this one as it is."),
    Action("next_doubtful", "Next doubtful box", "U", "Go to the next box the detector doubts."),
    Action("draw", "Draw", "W", "Drag around a cell, or click a clear one: its box is found."),
    Action("box_here", "Box here", "Q", "Find the box of the cell under the mouse pointer."),
    Action("box_in_middle", "Box in the middle", "Shift+Q", "Add a box in the middle of the view."),
    Action("select", "Select", "M", "Click a box to select it, drag it to move it."),
    Action("find_in_view", "Find in view", "V", "Find the cells of what the viewer shows."),
    Action("next_box", "Next box", ".", "Select the next box of this image."),
    Action("previous_box", "Previous box", ",", "Select the box before."),
    Action("delete_here", "Delete here", "K", "Delete the box under the mouse pointer."),
    Action("delete_selected", "Delete", "Delete", "Delete the selected boxes."),
    Action("accept_here", "Accept here", "J", "Confirm the box under the mouse pointer."),
    Action("accept_selected", "Accept", "Shift+J", "Confirm the selected boxes."),
    Action("snap", "Snap to cell", "G", "Pull a box, pointed at or selected, onto its cell."),
    Action("not_a_cell", "Not a cell", "X", "Tag a box, pointed at or selected: not a cell."),
    Action("not_altered", "Not altered", "Y", "Tag a cell, pointed at or selected: not altered."),
    Action("undo", "Undo", "Ctrl+Z", "Take back the last thing you did, wherever it was."),
    Action("redo", "Redo", "Ctrl+Shift+Z", "Make again what was taken back last."),
    Action("history", "History", "Ctrl+Shift+H", "Show all that was done, and go back to a step."),
    Action("hide_boxes", "Hide boxes", "H", "Hide the boxes, or show them again."),
    Action("brighter", "Brighter", "]", "Make the image brighter."),
    Action("darker", "Darker", "[", "Make the image darker."),
    Action("more_contrast", "More contrast", "=", "Spread the grey levels."),
    Action("less_contrast", "Less contrast", "-", "Draw the grey levels together."),
    *_arrows("nudge", "", "Move 1 px", "Move the selected box; without one, turn the images."),
    *_arrows("push", "Shift+", "Move 10 px", "Move the selected box by 10 px."),
    *_arrows("resize", "Alt+", "Right, lower side", "Move the selected box's right or lower side."),
    *_arrows("stretch", "Alt+Shift+", "Left, upper side", "Move its left or upper side."),
    Action("keys", "Keys", "F1", "Show all keys, and change them."),
)


class KeyRegistry(QObject):
    """Which key does what, as this person has it.

    Parameters
    ----------
    path
        The file that changed keys are kept in.

    Signals
    -------
    keys_changed()
        The person chose other keys.
    """

    keys_changed = Signal()

    def __init__(self, path: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path = path
        self._keys = {action.name: action.default_key for action in ACTIONS}
        self._keys |= self._read()

    @classmethod
    def of_user(cls, parent: QObject | None = None) -> KeyRegistry:
        """Return the keys that are kept among this person's settings."""
        return cls(platformdirs.user_config_path("napari-attmil") / FILE_NAME, parent)

    def key(self, name: str) -> str:
        """Return the key of an action; empty if it has none."""
        return self._keys[name]

    def tip(self, name: str) -> str:
        """Return what an action does, with its key: "Hide the boxes (H)."."""
        what = action(name).what.removesuffix(".")
        return f"{what} ({self._keys[name]})." if self._keys[name] else f"{what}."

    def set_key(self, name: str, key: str) -> None:
        """Give an action another key, or none, and keep that.

        Raises
        ------
        UserError
            If the key does something else already, or cannot be kept.
        """
        user = self.user_of(key, besides=name)
        if user:
            raise UserError(
                f"The key {key} is taken by “{user}”; choose another one, or free it there first."
            )
        self._keep({**self._keys, name: key})

    def reset(self) -> None:
        """Return to the keys that the plugin comes with."""
        self._keep({action.name: action.default_key for action in ACTIONS})

    def user_of(self, key: str, besides: str = "") -> str:
        """Return what a key does already, here or in napari's layers; empty if nothing."""
        if not key:
            return ""
        for other in ACTIONS:
            if other.name != besides and is_same_key(self._keys[other.name], key):
                return other.title
        if besides and is_same_key(key, action(besides).default_key):
            return ""  # A few of napari's keys are taken over on purpose.
        return next((use for taken, use in _napari_keys() if is_same_key(taken, key)), "")

    def _keep(self, keys: Mapping[str, str]) -> None:
        changed = {name: key for name, key in keys.items() if key != action(name).default_key}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(changed, indent=1), "utf-8")
        except OSError as error:
            raise UserError(
                f"The keys could not be kept in {self._path} ({error}); make room or allow writing "
                "there, then change the key again."
            ) from error
        self._keys = dict(keys)
        self.keys_changed.emit()

    def _read(self) -> dict[str, str]:
        """Return the changed keys; a damaged file counts as none: keys are soon set again."""
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            return {name: str(key) for name, key in kept.items() if name in self._keys}
        except (OSError, ValueError, AttributeError):
            return {}


class KeyBindings(Listening, QObject):
    """Binds actions to a viewer's keys for as long as a panel is open.

    Parameters
    ----------
    viewer
        The napari viewer.
    registry
        Which key does what.
    functions
        What the actions do, by name.
    """

    def __init__(
        self,
        viewer: Any,
        registry: KeyRegistry,
        functions: Mapping[str, Callable[[], Any]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._registry, self._functions = viewer, registry, dict(functions)
        self._bound: list[str] = []
        self.listen(registry.keys_changed, self._bind)
        self.at_end(self._unbind)
        self._bind()

    def run(self, key: str) -> bool:
        """Do what a key stands for; return whether it does anything."""
        for name, function in self._functions.items():
            if is_same_key(self._registry.key(name), key):
                function()
                return True
        return False

    def _bind(self) -> None:
        self._unbind()
        for name, function in self._functions.items():
            key = self._registry.key(name)
            if key:
                self._viewer.bind_key(key, _ignoring_viewer(function), overwrite=True)
                self._bound.append(key)

    def _unbind(self) -> None:
        for key in self._bound:
            self._viewer.bind_key(key, None, overwrite=True)
        self._bound.clear()


def action(name: str) -> Action:
    """Return the action of a name."""
    return next(action for action in ACTIONS if action.name == name)


class ActionButton(Listening, QPushButton):
    """A button for an action; a click leaves the keys to the images.

    Parameters
    ----------
    keys
        Which key does what.
    name
        The action's.
    text
        What stands on the button if not the action's title.
    """

    def __init__(self, keys: KeyRegistry, name: str, text: str = "") -> None:
        super().__init__(text or action(name).title)
        self._keys, self._name = keys, name
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(action(name).title)
        self.listen(keys.keys_changed, self._tell_key)
        self._tell_key()

    def _tell_key(self) -> None:
        self.setToolTip(self._keys.tip(self._name))


def is_same_key(key: str, other: str) -> bool:
    """Return whether two names mean one key; the order of modifiers does not matter."""
    return set(key.lower().split("+")) == set(other.lower().split("+"))


def _napari_keys() -> Iterator[tuple[str, str]]:
    """Yield napari's own keys, as the person has them, with what each does."""
    for name, bindings in get_settings().shortcuts.shortcuts.items():
        if not any(word in name for word in _OF_OTHER_LAYERS):
            for binding in bindings:
                yield str(binding), name.replace(":", ": ").replace("_", " ")


def _ignoring_viewer(function: Callable[[], Any]) -> Callable[[Any], None]:
    def run(viewer: Any) -> None:
        function()

    return run


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
