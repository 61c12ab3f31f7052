"""Tools for long stages, which are generators that yield progress and return a result."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Step = TypeVar("Step")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """The progress of a stage.

    Attributes
    ----------
    done, total
        Units of work; a total of 0 means that it is unknown.
    text
        The current activity, for the user; empty where whoever runs the stage names it.
    detail
        Further information, for instance the losses of an epoch or a finished bag.
    note
        A sentence that the user should still see after the stage has ended; mostly empty.
    """

    done: int
    total: int
    text: str = ""
    detail: Any = None
    note: str = ""


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
