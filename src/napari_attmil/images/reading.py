"""Opens image files, stacks and folders as frames, samples and cohorts.

A field of view is decoded only when it is needed, and alone. Nothing is ever written.
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from napari_attmil.core import UserError, counted
from napari_attmil.images.cohort_csv import open_csv
from napari_attmil.images.folders import FORMATS, find_images, frames_of, make_sample, open_tree
from napari_attmil.images.formats import IMAGE_SUFFIXES, decode_page, file_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_attmil.images.cohort import Cohort, Frame, Sample
    from napari_attmil.images.formats import PageHeader

COHORT_CSV = "cohort.csv"
"""A file of this name in a cohort's folder describes the cohort; the folders are then ignored."""

_DIGESTED_BYTES = 64 * 1024


class ImageSequence(Sequence["NDArray[Any]"]):
    """The images of a sample, decoded one at a time when they are used.

    `images[2]` is an array, `images[2:5]` a shorter sequence; `shape`, `dtype` and `ndim` are those
    of the stack that `np.asarray(images)` decodes. All images have the same shape and type: if some
    are in colour, grey ones get three equal channels; if some have 16 bit, 8-bit ones are scaled by
    257.

    Parameters
    ----------
    frames : sequence of Frame
        At least one.
    name : str
        The sample's name, for messages.

    Raises
    ------
    UserError
        If the images are of different sizes, or a file cannot be read.
    """

    def __init__(self, frames: Sequence[Frame], name: str) -> None:
        if not frames:
            raise UserError(f"Sample {name!r} has no images; add some, or leave the sample out.")
        self.frames = tuple(frames)
        self.name = name
        headers = [_page_header(frame) for frame in frames]
        _check_same_size(self.frames, headers, name)
        # The shape with channels, if there is one, and the larger of the types.
        self.image_shape = max((header.shape for header in headers), key=len)
        self.dtype: np.dtype[Any] = np.result_type(*{header.dtype for header in headers})

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, Y, X) or (N, Y, X, 3)."""
        return (len(self.frames), *self.image_shape)

    @property
    def ndim(self) -> int:
        """3, or 4 for colour images."""
        return 1 + len(self.image_shape)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.frames)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Decode all images into one array: (N, Y, X) or (N, Y, X, 3)."""
        if copy is False:
            raise ValueError("images are decoded from files, so an array of them is a copy")
        stack = np.empty(self.shape, dtype or self.dtype)
        for number, image in enumerate(self):
            stack[number] = image
        return stack

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> ImageSequence: ...
    def __getitem__(self, index: Any) -> Any:
        """Decode one image, or return a part of the sequence."""
        if isinstance(index, slice):
            part = copy.copy(self)
            part.frames = self.frames[index]
            return part
        return self._like_the_others(read_frame(self.frames[index]))

    def _like_the_others(self, image: NDArray[Any]) -> NDArray[Any]:
        if image.dtype != self.dtype:
            image = image.astype(np.uint16) * np.uint16(257)  # 255 becomes 65535
        if image.ndim < len(self.image_shape):
            image = np.repeat(image[..., np.newaxis], 3, axis=-1)
        return image


def read_frame(frame: Frame) -> NDArray[Any]:
    """Decode one field of view, and no other in its file.

    1-bit images become 0 and 255. Integers that fit into 8 or 16 bit keep their values; others and
    floats are stretched to 16 bit, each image from its own smallest to its own largest value.
    Palettes become RGB, alpha is dropped, and white-is-zero TIFFs are inverted.

    Returns
    -------
    (Y, X) or (Y, X, 3) array of uint8 or uint16

    Raises
    ------
    UserError
        If the file cannot be read, or holds fewer images.
    """
    return decode_page(frame.path, frame.page)


def read_images(sample: Sample) -> ImageSequence:
    """Return a sample's images as a lazy sequence; only file headers are read now.

    Raises
    ------
    UserError
        If the sample has no images, images of different sizes, or a file that cannot be read.
    """
    return ImageSequence(sample.frames, sample.name)


def open_frames(path: str | Path) -> list[Frame]:
    """List the fields of view of an image file, a stack, or a folder and the folders below it.

    Every time point, position and focal plane (z) is a field of view. Files come in natural
    order (image2 before image10); hidden files and files that are not images are ignored.

    Raises
    ------
    UserError
        If the path does not exist, a folder holds no images, or a file cannot be read.
    """
    return list(frames_of(_image_files(Path(path))))


def open_sample(
    paths: str | Path | Iterable[str | Path],
    name: str | None = None,
) -> Sample:
    """Open image files, stacks or folders as one sample; its patient gets the same name.

    Parameters
    ----------
    paths : path or iterable of paths
        What `open_frames` opens.
    name : str, optional
        The sample's name; by default that of the file or folder, or of the folder that holds the
        first of several.

    Raises
    ------
    UserError
        If there is nothing to open, or something cannot be read.
    """
    several = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    files = [file for path in several for file in _image_files(path)]
    if not files:
        raise UserError("No images were given; choose image files or a folder of images.")
    if name is None:
        first = several[0]
        name = _absolute(first).parent.name if len(several) > 1 else _own_name(first)
    return make_sample(name, name, None, files)


