"""Reads and prepares the next image on another thread during the computation for this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, Self, TypeVar

Item = TypeVar("Item")


class ReadAhead(Sequence[Item], Generic[Item]):
    """A lazy sequence, read in order, that prepares one item more than was requested.

    Parameters
    ----------
    make
        Returns the item at a position; called on a separate thread, one call at a time.
    length
        Items in all.
    """

    def __init__(self, make: Callable[[int], Item], length: int) -> None:
        self._make, self._length = make, length
        self._pool = ThreadPoolExecutor(1, "read ahead")
        self._pending: dict[int, Future[Item]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: Any) -> Any:
        """Return one item, which stays in memory, or a list of several, which do not."""
        if not isinstance(place, slice):
            return self._begun(place).result()
        places = range(*place.indices(len(self)))
        futures = [self._begun(index) for index in places]
        if places and places[-1] + 1 < len(self):
            self._begun(places[-1] + 1)
        self._pending = {k: v for k, v in self._pending.items() if k not in places}
        return [future.result() for future in futures]

    def _begun(self, index: int) -> Future[Item]:
        if index not in self._pending:
            self._pending[index] = self._pool.submit(self._make, index)
        return self._pending[index]
