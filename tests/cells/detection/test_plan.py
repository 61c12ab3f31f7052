"""What a search will take is judged by parts that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from napari_attmil.cells.detection.plan import plan_detection
from napari_attmil.cells.settings import DetectionSettings
from napari_attmil.core import finished

if TYPE_CHECKING:
    from napari_attmil.cells.detection.detector import Detector


class Looker:
    """Finds as many cells in an image as its first pixel says, and keeps those numbers."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def part_count(self, *_: object) -> int:
        return 1

    def detect_frames(self, parts: list[np.ndarray], settings: DetectionSettings) -> list[Any]:
        del settings
        (part,) = parts
        self.seen.append(int(part[0, 0]))
        return [type("Found", (), {"xyxy": np.tile([1, 1, 9, 9], (part[0, 0], 1))})]


@pytest.mark.parametrize(
    ("count", "seen"),
    [
        (1, [1]),
        (2, [1, 2]),
        (3, [1, 2, 3]),
        (4, [1, 2, 3, 4]),
        (5, [1, 2, 4, 5]),
        (8, [2, 4, 6, 8]),
    ],
)
def test_no_part_is_tried_twice(count: int, seen: list[int]) -> None:
    images = [np.full((50, 50), value, np.uint8) for value in range(1, count + 1)]
    looker = Looker()
    plan = finished(
        plan_detection(cast("Detector", looker), images, DetectionSettings(), [10.0] * count)
    )
    assert looker.seen == seen
    assert plan.parts == count
    assert plan.cells == round(sum(seen) / len(seen) * count)