def open_samples(paths: Iterable[str | Path]) -> list[Sample]:
    """Open several samples: each image file or stack, and each folder that directly holds images.

    A folder below one of `paths` is a sample of its own, named by its relative path. Samples that
    would have the same name are named by their full paths instead.

    Raises
    ------
    UserError
        If there is nothing to open, or something cannot be read.
    """
    named: list[tuple[str, Path, list[Path]]] = []
    for path in map(Path, paths):
        for folder, together in groupby(_image_files(path), attrgetter("parent")):
            files = list(together)
            below = folder.relative_to(path).as_posix() if folder.is_relative_to(path) else "."
            place = folder if os.path.isdir(path) else path
            named.append((_own_name(path) if below == "." else below, place, files))
    if not named:
        raise UserError("No images were given; choose image files or a folder of images.")
    uses = Counter(name for name, _, _ in named)
    return [
        open_sample(files, name if uses[name] == 1 else place.as_posix())
        for name, place, files in named
    ]


def open_stacks(paths: Iterable[str | Path]) -> list[Sample]:
    """Open images as `open_samples` does, and split each sample by the size of its images.

    Raises
    ------
    UserError
        If there is nothing to open, or something cannot be read.
    """
    stacks = []
    for sample in open_samples(paths):
        by_size: dict[tuple[int, ...], list[Frame]] = defaultdict(list)
        for frame in sample.frames:
            by_size[_page_header(frame).shape[:2]].append(frame)
        stacks += [replace(sample, frames=tuple(frames)) for frames in by_size.values()]
    return stacks


def open_cohort(path: str | Path) -> Cohort:
    """Open all samples of a study, from a folder tree or a CSV file.

    A folder has the layout class/patient/sample/images, class/patient/images or class/images,
    unless a cohort.csv in it describes the cohort. `Cohort.notes` says what was assumed.
    See `napari_attmil.images.folders.open_tree` and `napari_attmil.images.cohort_csv.open_csv`.

    Raises
    ------
    UserError
        If the path does not exist or is not a cohort, or something in it cannot be used.
    """
    path = Path(path)
    if os.path.isdir(path):
        table = path / COHORT_CSV
        return open_csv(table) if os.path.isfile(table) else open_tree(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(
            f"'{path}' is an image; a cohort is a folder of class folders, or a CSV file with "
            "columns image, sample, patient, label."
        )
    return open_csv(path)


def frame_digest(frame: Frame) -> str:
    """Return a fingerprint of a field of view, quickly computed, as 32 hexadecimal digits.

    It covers the file's name, size, time of change, first and last 64 KiB, and the page. It stays
    the same if the folder is moved, and changes if the image does.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    try:
        status = frame.path.stat()
        content = _file_digest(frame.path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UserError(
            f"'{frame.path}' cannot be read ({error.strerror}); check the path or open it again."
        ) from None
    text = f"{frame.path.name}\0{status.st_size}\0{status.st_mtime_ns}\0{content}\0{frame.page}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _image_files(path: Path) -> list[Path]:
    # os.path, as Path.is_dir raises where a folder above is forbidden; reading then says so.
    if not os.path.isdir(path):
        return [path]
    files = find_images(path)
    if not files:
        raise UserError(f"Folder '{path}' holds no images; choose one that does ({FORMATS}).")
    return files


def _own_name(path: Path) -> str:
    whole = _absolute(path)
    return (whole.name if os.path.isdir(path) else whole.stem) or str(whole)


def _absolute(path: Path) -> Path:
    """Return a path without "." and ".."; links are not resolved, as the user named them."""
    return Path(os.path.abspath(path))


def _page_header(frame: Frame) -> PageHeader:
    pages = file_header(frame.path).pages
    if frame.page >= len(pages):
        raise UserError(
            f"'{frame.path}' now holds {counted(len(pages), 'image')}, but image {frame.page + 1} "
            "was listed when it was opened; open it again."
        )
    return pages[frame.page]


def _check_same_size(frames: Sequence[Frame], headers: Sequence[PageHeader], name: str) -> None:
    for frame, header in zip(frames, headers, strict=True):
        if header.shape[:2] != headers[0].shape[:2]:
            (h1, w1), (h2, w2) = headers[0].shape[:2], header.shape[:2]
            raise UserError(
                f"Sample {name!r} has images of different sizes, {w1} x {h1} pixels "
                f"('{frames[0].path.name}') and {w2} x {h2} pixels ('{frame.path.name}'); export "
                "them at one size, or make them two samples."
            )


@lru_cache(maxsize=4096)
def _file_digest(path: Path, size_bytes: int, mtime_ns: int) -> str:
    """Return a digest of both ends of a file: the header, and what was appended last."""
    del mtime_ns
    with path.open("rb") as file:
        content = file.read(_DIGESTED_BYTES)
        file.seek(max(size_bytes - _DIGESTED_BYTES, 0))
        content += file.read(_DIGESTED_BYTES)
    return hashlib.blake2b(content, digest_size=16).hexdigest()
