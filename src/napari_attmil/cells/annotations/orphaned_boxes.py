"""Boxes that a study keeps of images which its cohort does not have: nobody would miss them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from napari_attmil.cells.annotations.annotation_file import FILE_NAME, AnnotationFile
from napari_attmil.core import counted
from napari_attmil.images import name_within

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from napari_attmil.images import Cohort


def orphaned_boxes_in_words(cohort: Cohort) -> str:
    """Say which boxes belong to no image of a cohort; empty if there are none.

    Where the images are there, but the cohort leaves them out (a table of a part of them), that is
    said in short; where they are not, a file or a folder was renamed, moved or deleted.

    Raises
    ------
    UserError
        If the file of annotations cannot be read.
    """
    path = cohort.folder / FILE_NAME
    if not path.exists():  # the user's own file is of other studies, too
        return ""
    counts = AnnotationFile(path).boxes_of_other_images(cohort.samples)
    gone = [image for image in counts if not os.path.isfile(image)]
    if gone:
        return (
            f"The cohort has no image for {_boxes(counts, gone)}: "
            f"{name_within(cohort.folder, gone[0])} is not there any more; if an image or a folder "
            "was renamed or moved, give it its old name and place, or its boxes are not used."
        )
    return f"The cohort leaves out the images of {_boxes(counts, counts)}." if counts else ""


def _boxes(counts: dict[Path, int], images: Collection[Path]) -> str:
    boxes = counted(sum(counts[image] for image in images), "box", "boxes")
    return f"{boxes} of {counted(len(images), 'image file')} in {FILE_NAME}"
