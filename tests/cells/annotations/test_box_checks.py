"""Odd boxes are found with their reason; two annotators' agreement is counted as by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.cells.annotations.agreement import agreement_in_all, agreement_of
from napari_attmil.cells.annotations.box_checks import odd_boxes
from napari_attmil.cells.boxes import Boxes

ROW = [[10 + 30 * k, 10, 30 + 30 * k, 30] for k in range(6)]


def reasons(*odd: list[float]) -> list[tuple[int, str]]:
    xyxy = np.array([*ROW, *odd], dtype=np.float32)
    boxes = Boxes.from_detections(np.zeros(len(xyxy)), xyxy, np.ones(len(xyxy)))
    return [(box.cell_id, box.reason) for box in odd_boxes(boxes, [(300, 200)])]


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([50, 100, 55, 105], "has 0.25 times the diameter of the image's median box"),
        ([50, 100, 110, 160], "has 3 times the diameter of the image's median box"),
        ([50, 100, 70, 101], "has a side below 3 px"),
        ([400, 100, 420, 120], "lies outside of the image"),
        ([290, 100, 310, 120], "reaches out of the image"),
        ([10, 10, 30, 29], "shows the same as box 1"),
    ],
)
def test_odd_box_is_told_with_its_reason(box: list[float], reason: str) -> None:
    assert reasons(box) == [(7, reason)]


def test_touching_the_border_is_not_odd_however_little_is_seen() -> None:
    assert reasons([0, 100, 5, 105], [280, 100, 300, 120]) == []


def test_agreement_counts_matches_and_averages_overlap() -> None:
    first = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], dtype=np.float32)
    second = np.array([[0, 0, 10, 10], [20, 0, 30, 8]], dtype=np.float32)
    part = agreement_of(first, second)
    assert (part.matched, part.only_first, part.only_second) == (2, 1, 0)
    assert part.f1 == pytest.approx(4 / 5)
    assert part.mean_iou == pytest.approx(0.9)
    none = np.empty((0, 4), dtype=np.float32)
    assert agreement_of(none, none).f1 == 1
    assert agreement_in_all([part, agreement_of(none, first)]).f1 == pytest.approx(4 / 8)
