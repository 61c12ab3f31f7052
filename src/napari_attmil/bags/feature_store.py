"""Features on disk: memory-mapped, written whole or not at all, and never out of date.

Each sample has three files, which can be deleted at any time:

``<sample>.cells.npz``
    the cells as the detector found them, and how they were found;
``<sample>.features.npz``
    the boxes whose features are stored, how the features were computed, and their checksum;
``<sample>.<key>.npy``
    the (n, 256, rows, columns) float16 features, one row a box.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import platformdirs

from napari_attmil.bags.features import Features, KnownFeatures
from napari_attmil.bags.network import PROFILE_LENGTH
from napari_attmil.cells import Boxes, DetectionSettings, FeatureSettings
from napari_attmil.cells.detection import FEATURE_CHANNELS, alike_in_size
from napari_attmil.core import Int64Array, write_atomically
from napari_attmil.images import Cohort, Sample, frame_digests, read_images

CELLS_PER_IMAGE = 30
"""Typical for fields at 100x (paper, section 3); used only to estimate the size of features."""

_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""Errors of reading a file that is missing, truncated or of another kind."""


class FeatureStore:
    """The detections and features of samples in one folder.

    Parameters
    ----------
    folder
        Made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def detections(
        self, sample: Sample, detector_digest: str, settings: DetectionSettings
    ) -> Boxes | None:
        """Return the cells detected earlier in the same images in the same way, or None."""
        key = _detection_key(sample, detector_digest, settings)
        found = _read_boxes(self._path(sample, "cells.npz"), key)
        return None if found is None else found[0]

    def put_detections(
        self, sample: Sample, detector_digest: str, settings: DetectionSettings, boxes: Boxes
    ) -> None:
        """Store the cells that the detector found.

        Raises
        ------
        UserError
            If the folder cannot be written or the disk is full.
        """
        key = _detection_key(sample, detector_digest, settings)
        _write_boxes(self._path(sample, "cells.npz"), key, boxes)

    def features(
        self, sample: Sample, boxes: Boxes, reader_digest: str, settings: FeatureSettings
    ) -> Features | None:
        """Return the stored features of exactly these boxes, or None."""
        known = self.known_features(sample, reader_digest, settings)
        if known is None or known.boxes.digest() != boxes.digest():
            return None
        return known.features

    def has_features(
        self, sample: Sample, boxes: Boxes, reader_digest: str, settings: FeatureSettings
    ) -> bool:
        """Return whether there are features of exactly these boxes, without reading them."""
        key = _feature_key(sample, reader_digest, settings)
        found = _read_boxes(self._path(sample, "features.npz"), key)
        is_listed = found is not None and found[0].digest() == boxes.digest()
        return is_listed and self._features_path(sample, key, boxes).is_file()

    def known_features(
        self, sample: Sample, reader_digest: str, settings: FeatureSettings
    ) -> KnownFeatures | None:
        """Return a sample's stored features with the boxes they belong to, or None."""
        key = _feature_key(sample, reader_digest, settings)
        found = _read_boxes(self._path(sample, "features.npz"), key)
        if found is None:
            return None
        boxes, checksum = found
        path = self._features_path(sample, key, boxes)
        try:
            if checksum_of(path) != checksum:
                return None
            # Copy on write: a private, writable view, as torch wants it; the file stays.
            features = np.load(path, mmap_mode="c", allow_pickle=False)
        except _DAMAGED:
            return None
        return KnownFeatures(boxes, features)

    @contextlib.contextmanager
    def writing(
        self, sample: Sample, boxes: Boxes, reader_digest: str, settings: FeatureSettings
    ) -> Iterator[FeatureFile]:
        """Give a file to write the features of these boxes to, in any order of rows.

        It takes its place in the store when the block ends; if that fails or is left early,
        the store stays as it was.

        Raises
        ------
        UserError
            If the folder cannot be written or the disk is full.
        """
        key = _feature_key(sample, reader_digest, settings)
        path = self._features_path(sample, key, boxes)
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            rows = FeatureFile(file, path, len(boxes))
            yield rows
            rows.check_complete()
        _write_boxes(self._path(sample, "features.npz"), key, boxes, checksum_of(path))
        for old in self.folder.glob(f"{_stem(sample)}.*.npy"):
            if old != path:
                # Windows keeps a file that is still mapped; the next writing takes it away.
                with contextlib.suppress(OSError):
                    old.unlink()

    def _path(self, sample: Sample, suffix: str) -> Path:
        return self.folder / f"{_stem(sample)}.{suffix}"

    def _features_path(self, sample: Sample, key: str, boxes: Boxes) -> Path:
        # Named by content, so that a reader's open file is never written into.
        return self._path(sample, f"{_digest(key, boxes.digest())}.npy")


