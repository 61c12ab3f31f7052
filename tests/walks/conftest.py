from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot


@pytest.fixture(autouse=True)
def _no_recent_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def walk(make_napari_viewer: Callable[..., Any], qtbot: QtBot) -> Callable[[str], Walk]:
    """Return a function that opens an empty napari with one of the plugin's panels."""
    return lambda panel: Walk(make_napari_viewer(show=True), qtbot, panel)
