"""Agreement of two annotators: boxes matched one to one, per image and in total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_attmil.cells.annotations.edits import Annotations
from napari_attmil.cells.boxes import Boxes, iou_matrix, match_boxes
from napari_attmil.cells.detection import ScoredImage, average_precision
from napari_attmil.core import UserError, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_attmil.core import Float32Array
    from napari_attmil.images import Cohort


class Agreement(NamedTuple):
    """Agreement on one image, or on several.

    Attributes
    ----------
    matched, only_first, only_second
        Number of cells that both have, and that only one of them has.
    iou_sum
        Intersection over union, summed over the matched.
    """

    matched: int
    only_first: int
    only_second: int
    iou_sum: float

    @property
    def f1(self) -> float:
        """2 matched / (boxes of both); 1 where neither has any."""
        boxes = 2 * self.matched + self.only_first + self.only_second
        return 2 * self.matched / boxes if boxes else 1.0

    @property
    def mean_iou(self) -> float:
        """Mean intersection over union of the matched; NaN where there are none."""
        return self.iou_sum / self.matched if self.matched else float("nan")


def agreement_of(first: Float32Array, second: Float32Array) -> Agreement:
    """Compare two annotators' (n, 4) and (m, 4) boxes of one image."""
    pairs = match_boxes(first, second)
    rows = np.flatnonzero(pairs >= 0)
    iou = iou_matrix(first, second)[rows, pairs[rows]]
    matched = len(rows)
    return Agreement(matched, len(first) - matched, len(second) - matched, float(iou.sum()))


def agreement_in_all(parts: Sequence[Agreement]) -> Agreement:
    """Return the agreement over several images; all boxes have the same weight."""
    return Agreement(*map(sum, zip(*parts, strict=True)))


@dataclass(frozen=True)
class Comparison:
    """Agreement on the images that both annotators have reviewed or have drawn boxes in.

    Attributes
    ----------
    images
        Agreement by sample and image, named "sample, file".
    ap50
        Average precision at 0.5 of the second annotator's boxes, with the first's as the truth.
    left_out
        Number of images that only one of them has worked on.
    """

    images: dict[str, Agreement]
    ap50: float
    left_out: int


def compare_annotators(
    first: Cohort,
    first_kept: Mapping[str, Annotations],
    second: Cohort,
    second_kept: Mapping[str, Annotations],
) -> Comparison:
    """Compare two copies of a study; images are matched by sample and position in it.

    Raises
    ------
    UserError
        If there is no image that both have worked on.
    """
    mine, theirs = _worked_on(first, first_kept), _worked_on(second, second_kept)
    common = [name for name in mine if name in theirs]
    if not common:
        raise UserError(
            f"{first.folder} and {second.folder} have no image that both have boxes of; compare "
            "two copies of one project."
        )
    scored = [
        ScoredImage(theirs[name].xyxy, theirs[name].score, mine[name].xyxy) for name in common
    ]
    parts = {name: agreement_of(mine[name].xyxy, theirs[name].xyxy) for name in common}
    left_out = len(mine.keys() ^ theirs.keys())
    return Comparison(parts, average_precision(scored).ap50, left_out)


def agreement_in_words(comparison: Comparison) -> Iterator[str]:
    """Yield one line per image, and one for all images."""
    for name, part in comparison.images.items():
        yield f"{name}: {_figures(part)}"
    parts = list(comparison.images.values())
    figures = _figures(agreement_in_all(parts))
    yield f"{counted(len(parts), 'image')} in all: {figures}, AP50 {comparison.ap50:.3f}"
    if comparison.left_out:
        left_out = counted(comparison.left_out, "image")
        yield f"Left out: {left_out} that only one person has worked on."


def _worked_on(cohort: Cohort, kept: Mapping[str, Annotations]) -> dict[str, Boxes]:
    found = {}
    for sample in cohort.samples:
        known = kept.get(sample.name, Annotations())
        for index, title in enumerate(sample.image_titles()):
            boxes = known.boxes.of_image(index)
            if len(boxes) or index in known.reviewed:
                found[f"{sample.name}, {title}"] = boxes
    return found


def _figures(part: Agreement) -> str:
    return (
        f"{counted(part.matched, 'cell')} in common, {part.only_first} only in the first, "
        f"{part.only_second} only in the second, F1 {part.f1:.3f}, mean IoU {part.mean_iou:.3f}"
    )
