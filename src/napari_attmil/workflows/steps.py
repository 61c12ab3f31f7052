"""The progress of stages, and how to run and stop them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from threading import Event
from typing import Any, Final, TypeVar

from napari_attmil.core import Progress as Progress, StageRun

Step = TypeVar("Step")
Result = TypeVar("Result")

NEVER: Final = Event()
"""The `stop` of a stage that is never stopped early."""


Stage = Generator[Progress, None, Result]
"""A stage: yields its progress and returns its result."""


def until(steps: Stage[Result], stop: Event) -> Stage[Result | None]:
    """Run a stage that gives its result only at the end; stopped early, return None."""
    run = StageRun(steps)
    for step in run:
        yield step
        if stop.is_set():
            return None
    return run.result


def retold(steps: Generator[Step, None, Result], tell: Callable[[Step], Progress]) -> Stage[Result]:
    """Run a generator as a stage, converting its progress values."""
    run = StageRun(steps)
    for step in run:
        yield tell(step)
    return run.result


def within(steps: Generator[Any, None, Result], here: Progress) -> Stage[Result]:
    """Run a small part of a stage, during which the progress does not change; notes are kept."""
    return (yield from retold(steps, lambda step: replace(here, note=getattr(step, "note", ""))))
