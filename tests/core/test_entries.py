"""What installed packages offer is found by group and name."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from napari_attmil.core import entries, entry_names, load_entry


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = EntryPoints(
        EntryPoint(name, f"builtins:{name}", group)
        for name, group in (("min", "a"), ("max", "b"), ("abs", "a"))
    )
    monkeypatch.setattr(entries, "entry_points", lambda **asked: offered.select(**asked))


def test_names_are_those_of_the_group_in_order() -> None:
    assert entry_names("a") == ["abs", "min"]
    assert entry_names("c") == []


def test_only_a_name_of_the_group_is_loaded() -> None:
    assert load_entry("a", "min") is min
    assert load_entry("a", "max") is None
