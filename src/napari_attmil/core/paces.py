"""How fast this computer is, as earlier work on it has shown: for plans, and for how many workers.

Seconds of one worker for each unit of work are kept in the user's cache, by the kind of work and
the device. Before the first work of a kind, those that were measured on a core of a server are
assumed (`docs/MEASUREMENTS.md`, Speed).
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Final

import platformdirs

from napari_attmil.core.device import choose_device
from napari_attmil.core.errors import UserError
from napari_attmil.core.files import write_json
from napari_attmil.core.workers import ONE_WORKER, WORTH_S, Workers, sensible_workers

READING: Final = "seconds an image: finding cells, reading features"
TRAINING: Final = "seconds a cell and pass: training on {}"
REFERENCE_S: Final = {
    READING: 0.8,
    TRAINING.format("rows"): 6e-6,
    TRAINING.format("maps"): 6e-4,
}
LEAST_S: Final = WORTH_S
"""Shorter work mostly waits for files, libraries and workers that start, and says little of longer
work."""


def seconds_for(kind: str, units: float, device_name: str) -> float:
    """Return about how long one worker takes for so many units of a kind of work."""
    kept = _read().get(f"{kind} ({device_name})", REFERENCE_S[kind])
    return units * kept


def note_pace(
    kind: str,
    units: float,
    seconds: float,
    device_name: str,
    workers: Workers = ONE_WORKER,
    jobs: int = 1,
) -> None:
    """Keep how long some workers have taken for so many units, in so many jobs.

    Of short work nothing is kept, nor of a cluster's: that is not the pace of this computer.
    """
    if seconds < LEAST_S or units <= 0 or not workers.are_of_this_computer:
        return
    at_once = max(1, min(workers.number, jobs))
    kept = {**_read(), f"{kind} ({device_name})": seconds * at_once / units}
    with contextlib.suppress(UserError):  # It is only an estimate.
        write_json(_file(), kept)


def chosen_workers(
    given: Workers | None, seconds: float, device_name: str, bytes_each: int = 0
) -> Workers:
    """Return the workers that were asked for, else as many as pay for so much work.

    The arguments are those of `sensible_workers`.
    """
    if given is not None:
        return given
    return Workers(sensible_workers(seconds, device_name, bytes_each))


def workers_to_read(given: Workers | None, images: int, device_name: str) -> Workers:
    """Return who finds the cells of so many images and reads their features."""
    if given is not None:
        return given
    name = choose_device(device_name).name
    return chosen_workers(None, seconds_for(READING, images, name), name)


def note_reading(
    images: int, seconds: float, workers: Workers, device_name: str, samples: int = 1
) -> None:
    """Keep how long it took to read images, of so many samples: each is read by one worker."""
    note_pace(READING, images, seconds, choose_device(device_name).name, workers, samples)


def _read() -> dict[str, float]:
    try:
        kept = json.loads(_file().read_text("utf-8"))
        return {str(kind): float(pace) for kind, pace in kept.items() if 0 < float(pace) < 3600}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _file() -> Path:
    return Path(platformdirs.user_cache_path("napari-attmil")) / "paces.json"
