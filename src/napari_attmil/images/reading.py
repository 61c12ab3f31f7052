"""Opens image files, stacks and folders as frames, samples and cohorts.

A field of view is decoded only when it is needed, and alone. Nothing is ever written.
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from napari_attmil.core import Remedy, UserError, finished
from napari_attmil.images.cohort_csv import COHORT_CSV, open_csv
from napari_attmil.images.folders import FORMATS, find_images, frames_of, is_folder, make_sample
from napari_attmil.images.formats import (
    CONVERSION,
    decode_page,
    files_of,
    header_of_page,
    is_image_folder,
    open_page,
)
from napari_attmil.images.plane_choice import DEFAULT_PLANES
from napari_attmil.images.planes import cohort_with_planes, with_planes
from napari_attmil.images.trees import open_together, open_tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_attmil.images.cohort import Cohort, Frame, Sample
    from napari_attmil.images.plane_choice import PlaneChoice

_TABLES = (".csv", ".tsv", ".txt")
_DIGESTED_BYTES, _MOST_PARTS = 64 * 1024, 1024
"""A file up to 64 MiB is read whole."""
_DIGESTED_FILES = 256
"""Of a folder that is an image."""


class ImageSequence(Sequence["NDArray[Any]"]):
    """The images of a sample, decoded one at a time when they are used.

    `images[2]` is an array of that image's own size, `images[2:5]` a shorter sequence; a scan of a
    whole slide is a `LargeImage`, of which parts are decoded when they are used. If some are
    in colour, grey ones get three equal channels; if some have 16 bit, 8-bit ones are scaled by
    257. `shape`, `dtype` and `ndim` are those of the stack that `np.asarray(images)` decodes: it is
    as large as the largest image, and smaller ones end in zeros on the right and below.

    Parameters
    ----------
    frames : sequence of Frame
        At least one.
    name : str
        The sample's name, for messages.

    Attributes
    ----------
    sizes : tuple of (int, int)
        Each image's own height and width in pixels.
    image_shape : tuple of int
        (Y, X) or (Y, X, 3): as large as the largest image.

    Raises
    ------
    UserError
        If there are none, or a file cannot be read.
    """

    def __init__(self, frames: Sequence[Frame], name: str) -> None:
        if not frames:
            raise UserError(
                f"Sample {name!r} has no images; add some, or leave the sample out.",
                Remedy.OPEN_IMAGES,
            )
        self.frames = tuple(frames)
        self.name = name
        headers = [header_of_page(frame.path, frame.page) for frame in frames]
        self.sizes = tuple(header.shape[:2] for header in headers)
        # With channels, if there is one that has them, and the larger of the types.
        channels = max((header.shape[2:] for header in headers), key=len)
        self.image_shape = (*map(max, zip(*self.sizes, strict=True)), *channels)
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
        for number in range(len(self)):
            stack[number] = self.padded(number)
        return stack

    def padded(self, index: int) -> NDArray[Any]:
        """Decode one image, with zeros on the right and below up to the largest image's size."""
        image = self[index]
        missing = [
            (0, int(full) - own) for full, own in zip(self.shape[1:], image.shape, strict=True)
        ]
        return np.pad(image, missing) if any(map(any, missing)) else image

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> ImageSequence: ...
    def __getitem__(self, index: Any) -> Any:
        """Decode one image, or return a part of the sequence."""
        if isinstance(index, slice):
            part = copy.copy(self)
            part.frames, part.sizes = self.frames[index], self.sizes[index]
            return part
        return self._like_the_others(open_frame(self.frames[index]))

    def _like_the_others(self, image: NDArray[Any]) -> NDArray[Any]:
        if image.dtype != self.dtype:
            image = np.asarray(image).astype(np.uint16) * np.uint16(257)  # 255 becomes 65535
        if image.ndim < len(self.image_shape):
            image = np.repeat(np.asarray(image)[..., np.newaxis], 3, axis=-1)
        return image


def read_frame(frame: Frame) -> NDArray[Any]:
    """Decode one field of view, and no other in its file.

    1-bit images become 0 and 255. Integers that fit into 8 or 16 bit keep their values, negative
    ones are shifted by 32768. Floats are scaled to 16 bit, alike in all images of a kind. Palettes
    become RGB, alpha is dropped, and white-is-zero TIFFs are inverted.

    Returns
    -------
    (Y, X) or (Y, X, 3) array of uint8 or uint16

    Raises
    ------
    UserError
        If the file cannot be read, or holds fewer images.
    """
    return decode_page(frame.path, frame.page)


