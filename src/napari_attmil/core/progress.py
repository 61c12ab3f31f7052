"""Long stages are generators: they yield how far they have come and return what they made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

Step = TypeVar("Step")
Result = TypeVar("Result")


class StageRun(Generic[Step, Result]):
    """A stage for a ``for`` loop, which would lose what the generator returns.

    Parameters
    ----------
    steps
        The stage.

    Attributes
    ----------
    result
        What the stage has returned; there once the loop has come to its end.
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
