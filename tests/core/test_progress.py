from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_attmil.core.progress import StageRun, finished

if TYPE_CHECKING:
    from collections.abc import Generator


def counting(closed: list[bool]) -> Generator[int, None, str]:
    try:
        yield 1
        yield 2
    finally:
        closed.append(True)
    return "counted"


def test_a_loop_over_a_stage_keeps_what_the_stage_returns() -> None:
    run = StageRun(counting([]))
    assert list(run) == [1, 2]
    assert run.result == "counted"
    assert finished(counting([])) == "counted"


def test_a_stage_that_is_left_early_is_closed_and_has_no_result() -> None:
    closed: list[bool] = []
    run = StageRun(counting(closed))
    steps = iter(run)
    next(steps)
    del steps
    assert closed == [True]
    with pytest.raises(AttributeError):
        _ = run.result
