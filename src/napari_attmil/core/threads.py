"""Threads by the size of the work.

Threads that share a small matrix product spend their time waiting for each other: beside other
busy programs a training then takes many times as long. Large ones, as of a detector, gain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache


@contextlib.contextmanager
def compute_threads(most: int | None = None) -> Iterator[None]:
    """Let torch compute on at most `most` threads within the block, on all if None.

    A thread of the program that first computes within another's block starts with that block's
    number, so code that gains from all threads says so. No block may contain a `yield`.
    """
    import torch

    count, before = min(most or all_threads(), all_threads()), torch.get_num_threads()
    if count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def all_threads() -> int:
    """Return on how many threads this process may compute: what it was started with."""
    import torch

    return torch.get_num_threads()
