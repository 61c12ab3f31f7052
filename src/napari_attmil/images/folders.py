"""Files and folders: which files are images, and their order; files as a sample."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from napari_attmil.core import Remedy, UserError
from napari_attmil.images.cohort import Frame, Sample
from napari_attmil.images.formats import IMAGE_SUFFIXES, file_header, is_image_folder
from napari_attmil.images.mask_names import masks_among

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_IGNORED_PREFIXES = (".", "@", "$", "__MACOSX")
"""Of thumbnails and copies that macOS, Synology and Windows leave beside images."""

OWN_FOLDERS = ("features", "models", "reports")
"""Folders that this program writes beside the class folders."""

FORMATS = "TIFF, PNG, JPEG, BMP, CZI, OME-Zarr or another microscope's format"


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder that holds images, and is not one itself (OME-Zarr)."""
    # os.path, as Path.is_dir raises where a folder above is forbidden; reading then says so.
    return os.path.isdir(path) and not is_image_folder(path)


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a key that sorts image2 before image10, upper and lower case alike."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple(int(p) if i % 2 else p for i, p in enumerate(parts)), name


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return a folder's image files and its subfolders, each in natural order.

    Hidden files, system files, files that are not images and masks of images are ignored.

    Raises
    ------
    UserError
        If the folder may not be read.
    """
    try:
        entries = [e for e in folder.iterdir() if not e.name.startswith(_IGNORED_PREFIXES)]
        entries.sort(key=lambda entry: natural_key(entry.name))
        subfolders = [entry for entry in entries if is_folder(entry)]
    except OSError as error:
        raise UserError(
            f"Folder '{folder}' may not be read ({error.strerror}); ask for access, or copy it "
            "elsewhere.",
            Remedy.OPEN_IMAGES,
        ) from None
    files = set(entries) - set(subfolders)
    images = [e for e in entries if e in files and e.suffix.lower() in IMAGE_SUFFIXES]
    masks = masks_among(images)
    return [image for image in images if image not in masks], subfolders


def find_images(
    folder: Path, listed: Callable[[Path], tuple[list[Path], list[Path]]] = list_folder
) -> list[Path]:
    """Return all image files in a folder and below it, in natural order; `listed` lists one."""
    return list(_walk(folder, set(), listed))


def _walk(
    folder: Path,
    seen: set[Path],
    listed: Callable[[Path], tuple[list[Path], list[Path]]],
) -> Iterator[Path]:
    place = folder.resolve()
    if place in seen:  # another link to it: folders may link to each other without end
        return
    seen.add(place)
    images, subfolders = listed(folder)
    yield from images
    for subfolder in subfolders:
        yield from _walk(subfolder, seen, listed)


def images_beside(folder: Path, listed: Iterable[Path]) -> list[Path]:
    """Return the images in a study's folder that are not listed.

    What is in the program's own folders, or in one that may not be read, is not of the study.
    """
    known = {os.path.abspath(image) for image in listed}

    def readable(place: Path) -> tuple[list[Path], list[Path]]:
        try:
            images, subfolders = list_folder(place)
        except UserError:
            return [], []
        return images, [f for f in subfolders if place != folder or f.name not in OWN_FOLDERS]

    return [image for image in find_images(folder, readable) if os.path.abspath(image) not in known]


def name_within(folder: Path, path: Path) -> str:
    """Return a file's path relative to a folder, with forward slashes; it survives a move of both.

    A file outside the folder is named by its full path.
    """
    path, folder = path.resolve(), folder.resolve()
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def frames_of(files: Iterable[Path]) -> tuple[Frame, ...]:
    """Return every plane of the files that is no thumbnail or label, in order."""
    return tuple(
        Frame(path, page)
        for path in files
        for page, position in enumerate(file_header(path).axes.positions)
        if position is not None
    )


def make_sample(name: str, patient: str, label: str | None, files: Sequence[Path]) -> Sample:
    """Make a sample of image files; it has a pixel size if all files agree on one."""
    sizes = [file_header(path).pixel_size_um for path in files]
    known = [size for size in sizes if size is not None]
    agreed = len(known) == len(sizes) and max(known) <= 1.01 * min(known)
    return Sample(name, patient, label, frames_of(files), known[0] if agreed else None)
