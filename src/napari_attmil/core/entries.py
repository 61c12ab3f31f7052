"""What installed packages offer to this one: entry points, each a name and a function."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any


def entry_names(group: str) -> list[str]:
    """Return the names under which installed packages offer something of a group, sorted."""
    return sorted(entry_points(group=group).names)


def load_entry(group: str, name: str) -> Any | None:
    """Return what is offered under a name; None if no installed package offers it."""
    found = entry_points(group=group, name=name)
    return next(iter(found)).load() if found else None
