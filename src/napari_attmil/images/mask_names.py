"""Names of masks and label images, as segmentation programs write them beside images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_attmil.images.formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path, PurePath

_ENDINGS = re.compile(r"[-_. ]?(cp_masks?|masks?|labels?|seg|segmentation)$", re.IGNORECASE)
"""Endings that Cellpose, StarDist and others add to the image's name."""
_FOLDER = re.compile(r"masks?|label[-_ ]?images?|segmentations?", re.IGNORECASE)
"""Folders that hold masks under the names of the images."""
_ARRAY = "_seg.npy"
"""What Cellpose keeps of an image."""


def is_mask_name(path: PurePath) -> bool:
    """Tell whether a picture is named as masks are, or lies in a folder for them."""
    return bool(_ENDINGS.search(path.stem)) or any(map(_FOLDER.fullmatch, path.parts[:-1]))


def without_mask_ending(stem: str) -> str:
    """Return the name of the image that a mask is of, both without suffix."""
    return _ENDINGS.sub("", stem)


def masks_among(files: Iterable[Path]) -> set[Path]:
    """Return which files of a folder are masks of images in it."""
    listed = list(files)
    images = [path for path in listed if path.suffix.lower() in IMAGE_SUFFIXES]
    stems = {path.stem for path in images}
    arrays = (path for path in listed if path.name.lower().endswith(_ARRAY))
    pictures = (path for path in images if _ENDINGS.search(path.stem))
    masks = {path for path in pictures if without_mask_ending(path.stem) in stems}
    return masks | {path for path in arrays if path.name[: -len(_ARRAY)] in stems}
