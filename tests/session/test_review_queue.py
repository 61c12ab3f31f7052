from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.images.cohort import Frame, Sample
from napari_attmil.session.review_queue import (
    QueueOrder,
    ReviewPace,
    ReviewState,
    doubtful_cells,
    entries_of,
    neighbour,
    sorted_entries,
)
from napari_attmil.session.sample_state import SampleState

SAMPLE = Sample("s", "p", None, tuple(Frame(Path(f"{name}.png")) for name in "abcd"))
BOXES = Boxes.from_detections(
    [0, 0, 0, 1], [[0, 0, 9, 9], [20, 0, 29, 9], [0, 0, 9, 9], [0, 0, 9, 9]], [0.95, 0.6, 0.7, 0.9]
)
CONFIRMED = replace(BOXES, source=np.array([0, 0, Source.ACCEPTED, 0]))


def states(**known: Any) -> list[ReviewState]:
    return [entry.state for entry in entries_of(SAMPLE, SampleState(**known))]


def test_an_image_is_new_until_it_has_boxes() -> None:
    predicted, new = ReviewState.PREDICTED, ReviewState.NEW
    assert states() == [new] * 4
    assert states(boxes=BOXES) == [predicted, predicted, new, new]
    assert states(boxes=BOXES, searched=frozenset(range(4))) == [predicted] * 4


def test_confirmed_and_deleted_boxes_mean_work_and_the_mark_means_reviewed() -> None:
    known = states(boxes=CONFIRMED, deleted=BOXES[[3]], reviewed=frozenset({2}))
    assert known == [
        ReviewState.IN_WORK,
        ReviewState.IN_WORK,
        ReviewState.REVIEWED,
        ReviewState.NEW,
    ]


def test_only_the_detectors_unconfirmed_boxes_are_doubtful() -> None:
    first = entries_of(SAMPLE, SampleState(boxes=CONFIRMED))[0]
    assert (first.box_count, first.doubtful_count) == (3, 1)
    assert first.scores == pytest.approx((0.95, 0.6, 1))
    assert doubtful_cells(CONFIRMED) == [2]


def test_doubtful_boxes_come_in_reading_order() -> None:
    assert doubtful_cells(BOXES) == [3, 2]


def test_doubtful_images_come_first_then_new_ones_then_reviewed() -> None:
    state = SampleState(boxes=BOXES, reviewed=frozenset({2}))
    entries = entries_of(SAMPLE, state)
    # Expected wrong boxes: (0.05 + 0.4 + 0.3) / 3 in a, (0.1 + 0.5) / 2 in b, which lacks one.
    titles = [entry.title for entry in sorted_entries(entries, QueueOrder.DOUBT)]
    assert titles == ["b.png", "a.png", "d.png", "c.png"]


def test_next_unreviewed_image_is_looked_for_all_around() -> None:
    entries = entries_of(SAMPLE, SampleState(reviewed=frozenset({3, 0})))
    following = neighbour(entries, ("s", 2), 1, only_unreviewed=True)
    assert following is not None and following.image_index == 1
    assert neighbour(entries, ("s", 3), 1) is None
    assert neighbour(entries, None, 1) == entries[0]
    all_but_last = entries_of(SAMPLE, SampleState(reviewed=frozenset(range(3))))
    assert neighbour(all_but_last, None, 1, only_unreviewed=True) == all_but_last[3]
    all_done = entries_of(SAMPLE, SampleState(reviewed=frozenset(range(4))))
    assert neighbour(all_done, ("s", 0), 1, only_unreviewed=True) is None


def test_remaining_time_is_the_median_of_recent_reviews_without_breaks() -> None:
    times = iter([0, 10, 30, 50, 5000, 5010])
    pace = ReviewPace(lambda: next(times))
    pace.start()
    for _ in range(4):
        pace.note_review()
    assert pace.seconds_left(3) == 3 * 20
    assert ReviewPace().seconds_left(3) is None
