"""The next image is read and prepared on another thread while the present one is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, Self, TypeVar

Item = TypeVar("Item")


class ReadAhead(Sequence[Item], Generic[Item]):
    """A lazy sequence that is read in its order, and makes one item more than was asked for.

    Parameters
    ----------
    make
        Gives the item of a place; called on a thread of its own, one call at a time.
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
        """Return one item, which is kept, or a list of several, which are not."""
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
