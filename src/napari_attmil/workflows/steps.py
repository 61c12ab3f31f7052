"""The progress of stages, and how to run and stop them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, Final, TypeVar

from napari_attmil.core import Progress as Progress, StageRun, UserError, open_cluster

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


def on_cluster(
    where: str,
    shared: Path,
    device_name: str,
    stage: Callable[..., Stage[Result]],
    *arguments: Any,
    stop: Event = NEVER,
) -> Stage[Result]:
    """Run a stage with the workers of a cluster.

    Parameters
    ----------
    where, shared, device_name
        As for `open_cluster`.
    stage, *arguments
        The stage, and all its arguments but `workers` and `stop`.
    stop
        Set to end the stage early.

    Yields
    ------
    Progress
        What the stage yields; before it, each sentence about the cluster.

    Raises
    ------
    UserError
        If that is no address, or as `open_cluster` and the stage raise it.
    """
    if "://" not in where:
        raise UserError(
            f"{where!r} is no address of a scheduler; give it as tcp://host:8786, or compute on "
            "this computer."
        )
    yield Progress(0, 0, f"Connecting to {where}")
    told: list[str] = []
    with open_cluster(where, shared, tell=told.append, device_name=device_name) as workers:
        for sentence in told:
            yield Progress(0, 0, sentence)
        return (yield from stage(*arguments, workers=workers, stop=stop))
