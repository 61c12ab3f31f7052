"""Which of the detector's candidates a click or a sloppy box means."""

from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.detection.unsure_detections import (
    detection_around,
    detection_at,
    unsure_detection_settings,
)
from napari_attmil.cells.settings import DetectionSettings

SURE, UNSURE, BOTH = [0, 0, 20, 20], [18, 0, 38, 20], [0, 0, 38, 20]
CANDIDATES = Boxes.from_detections([0, 0, 0], [SURE, UNSURE, BOTH], [0.9, 0.3, 0.12])


@pytest.mark.parametrize(
    ("point", "box"),
    [
        ((10, 10), SURE),
        ((28, 10), UNSURE),
        # Of the sure box it is 0.45 sides off, of the unsure one too: 0.9 against 0.3.
        ((19, 10), SURE),
    ],
)
def test_a_click_means_the_surest_box_that_it_lies_in_the_middle_of(
    point: tuple[int, int], box: list[int]
) -> None:
    found = detection_at(CANDIDATES, point)
    assert found is not None and found.tolist() == box


def test_a_cell_that_has_its_box_is_not_offered_again() -> None:
    known = np.array([[1, 1, 20, 20]], dtype=np.float32)
    assert detection_at(CANDIDATES[np.array([0])], (10, 10), known) is None
    found = detection_at(CANDIDATES, (24, 10), known)
    assert found is not None and found.tolist() == UNSURE


@pytest.mark.parametrize("point", [(10, 30), (-1, 5), (float("nan"), 5)])
def test_a_click_beside_all_candidates_means_none(point: tuple[float, float]) -> None:
    assert detection_at(CANDIDATES, point) is None
    assert detection_at(Boxes.empty(), point) is None


def test_a_sloppy_box_means_the_candidate_that_it_overlaps_most() -> None:
    found = detection_around(CANDIDATES, [21, 2, 40, 22])
    assert found is not None and found.tolist() == UNSURE
    assert detection_around(CANDIDATES, [15, 15, 60, 60]) is None
    assert detection_around(Boxes.empty(), [0, 0, 9, 9]) is None


def test_candidates_are_detected_like_cells_but_unsure_and_overlapping_ones_stay() -> None:
    settings = unsure_detection_settings(DetectionSettings(cell_diameter_px=40, min_score=0.7))
    assert settings.cell_diameter_px == 40
    assert settings.min_score < 0.2 and settings.max_overlap > 0.8
