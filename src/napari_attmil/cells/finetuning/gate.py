"""Whether a fitted detector is better than the one before, on images that it has not learnt from.

What a person drew, moved or deleted counts fully. All else was only approved as the detector had
made it: it counts a quarter, or else the detector before would be measured by its own boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.cells.boxes import SAME_CELL_IOU, iou_matrix, match_boxes
from napari_attmil.cells.detection import DetectionScore
from napari_attmil.core import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_attmil.cells.finetuning.augmentation import LabelledImage
    from napari_attmil.core import Float32Array

    Floats = npt.NDArray[np.float64]

WEIGHTS_IN_WORDS: Final = (
    "In the test, boxes that were drawn, moved or deleted count fully, all others a quarter."
)
UNTOUCHED_WEIGHT: Final = 0.25
"""Of boxes that nobody drew or moved, and of detections where no box was deleted."""
LEAST_GAIN: Final = 0.01
"""A smaller gain in average precision may be chance."""
SHOWN_SCORE: Final = 0.5
"""Detections of at least this score count as found."""
OVERLAPS: Final = tuple(np.arange(0.5, 1.0, 0.05).round(2).tolist())


@dataclass(frozen=True, eq=False)
class TestedImage:
    """A held-out image and what a detector finds in it.

    Attributes
    ----------
    image
        With the boxes of the person who reviewed it.
    found, score
        (n, 4) float32 and (n,) float32, of any score.
    """

    __test__ = False  # It is no test of pytest's.

    image: LabelledImage
    found: Float32Array
    score: Float32Array

    @property
    def shown(self) -> Float32Array:
        """The (m, 4) boxes that a person would see."""
        return self.found[self.score >= SHOWN_SCORE]


@dataclass(frozen=True)
class LookOutcome:
    """What became of the cells of one look, or of all held-out images.

    Attributes
    ----------
    look
        Its name.
    images, cells
        How many of them were held out.
    before, after
        How many of the cells the detectors before and after find.
    gained, lost
        Cells that only the detector after finds, and those that only the one before found.
    wrong_before, wrong_after
        Detections that are no cell.
    """

    look: str
    images: int
    cells: int
    before: int
    after: int
    gained: int
    lost: int
    wrong_before: int
    wrong_after: int


def is_better(before: DetectionScore, after: DetectionScore) -> bool:
    """Return whether the gate opens: more precise, and not by closer boxes around fewer cells."""
    return after.ap - before.ap >= LEAST_GAIN and before.ap50 - after.ap50 < LEAST_GAIN


def weighted_precision(tested: Sequence[TestedImage]) -> DetectionScore:
    """Return average precision where what a person touched counts more than the rest.

    Detections and cells are paired as COCO does: the surest detection first, each with the free
    cell that it overlaps most. The precision is averaged over the weight of the cells.
    """
    at = {overlap: _precision_at(tested, overlap) for overlap in OVERLAPS}
    return DetectionScore(at[0.5], at[0.75], float(np.mean(list(at.values()))))


def outcomes(
    before: Sequence[TestedImage], after: Sequence[TestedImage], look_of: Mapping[str, str]
) -> list[LookOutcome]:
    """Compare two detectors on the same images: by look, beginning with the most images."""
    looks: dict[str, list[int]] = {}
    for place, tested in enumerate(before):
        looks.setdefault(look_of[tested.image.name], []).append(place)
    return [
        _outcome(look, [before[place] for place in places], [after[place] for place in places])
        for look, places in sorted(looks.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def outcomes_in_words(looks: Sequence[LookOutcome]) -> list[str]:
    """Say of each look what became of its cells, beginning with the name of the look."""
    return [
        f"{look.look} ({counted(look.images, 'held-out image')}): {look.after} of "
        f"{counted(look.cells, 'cell')} found, {look.before} before ({look.gained} gained, "
        f"{look.lost} lost); {counted(look.wrong_after, 'wrong box', 'wrong boxes')}, "
        f"{look.wrong_before} before"
        for look in looks
    ]


def weights_of(image: LabelledImage) -> Floats:
    """Return (n,) how much each box of an image counts."""
    if image.touched is None:
        return np.ones(len(image.xyxy))
    return np.where(image.touched, 1.0, UNTOUCHED_WEIGHT)


def _outcome(look: str, before: Sequence[TestedImage], after: Sequence[TestedImage]) -> LookOutcome:
    cells = sum(len(tested.image.xyxy) for tested in before)
    found_before, found_after = _found(before), _found(after)
    return LookOutcome(
        look,
        len(before),
        cells,
        int(found_before.sum()),
        int(found_after.sum()),
        int((found_after & ~found_before).sum()),
        int((found_before & ~found_after).sum()),
        sum(len(tested.shown) for tested in before) - int(found_before.sum()),
        sum(len(tested.shown) for tested in after) - int(found_after.sum()),
    )


def _found(tested: Sequence[TestedImage]) -> npt.NDArray[np.bool_]:
    """Return which cells of some images are found."""
    return np.concatenate([match_boxes(each.image.xyxy, each.shown) >= 0 for each in tested])


def _precision_at(tested: Sequence[TestedImage], overlap: float) -> float:
    """Return the weighted average precision at one overlap of detection and cell."""
    from sklearn.metrics import average_precision_score  # takes a second to load

    total = sum(float(weights_of(each.image).sum()) for each in tested)
    parts = [_judged(each, overlap) for each in tested]
    right, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    if total == 0 or not right.any():
        return 0.0
    score = np.concatenate([each.score for each in tested])
    # scikit-learn's recall is that of the cells found; the rest is never reached.
    reached = float(weight[right].sum()) / total
    return reached * float(average_precision_score(right, score, sample_weight=weight))


def _judged(tested: TestedImage, overlap: float) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Return which detections are right, and how much each counts."""
    image, of_cells = tested.image, weights_of(tested.image)
    iou = iou_matrix(tested.found, image.xyxy)
    right = np.zeros(len(tested.found), dtype=bool)
    weight = _weights_of_wrong(tested, iou)
    free = np.ones(len(image.xyxy), dtype=bool)
    for row in np.argsort(-tested.score, kind="stable") if len(image.xyxy) else ():
        cell = int(np.where(free, iou[row], -1).argmax())
        if free[cell] and iou[row, cell] >= overlap:
            right[row], free[cell], weight[row] = True, False, of_cells[cell]
    return right, weight


def _weights_of_wrong(tested: TestedImage, iou: Float32Array) -> Floats:
    """Return how much each detection counts if it is wrong: as the box there does."""
    image = tested.image
    known = np.concatenate([weights_of(image), np.ones(len(image.rejected))])
    all_iou = np.concatenate([iou, iou_matrix(tested.found, image.rejected)], axis=1)
    if not len(known):
        return np.full(len(tested.found), UNTOUCHED_WEIGHT if image.touched is not None else 1.0)
    nearest = all_iou.argmax(axis=1)
    elsewhere = UNTOUCHED_WEIGHT if image.touched is not None else 1.0
    return np.where(all_iou.max(axis=1) >= SAME_CELL_IOU, known[nearest], elsewhere)
