"""What a detection in large images will find, take and need, judged by a few of their parts."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil

from napari_attmil.cells.detection.tiling import Tile, tiles_of
from napari_attmil.core import Progress

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_attmil.cells.detection.detector import Detector
    from napari_attmil.cells.settings import DetectionSettings

TRIALS: Final = 4
"""Parts that are searched for a plan; the first one only warms up and is not timed."""
PART_BYTES: Final = 1_000_000_000
"""Feature maps of a part, and the tiles that are kept; `benchmarks/slides.py` measures it."""


@dataclass(frozen=True)
class DetectionPlan:
    """What is to be expected of a detection.

    Attributes
    ----------
    cells
        About how many will be found.
    parts
        In how many parts images are searched.
    seconds
        About how long it will take on this machine.
    memory_bytes
        About how much memory the program will take at most.
    """

    cells: int
    parts: int
    seconds: float
    memory_bytes: int

    @property
    def text(self) -> str:
        """The plan in a sentence."""
        parts = f"{self.parts:,} part{'s' * (self.parts != 1)}"
        return (
            f"About {_rounded(self.cells):,} cells in {parts}: about "
            f"{_duration(self.seconds)}, {max(self.memory_bytes / 1e9, 0.1):.1f} GB of memory."
        )


def plan_detection(
    detector: Detector,
    images: Sequence[npt.NDArray[Any]],
    settings: DetectionSettings,
    diameters: Sequence[float],
) -> Generator[Progress, None, DetectionPlan]:
    """Search a few parts, evenly spread over images, and judge by them what all will take.

    Parameters
    ----------
    detector, images, settings, diameters
        As for `Detector.detect_parts`.
    """
    sizes = getattr(images, "sizes", None) or [image.shape[:2] for image in images]
    tiles = [
        (index, tile)
        for index, size in enumerate(sizes)
        for tile in tiles_of(size, diameters[index])
    ]
    before = psutil.Process().memory_info().rss
    count = min(TRIALS, len(tiles))
    # The middles of so many equal shares; rounded to whole parts, no two are the same.
    places = ((np.arange(count) + 0.5) * len(tiles) / max(count, 1)).astype(int)
    seconds, cells, area = [], 0, 0
    for number, place in enumerate(places):
        yield Progress(number, len(places), "Trying a few parts")
        index, tile = tiles[place]
        started = time.perf_counter()
        cells += _cells_in(detector, images[index], tile, settings, diameters[index])
        seconds.append(time.perf_counter() - started)
        area += _area(tile)
    whole = sum(_area(tile) for _, tile in tiles)
    each_s = float(np.median(seconds[1:] or seconds))
    return DetectionPlan(
        round(cells * whole / max(area, 1)), len(tiles), each_s * len(tiles), before + PART_BYTES
    )


def _cells_in(
    detector: Detector,
    image: npt.NDArray[Any],
    tile: Tile,
    settings: DetectionSettings,
    diameter_px: float,
) -> int:
    part = np.asarray(image[tile.slices])
    own = settings.replace(cell_diameter_px=diameter_px)
    (found,) = detector.detect_frames([part], own)
    return int(np.count_nonzero(tile.holds(found.xyxy + tile.offset)))


def _area(tile: Tile) -> int:
    top, left, bottom, right = tile.core
    return (bottom - top) * (right - left)


def _rounded(count: int) -> int:
    """Return a number with two digits that count."""
    digits = max(len(str(count)) - 2, 0)
    return round(count, -digits)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