def open_frame(frame: Frame) -> NDArray[Any]:
    """Return one field of view as `read_frame`; a large one is read in parts, when they are used.

    A scan of a whole slide is a `LargeImage`: an array of which slices are decoded.

    Raises
    ------
    UserError
        As `read_frame`.
    """
    return open_page(frame.path, frame.page)


def read_images(sample: Sample) -> ImageSequence:
    """Return a sample's images as a lazy sequence; only file headers are read now.

    Raises
    ------
    UserError
        If the sample has no images, or a file that cannot be read.
    """
    return ImageSequence(sample.frames, sample.name)


def open_frames(path: str | Path) -> list[Frame]:
    """List all planes of an image file, a stack, or a folder and the folders below it.

    Every position, time point, channel and plane in z is there; `open_sample` chooses among them.
    Files come in natural order (image2 before image10); hidden files and files that are not images
    are ignored.

    Raises
    ------
    UserError
        If the path does not exist, a folder holds no images, or a file cannot be read.
    """
    return list(frames_of(_image_files(Path(path))))


def open_sample(
    paths: str | Path | Iterable[str | Path],
    name: str | None = None,
    planes: PlaneChoice = DEFAULT_PLANES,
) -> Sample:
    """Open image files, stacks or folders as one sample; its patient gets the same name.

    Planes in z, time points and channels of one place show the same cells, so one is chosen.

    Parameters
    ----------
    paths : path or iterable of paths
        What `open_frames` opens.
    name : str, optional
        The sample's name; by default that of the file or folder, or of the folder that holds the
        first of several.
    planes : PlaneChoice
        Which planes, time points and channel are looked at.

    Raises
    ------
    UserError
        If there is nothing to open, or something cannot be read.
    """
    ((sample,), _) = finished(with_planes([_whole_sample(paths, name)], planes))
    return sample


def _whole_sample(paths: str | Path | Iterable[str | Path], name: str | None) -> Sample:
    """Return a sample of all planes of some files."""
    several = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    files = [file for path in several for file in _image_files(path)]
    if not files:
        raise UserError(
            "No images were given; choose image files or a folder of images.", Remedy.OPEN_IMAGES
        )
    if name is None:
        first = several[0]
        name = _absolute(first).parent.name if len(several) > 1 else _own_name(first)
    return make_sample(name, name, None, files)


def open_samples(paths: Iterable[str | Path], planes: PlaneChoice = DEFAULT_PLANES) -> list[Sample]:
    """Open several samples: each image file or stack, each folder with images, those of a CSV file.

    See `find_samples`; of each place, the chosen planes, time points and channel are looked at.

    Raises
    ------
    UserError
        If there is nothing to open, or something cannot be read.
    """
    samples, _ = finished(with_planes(find_samples(paths), planes))
    return list(samples)


def find_samples(paths: Iterable[str | Path]) -> list[Sample]:
    """Return samples as `open_samples`, with all planes of their files.

    A folder below one of `paths` is a sample of its own, named by its relative path. Samples that
    would have the same name are named by their full paths instead.

    Raises
    ------
    UserError
        If there is nothing to open, or something cannot be read.
    """
    named: list[tuple[str, Path, list[Path]]] = []
    listed: list[Sample] = []
    for path in map(Path, paths):
        if path.suffix.lower() in _TABLES and not is_folder(path):
            listed += open_csv(path).samples
            continue
        for folder, together in groupby(_image_files(path), attrgetter("parent")):
            files = list(together)
            below = folder.relative_to(path).as_posix() if folder.is_relative_to(path) else "."
            place = folder if is_folder(path) else path
            named.append((_own_name(path) if below == "." else below, place, files))
    if not named and not listed:
        raise UserError(
            "No images were given; choose image files or a folder of images.", Remedy.OPEN_IMAGES
        )
    uses = Counter([*(name for name, _, _ in named), *(sample.name for sample in listed)])
    return [
        *listed,
        *(
            _whole_sample(files, name if uses[name] == 1 else place.as_posix())
            for name, place, files in named
        ),
    ]


def open_cohort(
    paths: str | Path | Iterable[str | Path], planes: PlaneChoice = DEFAULT_PLANES
) -> Cohort:
    """Open any images as a study: a folder of any layout, a CSV file, or files and folders.

    See `find_cohort`; of each place, the chosen planes, time points and channel are looked at, and
    `Cohort.planes` says which.

    Raises
    ------
    UserError
        If a path does not exist, there is no image that can be read, or a CSV file is faulty.
    """
    return finished(cohort_with_planes(find_cohort(paths), planes))


