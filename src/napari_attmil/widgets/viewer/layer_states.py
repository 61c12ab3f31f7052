"""What holds for a while, within a call."""

from __future__ import annotations


class Flag:
    """Sets an attribute to True for a while, so that the layer's own echo is not followed."""

    def __init__(self, owner: object, name: str) -> None:
        self._owner, self._name = owner, name

    def __enter__(self) -> None:
        self._before = getattr(self._owner, self._name)
        setattr(self._owner, self._name, True)

    def __exit__(self, *error: object) -> None:
        setattr(self._owner, self._name, self._before)
