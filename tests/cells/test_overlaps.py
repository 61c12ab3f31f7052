"""Overlaps by a grid are those of all pairs, and fit into memory for very many boxes."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings, strategies as st

from napari_attmil.cells import boxes as boxes_module
from napari_attmil.cells.annotations.box_checks import odd_boxes
from napari_attmil.cells.boxes import Boxes, iou_matrix, match_boxes
from napari_attmil.cells.overlaps import greatest_overlap, overlapping_pairs

if TYPE_CHECKING:
    import pytest


def some_boxes(rng: np.random.Generator, count: int, large: int = 0) -> np.ndarray:
    corner = rng.uniform(-50, 900, (count, 2))
    size = rng.uniform(0, 60, (count, 2))
    size[:large] *= 40
    return np.hstack([corner, corner + size]).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 60), st.integers(0, 60), st.integers(0, 3))
def test_pairs_are_those_of_the_whole_matrix(seed: int, n: int, m: int, large: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = some_boxes(rng, n, large), some_boxes(rng, m, large)
    whole = iou_matrix(a, b)
    rows, columns, share = overlapping_pairs(a, b)
    np.testing.assert_array_equal(np.stack([rows, columns], axis=1), np.argwhere(whole > 0))
    np.testing.assert_array_equal(share, whole[whole > 0])
    np.testing.assert_array_equal(greatest_overlap(a, b), whole.max(axis=1, initial=0))


def test_many_boxes_are_paired_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth = some_boxes(rng, 400)
    found = rng.permutation(truth + rng.normal(0, 3, truth.shape))[:350]
    whole = match_boxes(found, truth)
    monkeypatch.setattr(boxes_module, "FEW_PAIRS", 0)
    np.testing.assert_array_equal(match_boxes(found, truth), whole)
    assert 200 < np.count_nonzero(whole >= 0) < 350


def test_two_hundred_thousand_boxes_are_checked_and_paired_within_a_gigabyte() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 20_000, (200_000, 2)).astype(np.float32)
    xyxy = np.hstack([corner, corner + 40])
    xyxy[-1] = xyxy[0]
    tracemalloc.start()
    boxes = Boxes.from_detections(np.zeros(len(xyxy), np.int64), xyxy, np.ones(len(xyxy)))
    odd = odd_boxes(boxes, [(20_100, 20_100)])
    assert (200_000, "shows the same as box 1") in {(box.cell_id, box.reason) for box in odd}
    assert (greatest_overlap(xyxy, xyxy) == 1).all()
    assert np.count_nonzero(match_boxes(xyxy[:20_000], xyxy[:20_000] + 1) >= 0) > 19_900
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e9
