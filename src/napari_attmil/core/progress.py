"""Tools for long stages, which are generators that yield progress and return a result."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Generic, TypeVar

Step = TypeVar("Step")
Result = TypeVar("Result")


class StageRun(Generic[Step, Result]):
    """Runs a stage in a ``for`` loop and holds its result.

    Parameters
    ----------
    steps
        The stage.

    Attributes
    ----------
    result
        What the stage has returned; available once the loop has ended.
    """

    result: Result

    def __init__(self, steps: Generator[Step, None, Result]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[Step]:
        self.result = yield from self._steps


def finished(steps: Generator[Any, None, Result]) -> Result:
    """Run a stage to its end and return its result."""
    run = StageRun(steps)
    for _ in run:
        pass
    return run.result