def find_cohort(paths: str | Path | Iterable[str | Path]) -> Cohort:
    """Return a study as `open_cohort`, with all planes of its files.

    Classes are needed only to train a classifier. They are those of a folder class/patient/sample/
    images, class/patient/images or class/images, or of the cohort.csv in a folder. Otherwise each
    loose image (or stack) is a sample of its own without a label. `Cohort.notes` says what was
    assumed and left out. See `napari_attmil.images.trees` and
    `napari_attmil.images.cohort_csv.open_csv`.

    Raises
    ------
    UserError
        If a path does not exist, there is no image that can be read, or a CSV file is faulty.
    """
    several = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    if not several:
        raise UserError(
            "No images were given; choose image files or a folder of images.", Remedy.OPEN_IMAGES
        )
    path = several[0]
    if len(several) > 1:
        return open_together(several)
    if is_folder(path):
        table = path / COHORT_CSV
        return open_csv(table) if os.path.isfile(table) else open_tree(path)
    return open_csv(path) if path.suffix.lower() in _TABLES else open_together([path])


def frame_digest(frame: Frame) -> str:
    """Return a fingerprint of a field of view; see `frame_digests`."""
    (digest,) = frame_digests([frame])
    return digest


def frame_digests(frames: Iterable[Frame]) -> list[str]:
    """Return a fingerprint of each field of view, quickly computed, as 32 hexadecimal digits.

    It covers the file's content (of files above 64 MiB, evenly spaced parts of it), its name, and
    the page. It stays the same if the folder is moved or copied, and changes if the image does.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    # What a folder holds is looked through once for all of its fields.
    content = cache(_content_digest)
    return [_frame_digest(frame, *content(frame.path)) for frame in frames]


def _frame_digest(frame: Frame, size_bytes: int, content: str) -> str:
    text = f"{frame.path.name}\0{size_bytes}\0{content}\0{frame.page}"
    if header_of_page(frame.path, frame.page).is_converted:
        text += f"\0{CONVERSION}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _content_digest(path: Path) -> tuple[int, str]:
    """Return the size of a file, 0 of a folder, and a digest of its content."""
    try:
        if is_image_folder(path):
            return 0, _folder_digest(path)
        status = path.stat()
        # The time of the last change to the file itself, which no program can set back.
        changed = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        return status.st_size, _file_digest(path, status.st_size, changed)
    except OSError as error:
        raise UserError(
            f"'{path}' cannot be read ({error.strerror}); check the path or open it again.",
            Remedy.OPEN_IMAGES,
        ) from None


def _image_files(path: Path) -> list[Path]:
    if not is_folder(path):
        return [path]
    files = find_images(path)
    if not files:
        raise UserError(
            f"Folder '{path}' holds no images; choose one that does ({FORMATS}).",
            Remedy.OPEN_IMAGES,
        )
    return files


def _own_name(path: Path) -> str:
    whole = _absolute(path)
    return (whole.name if is_folder(path) else whole.stem) or str(whole)


def _absolute(path: Path) -> Path:
    """Return a path without "." and ".."; links are not resolved, as the user named them."""
    return Path(os.path.abspath(path))


def _folder_digest(path: Path) -> str:
    """Return a digest of an image that is a folder: what its files are, and parts of some."""
    files = files_of(path)
    sha = hashlib.blake2b(digest_size=16)
    sizes = [(each.relative_to(path).as_posix(), each.stat().st_size) for each in files]
    sha.update(repr(sizes).encode())
    for file in files[:: max(1, len(files) // _DIGESTED_FILES)]:
        with file.open("rb") as content:
            sha.update(content.read(_DIGESTED_BYTES))
    return sha.hexdigest()


@lru_cache(maxsize=4096)
def _file_digest(path: Path, size_bytes: int, changed: tuple[int, ...]) -> str:
    """Return a digest of a file, of a large one of its beginning, its end and parts in between."""
    del changed
    sha = hashlib.blake2b(digest_size=16)
    parts = min(-(-size_bytes // _DIGESTED_BYTES), _MOST_PARTS)
    last = max(size_bytes - _DIGESTED_BYTES, 0)
    with path.open("rb") as file:
        for part in range(parts):
            file.seek(last * part // max(parts - 1, 1))
            sha.update(file.read(_DIGESTED_BYTES))
    return sha.hexdigest()
