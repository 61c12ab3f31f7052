"""What a detection in large images will find, take and need, judged by a few of their parts."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil

from napari_attmil.cells.detection.tiling import Tile, tiles_of
from napari_attmil.core import Progress

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_attmil.cells.detection.detector import Detector
    from napari_attmil.cells.detection.working_scale import CellSize
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
    cell_sizes
        The typical cell size of each image, if measured: the search need not do it again.
    """

    cells: int
    parts: int
    seconds: float
    memory_bytes: int
    cell_sizes: tuple[CellSize, ...] = field(default=(), repr=False)

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
    shapes = getattr(images, "sizes", None) or [image.shape[:2] for image in images]
    tiles = [
        (index, tile)
        for index, shape in enumerate(shapes)
        for tile in tiles_of(shape, diameters[index])
    ]
    before = psutil.Process().memory_info().rss
    count = min(TRIALS, len(tiles))
    # The middles of so many equal shares; rounded to whole parts, no two are the same.
    places = ((np.arange(count) + 0.5) * len(tiles) / max(count, 1)).astype(int)
    seconds, cells, area, bytes_per_px = [], 0, 0, 0.0
    for number, place in enumerate(places):
        yield Progress(number, len(places), "Trying a few parts")
        index, tile = tiles[place]
        started = time.perf_counter()
        part = np.asarray(images[index][tile.slices])
        cells += _cells_in(detector, part, tile, settings, diameters[index])
        seconds.append(time.perf_counter() - started)
        area += _area(tile)
        bytes_per_px = max(bytes_per_px, part.nbytes / (part.shape[0] * part.shape[1]))
    whole = sum(_area(tile) for _, tile in tiles)
    each_s = float(np.median(seconds[1:] or seconds))
    parts = [detector.part_count(shape, own) for shape, own in zip(shapes, diameters, strict=True)]
    # An image that is searched in one piece is in memory whole.
    largest = max((int(np.prod(shapes[i])) for i, own in enumerate(parts) if own == 1), default=0)
    return DetectionPlan(
        round(cells * whole / max(area, 1)),
        sum(parts),
        each_s * len(tiles),
        before + PART_BYTES + round(largest * bytes_per_px),
    )


def _cells_in(
    detector: Detector,
    part: npt.NDArray[Any],
    tile: Tile,
    settings: DetectionSettings,
    diameter_px: float,
) -> int:
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
