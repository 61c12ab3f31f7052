"""The queue of a study's images for review, its order, and the estimated time left."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from statistics import median_low
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_attmil.cells import Boxes, Source
from napari_attmil.cells.annotations import most_uncertain_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_attmil.images import Sample
    from napari_attmil.session.sample_state import SampleState

DOUBTFUL_SCORE: Final = 0.8
"""Boxes of the detector with a lower score are presented one by one."""
RECENT_REVIEWS: Final = 15
LONGEST_REVIEW_S: Final = 300.0
"""A longer pause between two reviews was a break."""


class ReviewState(StrEnum):
    """The state of an image in the review."""

    NEW = "new"
    PREDICTED = "predicted"
    IN_WORK = "in work"
    REVIEWED = "reviewed"


OPEN_STATES: Final = (ReviewState.PREDICTED, ReviewState.IN_WORK)
"""Images that have been searched for cells, but not confirmed by a person."""


class QueueOrder(StrEnum):
    """The order of the queue."""

    STUDY = "as in the study"
    DOUBT = "most doubtful boxes first"
    BOXES = "most boxes first"
    FEWEST = "fewest boxes first"


@dataclass(frozen=True)
class QueueEntry:
    """One image of the queue.

    Attributes
    ----------
    sample, image_index
        The sample's name and the image's index within it, from 0.
    title
        The name of its file, with the page if the file has several images.
    state
        Its state in the review.
    box_count
        The number of boxes.
    doubtful_count
        The number of unconfirmed boxes of the detector with a score below `DOUBTFUL_SCORE`.
    scores
        The detector's score of each box; 1 for boxes that a person has confirmed or drawn.
    """

    sample: str
    image_index: int
    title: str
    state: ReviewState
    box_count: int
    doubtful_count: int
    scores: tuple[float, ...]

    @property
    def place(self) -> tuple[str, int]:
        """The key of the image within the study."""
        return self.sample, self.image_index


def entries_of(sample: Sample, state: SampleState) -> list[QueueEntry]:
    """Return the images of one sample as entries of the queue, in their order."""
    boxes, per_image = state.cells, partial(np.bincount, minlength=len(sample))
    # Arrays, not Boxes, whose validation would be slow for thousands of samples.
    is_unsure = boxes.source == Source.MODEL
    total = per_image(boxes.image_index)
    order = np.argsort(boxes.image_index, kind="stable")
    seen_scores = np.where(is_unsure, boxes.score, 1.0)[order]
    scores = np.split(seen_scores, np.cumsum(total)[:-1])
    doubtful = per_image(boxes.image_index[is_unsure & (boxes.score < DOUBTFUL_SCORE)])
    touched = per_image(boxes.image_index[~is_unsure])
    touched += per_image(state.deleted.image_index)
    touched += per_image(state.boxes.image_index) - total  # tagged as not a cell
    return [
        QueueEntry(
            sample.name,
            index,
            title,
            _state(index, state, int(touched[index]), int(total[index])),
            int(total[index]),
            int(doubtful[index]),
            tuple(scores[index].tolist()),
        )
        for index, title in enumerate(sample.image_titles())
    ]


def sorted_entries(entries: Sequence[QueueEntry], order: QueueOrder) -> list[QueueEntry]:
    """Return entries in an order; ties keep the order of the study."""
    if order is QueueOrder.DOUBT:
        return _most_doubtful_first(entries)
    sign = {QueueOrder.STUDY: 0, QueueOrder.BOXES: -1, QueueOrder.FEWEST: 1}[order]
    return sorted(entries, key=lambda entry: sign * entry.box_count)


def neighbour(
    entries: Sequence[QueueEntry],
    place: tuple[str, int] | None,
    step: int,
    only_unreviewed: bool = False,
) -> QueueEntry | None:
    """Return the image before or after another one, or None at the end of the queue.

    Parameters
    ----------
    entries
        In the queue's order.
    place
        The key of the current image; None to begin at the start.
    step
        1 for the next image, -1 for the previous one.
    only_unreviewed
        Skip reviewed images, and wrap around at the end.
    """
    places = [entry.place for entry in entries]
    at = places.index(place) if place in places else -1
    following = [*range(at + step, len(entries) if step > 0 else -1, step)]
    if not only_unreviewed:
        return entries[following[0]] if following else None
    others = len(places) - (place in places)
    around = [entries[(at + step * number) % len(entries)] for number in range(1, others + 1)]
    return next((entry for entry in around if entry.state != ReviewState.REVIEWED), None)


def doubtful_cells(boxes: Boxes) -> list[int]:
    """Return ids of the detector's unconfirmed, unsure boxes: image by image, in reading order."""
    unsure = boxes[(boxes.source == Source.MODEL) & (boxes.score < DOUBTFUL_SCORE)]
    order = np.lexsort((unsure.xyxy[:, 0], unsure.xyxy[:, 1], unsure.image_index))
    return [int(cell) for cell in unsure.cell_id[order]]


class ReviewPace:
    """Estimates the time for the remaining images from the latest reviews.

    Parameters
    ----------
    clock
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self._seconds: deque[float] = deque(maxlen=RECENT_REVIEWS)

    def start(self) -> None:
        """Start the clock for an image."""
        self._last = self._clock()

    def note_review(self) -> None:
        """Note that an image was reviewed, and start the clock for the next one."""
        now = self._clock()
        if self._last is not None and now - self._last <= LONGEST_REVIEW_S:
            self._seconds.append(now - self._last)
        self._last = now

    def seconds_left(self, image_count: int) -> float | None:
        """Return the estimated time for a number of images; None without any reviews."""
        if not self._seconds or not image_count:
            return None
        return median_low(self._seconds) * image_count


def reviewed_count(entries: Iterable[QueueEntry]) -> int:
    """Return the number of reviewed images."""
    return sum(entry.state == ReviewState.REVIEWED for entry in entries)


def _most_doubtful_first(entries: Sequence[QueueEntry]) -> list[QueueEntry]:
    """Return images with boxes by uncertainty, then new images, then reviewed ones."""
    unsure = [entry for entry in entries if entry.state in OPEN_STATES]
    ranked = [unsure[row] for row in most_uncertain_first([entry.scores for entry in unsure])]
    new = [entry for entry in entries if entry.state is ReviewState.NEW]
    return [*ranked, *new, *(e for e in entries if e.state is ReviewState.REVIEWED)]


def _state(index: int, state: SampleState, touched: int, boxes: int) -> ReviewState:
    if index in state.reviewed:
        return ReviewState.REVIEWED
    if touched:
        return ReviewState.IN_WORK
    is_predicted = boxes or index in state.searched
    return ReviewState.PREDICTED if is_predicted else ReviewState.NEW
