"""Reviewed images, read for training."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_attmil.cells.boxes import Source, iou_matrix
from napari_attmil.cells.exchange import CROWD, Account, in_sentences, only_cells, read_coco
from napari_attmil.cells.finetuning.augmentation import LabelledImage
from napari_attmil.core import Remedy, UserError
from napari_attmil.images import Frame, name_within, read_frame, read_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_attmil.cells.annotations import Annotations
    from napari_attmil.core import Float32Array
    from napari_attmil.images import Sample

CLEAR_SCORE: Final = 0.8
"""Detections of at least this score are cells that a person hardly overlooks on purpose."""
OTHER_CELL_IOU: Final = 0.3
"""Boxes that overlap less do not show the same cell."""


def reviewed_images(
    samples: Sequence[Sample],
    annotations: Mapping[str, Annotations],
    folder: Path,
    left_out: Collection[tuple[str, int]] = (),
) -> list[LabelledImage]:
    """Return a study's reviewed images with their boxes, including those without cells.

    Parameters
    ----------
    samples
        The study's samples.
    annotations
        Those of samples, by name.
    folder
        The study's.
    left_out
        Reviewed images that are not to be used: the sample's name and the position in it.

    Raises
    ------
    UserError
        If none is reviewed, or a file cannot be read.
    """
    images = []
    for sample in (each for each in samples if each.name in annotations):
        own = annotations[sample.name]
        for index in sorted(own.reviewed):
            if (sample.name, index) not in left_out:
                images.append(reviewed_image(sample, index, own, folder))
    if not images:
        raise UserError(
            f"No image of {folder} is marked as reviewed; correct the boxes of "
            "some images and mark them, best about ten.",
            Remedy.REVIEW_IMAGES,
        )
    return images


def reviewed_image(
    sample: Sample, index: int, annotations: Annotations, folder: Path
) -> LabelledImage:
    """Read an image of a sample, with its boxes and what a person did to them.

    Parameters
    ----------
    sample, index
        The sample, and the position of the image in it.
    annotations
        Those of the sample.
    folder
        The study's.
    """
    frame, boxes = sample.frames[index], annotations.cells.of_image(index)
    tagged = annotations.boxes.of_image(index)
    not_cells = tagged[~np.isin(tagged.cell_id, boxes.cell_id)]
    return replace(
        _labelled(frame, boxes.xyxy, image_name(frame, folder)),
        touched=boxes.source == Source.PERSON,
        rejected=np.concatenate([annotations.deleted.of_image(index).xyxy, not_cells.xyxy]),
    )


def read_labelled_images(path: Path) -> list[LabelledImage]:
    """Return all images of a COCO file with their red cells; each counts as reviewed.

    Paths of images are relative to the COCO file; an image of a stack is given by its page, as this
    program writes it. Crowds and other classes are left out.

    Raises
    ------
    UserError
        If it is not a COCO file, or boxes or images in it cannot be read, or it has several classes
        and no red cells.
    """
    account = Account()
    try:
        found = read_coco(json.loads(read_text(path)), account)
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no COCO file that can be read ({error!r}); export it again as COCO JSON."
        ) from error
    # What is missing from an image would be learned as background.
    unread = [each for each in account.left_out if each.reason != CROWD]
    if unread:
        raise UserError(
            f"{path} cannot be trained on, as boxes in it cannot be read. "
            f"{in_sentences(unread)[0]} Mend the file, or remove these from it."
        )
    images, _ = only_cells(found)
    return [
        _labelled(
            Frame(path.parent / image.name.replace("\\", "/"), image.page),
            np.array([box.xyxy for box in image.boxes], np.float32).reshape(-1, 4),
            # No page for the first image of a file: earlier lists of held-out images have it so.
            f"{image.name}#{image.page}" if image.page else image.name,
        )
        for image in images
    ]


def cells_without_box(image: LabelledImage, found: Float32Array) -> Float32Array:
    """Return those of (n, 4) sure detections where there is no box, and none was deleted."""
    known = np.concatenate([image.xyxy, image.rejected])
    overlap = iou_matrix(found, known).max(axis=1, initial=0)
    return np.asarray(found[overlap < OTHER_CELL_IOU])


def _labelled(frame: Frame, xyxy: npt.NDArray[np.float32], name: str) -> LabelledImage:
    pixels = read_frame(frame)
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=-1).astype(pixels.dtype)
    return LabelledImage(grey, xyxy, stained=pixels.ndim == 3, name=name)


def image_name(frame: Frame, folder: Path) -> str:
    """Name an image by its path relative to the study's folder, so that this can be moved."""
    return f"{name_within(folder, frame.path)}#{frame.page}"