class FeatureFile:
    """A ``.npy`` file of features under way, written by rows.

    Plain writes rather than a memory map: a full disk is then an error, not a crash.
    """

    def __init__(self, file: BinaryIO, path: Path, cells: int) -> None:
        self._file, self._path = file, path
        self._written = np.zeros(cells, dtype=bool)
        self._start = 0

    def write(self, rows: Int64Array, features: Features) -> None:
        """Write the (m, channels, s, s) features of some rows."""
        array = np.ascontiguousarray(features, dtype=np.float16)
        if not self._start:
            header = {
                "descr": np.lib.format.dtype_to_descr(array.dtype),
                "fortran_order": False,
                "shape": (len(self._written), *array.shape[1:]),
            }
            np.lib.format.write_array_header_1_0(self._file, header)
            self._start = self._file.tell()
        row_bytes = array.nbytes // max(1, len(array))
        for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1):
            if len(run):
                self._file.seek(self._start + int(rows[run[0]]) * row_bytes)
                self._file.write(array[run].tobytes())
        self._written[rows] = True

    def check_complete(self) -> None:
        """Raise ValueError if a row was left out."""
        if not self._written.all():
            raise ValueError(f"{np.count_nonzero(~self._written)} cells have no features.")

    @property
    def features(self) -> Features:
        """The features, memory-mapped, once the file has taken its place."""
        return np.asanyarray(np.load(self._path, mmap_mode="c", allow_pickle=False))


def features_bytes(cells: int, settings: FeatureSettings) -> int:
    """Return how much disk or memory the features of so many cells take."""
    maps = {
        "maps": settings.output_size**2,
        "profile": PROFILE_LENGTH,
        "vector": 1,
        "combined": PROFILE_LENGTH + 1,
    }
    return cells * FEATURE_CHANNELS * maps[settings.kept] * np.dtype(np.float16).itemsize


def size_note(cells: int, settings: FeatureSettings, folder: Path) -> str:
    """Return how large features will be and whether they fit on the disk, as a sentence.

    Parameters
    ----------
    cells
        How many there are, or an estimate.
    settings
        How features are read.
    folder
        Where they will be stored; it need not exist yet.
    """
    size = features_bytes(cells, settings) / 1e9
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    note = f"The features of {cells:,} cells take {size:.2f} GB; {free:.1f} GB are free."
    if size < free:
        return note
    return f"{note} Free some space, choose another folder, or smaller feature maps (output_size)."


def expected_size(cohort: Cohort, settings: FeatureSettings, folder: Path) -> str:
    """Return `size_note` for a cohort without detections, at a typical number of cells."""
    images = sum(len(sample) for sample in cohort.samples)
    note = size_note(images * CELLS_PER_IMAGE, settings, folder)
    return f"At {CELLS_PER_IMAGE} cells an image: {note[0].lower()}{note[1:]}"


def default_store_folder(cohort: Cohort) -> Path:
    """Return the folder of a cohort's features: beside its images, or else in the user's cache."""
    try:
        with tempfile.TemporaryFile(dir=cohort.folder):
            return cohort.folder / "features"
    except OSError:
        cache = platformdirs.user_cache_path("napari-attmil")
        return cache / "features" / _digest(str(cohort.folder.resolve()))


def checksum_of(path: Path) -> int:
    """Return the CRC-32 of a file."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _read_boxes(path: Path, key: str) -> tuple[Boxes, int] | None:
    """Return the boxes of a file and the checksum beside them, if it was written under `key`."""
    try:
        # Opened here: numpy leaves a damaged file open.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            boxes = Boxes(**{field.name: file[field.name] for field in fields(Boxes)})
            return boxes, int(file["checksum"])
    except _DAMAGED:
        return None


def _write_boxes(path: Path, key: str, boxes: Boxes, checksum: int = 0) -> None:
    arrays: dict[str, Any] = {field.name: getattr(boxes, field.name) for field in fields(Boxes)}
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez(file, key=np.array(key), checksum=np.array(checksum), **arrays)


def _stem(sample: Sample) -> str:
    """Return a file name that a person recognises and no other sample has."""
    readable = re.sub(r"[^\w.-]+", "_", sample.name)[:60]
    return f"{readable}-{_digest(sample.patient, sample.name)[:8]}"


def _detection_key(sample: Sample, detector_digest: str, settings: DetectionSettings) -> str:
    # How many images are computed together changes nothing; the images tell their pixel size.
    return _digest(
        _images_digest(sample),
        detector_digest,
        settings.model_dump_json(exclude={"batch_size", "pixel_size_um"}),
    )


def _feature_key(sample: Sample, reader_digest: str, settings: FeatureSettings) -> str:
    # Which of the cells were drawn says nothing about the features of those that were.
    how = settings.model_dump_json(exclude={"most_cells"})
    parts = [_images_digest(sample), reader_digest, how]
    sizes = [(height, width) for height, width in read_images(sample).sizes]
    if settings.kept != "vector" and len(alike_in_size(sizes)) > 1:
        parts.append("a scale for each size")  # Earlier versions read all sizes at one scale.
    return _digest(*parts)


def _images_digest(sample: Sample) -> str:
    return _digest(*frame_digests(sample.frames))


def _digest(*parts: str) -> str:
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
