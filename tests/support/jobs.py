"""Jobs for tests of workers; in a module that worker processes can import."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from pathlib import Path

from napari_attmil.core import Progress, Unfinished

Stage = Generator[Progress, None, int | Unfinished[int]]


def square(number: int) -> Stage:
    yield Progress(1, 1, f"Squaring {number}")
    return number * number


def process_id() -> Stage:
    yield Progress(1, 1)
    return os.getpid()


def counts_until_asked_to_end(pid_file: Path | None = None) -> Stage:
    """Count without end; asked to end, return the count, as unfinished."""
    if pid_file is not None:
        pid_file.write_text(str(os.getpid()))
    count = 0
    try:
        while True:
            count += 1
            yield Progress(count, 0, "Counting")
            time.sleep(0.01)
    except KeyboardInterrupt:
        return Unfinished(count)


def says_little(seconds: float, after: int) -> Stage:
    """Say nothing for some seconds, before or after the only step."""
    if not after:
        time.sleep(seconds)
    yield Progress(1, 2, "Said once", note="Once")
    if after:
        time.sleep(seconds)
    return 1


def waits_the_first_time(folder: Path, number: int) -> Stage:
    """Note each try with the process; wait in the first try of number 0, else return at once."""
    tried = folder / f"{number}-{os.getpid()}-{time.monotonic_ns()}"
    tries = len(list(folder.glob(f"{number}-*")))
    tried.touch()
    while number == 0 and tries == 0:
        yield Progress(len(list(folder.iterdir())), 0, f"Waiting since {time.monotonic()}")
        time.sleep(0.01)
    yield Progress(1, 1)
    return number * number


def fills_memory_the_first_time(folder: Path, number: int) -> Stage:
    """Raise MemoryError in the first try of number 0."""
    tries = len(list(folder.glob(f"{number}-*")))
    (folder / f"{number}-{tries}").touch()
    yield Progress(0, 1)
    if number == 0 and tries == 0:
        raise MemoryError
    return number * number


def dies(code: int) -> Stage:
    """End the process at once, as a crash does."""
    yield Progress(0, 1)
    os._exit(code)


def threads() -> Stage:
    import torch

    yield Progress(0, 1)
    return torch.get_num_threads()
