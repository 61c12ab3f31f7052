"""Digests by which a model file recognises patients and samples without knowing their names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def name_digest(name: str) -> str:
    """Return the digest by which a model file recognises a patient's name."""
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


def digests_of(*names: str) -> set[str]:
    """Return the digests of names, with and without their leading folders.

    The last part alone, such as "s1", identifies nobody, unless it is the whole name.
    """
    return {name_digest(ending) for name in names for ending in _endings(name)}


def names_learnt(names: Iterable[str]) -> list[str]:
    """Return digests of names, each once, sorted."""
    return sorted(map(name_digest, set(names)))


def _endings(name: str) -> list[str]:
    """Return a name with fewer and fewer leading folders: "a/b/c", "b/c"."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(max(1, len(parts) - 1))]
