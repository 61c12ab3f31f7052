"""What every stage yields, and how it is asked to end early."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from threading import Event
from typing import Any, Final, TypeVar

from napari_attmil.core import StageRun

Step = TypeVar("Step")
Result = TypeVar("Result")

NEVER: Final = Event()
"""The `stop` of a stage that nobody wants to end early."""


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes
    ----------
    done, total
        Units of work; a total of 0 says that it is not known yet.
    text
        What is being done, in the person's words.
    detail
        Anything the listener wants beyond that, for instance the losses of an epoch.
    note
        What the person should still read when the stage has ended, as a sentence; mostly empty.
    """

    done: int
    total: int
    text: str
    detail: Any = None
    note: str = ""


Stage = Generator[Progress, None, Result]
"""A stage: yields its progress and returns its result."""


def until(steps: Stage[Result], stop: Event) -> Stage[Result | None]:
    """Run a stage that has no result before its end; return None if it is stopped early."""
    run = StageRun(steps)
    for step in run:
        yield step
        if stop.is_set():
            return None
    return run.result


def retold(steps: Generator[Step, None, Result], tell: Callable[[Step], Progress]) -> Stage[Result]:
    """Run a generator with progress values of its own as a stage."""
    run = StageRun(steps)
    for step in run:
        yield tell(step)
    return run.result


def within(steps: Generator[Any, None, Result], here: Progress) -> Stage[Result]:
    """Run a small part of a stage, whose progress stands still meanwhile."""
    return (yield from retold(steps, lambda _: here))
