from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from support.pages.annotate import KeySheetPage

from napari_attmil.core.errors import UserError
from napari_attmil.widgets.annotate.key_sheet import KeySheet
from napari_attmil.widgets.viewer.key_registry import (
    ACTIONS,
    KeyBindings,
    KeyRegistry,
    action,
    from_qt,
    key_of_event,
    to_qt,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QApplication


@pytest.fixture
def keys(qapp: QApplication, tmp_path: Path) -> KeyRegistry:
    return KeyRegistry(tmp_path / "settings" / "keys.json")


def test_keys_that_come_with_the_plugin_do_not_disagree(keys: KeyRegistry) -> None:
    assert {keys.user_of(action.default_key, action.name) for action in ACTIONS} == {""}


def test_changed_keys_are_kept_and_only_these(keys: KeyRegistry, tmp_path: Path) -> None:
    keys.set_key("reviewed_next", "F8")
    path = tmp_path / "settings" / "keys.json"
    assert json.loads(path.read_text("utf-8")) == {"reviewed_next": "F8"}
    again = KeyRegistry(path)
    assert again.key("reviewed_next") == "F8" and again.key("skip") == "PageDown"
    assert again.tip("reviewed_next") == "Confirm this image and show the next one (F8)."


@pytest.mark.parametrize(
    ("key", "user"),
    [("u", "Next doubtful box"), ("R", "add rectangle mode"), ("Ctrl+R", "reset view")],
)
def test_conflict_is_told_by_name_and_changes_nothing(
    keys: KeyRegistry, key: str, user: str
) -> None:
    with pytest.raises(UserError, match=user):
        keys.set_key("reviewed_next", key)
    assert keys.key("reviewed_next") == "N"


def test_damaged_file_of_keys_counts_as_none(keys: KeyRegistry, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{", "utf-8")
    assert KeyRegistry(path).key("reviewed_next") == "N"


def test_a_changed_key_works_at_once_and_the_old_one_no_longer(keys: KeyRegistry) -> None:
    viewer, done = ViewerModel(), []
    bindings = KeyBindings(viewer, keys, {"skip": lambda: done.append("skip")})
    keys.set_key("skip", "F9")
    assert [str(key) for key in viewer.keymap] == ["F9"]
    assert bindings.run("F9") and not bindings.run("PageDown")
    assert done == ["skip"]
    bindings.stop_listening()
    assert not viewer.keymap


def test_every_key_is_the_same_in_qt_and_back(qapp: QApplication) -> None:
    for each in ACTIONS:
        assert from_qt(to_qt(each.default_key)) == each.default_key


def test_pressed_key_is_named_as_napari_names_it(qapp: QApplication) -> None:
    assert key_of_event(Qt.Key.Key_PageUp, Qt.KeyboardModifier.NoModifier) == "PageUp"
    assert key_of_event(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier) == "Ctrl+Z"


def test_sheet_tells_a_conflict_and_shows_the_key_that_stays(
    keys: KeyRegistry, qtbot: QtBot
) -> None:
    sheet = KeySheet(keys)
    qtbot.addWidget(sheet)
    page, skip = KeySheetPage(sheet), action("skip").title
    page.change(skip, "N")
    assert "taken by “Reviewed, next”" in page.text("told")
    assert page.key(skip) == "PageDown"
    page.change(skip, "F9")
    assert keys.key("skip") == "F9"
