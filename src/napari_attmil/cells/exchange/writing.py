"""Boxes written for other programs: formats, what each cannot hold, and what is never replaced."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from napari_attmil.cells.exchange.coco import COCO_MARK, write_coco
from napari_attmil.cells.exchange.csv_tables import COLUMNS, write_csv
from napari_attmil.cells.exchange.imagej import write_rois
from napari_attmil.cells.exchange.label_images import write_labels
from napari_attmil.cells.exchange.qupath import write_geojson
from napari_attmil.cells.exchange.voc import write_voc
from napari_attmil.cells.exchange.yolo import class_file_text, write_yolo
from napari_attmil.core import UserError, check_replaceable, counted, write_atomically

if TYPE_CHECKING:
    from napari_attmil.cells.exchange.annotation_set import AnnotatedBox, AnnotatedImage

Contents = Mapping[PurePosixPath, bytes]
"""Files to write, by their paths below a folder; "." is a file of its own."""
_WHOLE: Final = PurePosixPath()
_LEDGER: Final = ".napari-attmil-export.json"
"""Lists in an exported folder which files this program wrote, and their digests."""
_MARKS: Final = (COCO_MARK.encode(), ",".join(COLUMNS).encode())
"""What single files of this program have within their first bytes."""
_HEAD_BYTES: Final = 400


class ExportFormat(NamedTuple):
    """A format for export.

    Attributes
    ----------
    title
        As users call it.
    cannot_hold
        Sentences on what is not written.
    suffix
        Of the file; empty if a folder of files is written.
    contents
        Returns the files of some images.
    has_outlines
        Whether the outlines of cells are written.
    """

    title: str
    cannot_hold: str
    suffix: str
    contents: Callable[[Sequence[AnnotatedImage]], Contents]
    has_outlines: bool = False


@dataclass(frozen=True)
class ExportPlan:
    """What is to be written; nothing is yet.

    Attributes
    ----------
    path
        The file or folder.
    contents
        The content of each file.
    box_count, image_count
        What is in them.
    notes
        Sentences on what was clipped or left out, and what the format cannot hold.
    foreign
        Files that would be replaced though this program did not write them as they are now.
    """

    path: Path
    contents: Mapping[Path, bytes]
    box_count: int
    image_count: int
    notes: tuple[str, ...]
    foreign: tuple[Path, ...]

    def write(self, overwrite: bool = False) -> None:
        """Write all files.

        Parameters
        ----------
        overwrite
            Whether files of others may be replaced.

        Raises
        ------
        UserError
            If such a file would be replaced, or a file cannot be written.
        """
        if self.foreign and not overwrite:
            raise UserError(
                f"{self.foreign[0]}{_and_more(len(self.foreign) - 1)} would be replaced, but this "
                "program did not write it as it is now; export to another place, or allow it with "
                "--overwrite (Replace them in the window)."
            )
        is_folder = self.path not in self.contents
        if is_folder:  # first, or an export that was killed could not be run again
            _note_in_ledger(self.path, self.contents, is_begun=True)
        for path, content in self.contents.items():
            with write_atomically(path) as temporary:
                temporary.write_bytes(content)
        if is_folder:
            _note_in_ledger(self.path, self.contents)


def plan_export(path: Path, images: Sequence[AnnotatedImage], format_name: str) -> ExportPlan:
    """Return what an export would write; boxes are clipped at the borders of their images.

    Parameters
    ----------
    path
        A file for COCO and CSV, a folder for the other formats.
    images
        The images with their boxes.
    format_name
        A key of `FORMATS`.

    Raises
    ------
    UserError
        If the format is unknown or cannot tell the images apart, or `path` is a device, a pipe, a
        link, or a folder where a file is needed, or the other way round.
    """
    if format_name not in FORMATS:
        raise UserError(f"There is no format {format_name!r}; choose from {', '.join(FORMATS)}.")
    chosen, path = FORMATS[format_name], Path(path)
    if path.exists() and path.is_dir() == bool(chosen.suffix):
        kind = "file" if chosen.suffix else "folder"
        raise UserError(f"{chosen.title} needs a {kind}, but {path} is none; give another name.")
    clipped, notes = _clipped(images)
    files = {path / name: content for name, content in chosen.contents(clipped).items()}
    for file in (path, *files):
        check_replaceable(file)
    ledger = {} if chosen.suffix else _ledger(path)
    foreign = tuple(file for file in files if file.exists() and not _is_own(file, path, ledger))
    boxes = sum(len(image.boxes) for image in clipped)
    return ExportPlan(path, files, boxes, len(clipped), (*notes, chosen.cannot_hold), foreign)


def write_boxes(
    path: Path, images: Sequence[AnnotatedImage], format_name: str, overwrite: bool = False
) -> str:
    """Write images and their boxes; see `plan_export` and `ExportPlan.write` for errors.

    Returns
    -------
    str
        What was clipped or left out, and what the format cannot hold.
    """
    plan = plan_export(path, images, format_name)
    plan.write(overwrite)
    return " ".join(plan.notes)


def write_by_suffix(path: Path, images: Sequence[AnnotatedImage]) -> None:
    """Write one file: .json is COCO, .xml is Pascal VOC and .txt is YOLO of a single image.

    Raises
    ------
    UserError
        If the suffix is none of these, or the format cannot hold the images.
    """
    suffix = path.suffix.lower()
    clipped, _ = _clipped(images)
    if suffix == ".json":
        _write_text(path, write_coco(clipped))
        return
    if suffix not in _OF_ONE_IMAGE:
        raise UserError(f"{path.name} names no format of boxes; end it in .json, .csv, .xml, .txt.")
    if len(images) != 1:
        raise UserError(
            f"{path.name} would hold the boxes of one image, but there are boxes in {len(images)}; "
            "save as .json or .csv, or use `attmil export`."
        )
    if suffix == ".txt" and images[0].size_px is None:
        raise UserError(
            f"YOLO needs it, but the size of {images[0].name} is not known; "
            "save as .json, .csv or .xml."
        )
    _write_text(path, _OF_ONE_IMAGE[suffix](clipped[0]))


# --- what may be replaced -----------------------------------------------------------------------


def _is_own(file: Path, folder: Path, ledger: Mapping[str, str]) -> bool:
    """Tell whether this program wrote a file and nobody has changed it since, as far as is known.

    A single file is known by its first bytes. A label file has nothing to know it by, and people
    correct such files: it has to be as the ledger says.
    """
    content = file.read_bytes()
    if file == folder:
        return any(mark in content[:_HEAD_BYTES] for mark in _MARKS)
    return _digest(content) in ledger.get(file.relative_to(folder).as_posix(), "").split()


def _ledger(folder: Path) -> dict[str, str]:
    """Return the digests of the files that earlier exports wrote into a folder.

    Those of an export that was not ended are two: what was there before, and what was to be.
    """
    try:
        content = json.loads((folder / _LEDGER).read_text("utf-8"))
        return {str(name): str(digest) for name, digest in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _note_in_ledger(folder: Path, contents: Mapping[Path, bytes], is_begun: bool = False) -> None:
    former = _ledger(folder) if is_begun else {}
    written = {}
    for path, content in contents.items():
        name = path.relative_to(folder).as_posix()
        written[name] = f"{former.get(name, '')} {_digest(content)}".strip()
    what = "Files that napari-attmil exported; others are not replaced by a later export"
    entries = {"about": what, "files": _ledger(folder) | written}
    _write_text(folder / _LEDGER, json.dumps(entries, indent=1) + "\n")


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _and_more(count: int) -> str:
    return f" and {count} more" if count else ""


def _write_text(path: Path, text: str) -> None:
    check_replaceable(path)
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


# --- boxes over the border ----------------------------------------------------------------------


def _clipped(images: Sequence[AnnotatedImage]) -> tuple[list[AnnotatedImage], list[str]]:
    """Return images with their boxes clipped at the border, and sentences about it.

    Other programs refuse whole files for a box that reaches out of its image.
    """
    clipped, cut, outside = [], 0, 0
    for image in images:
        boxes = [_within(box, image.size_px) for box in image.boxes]
        kept = tuple(box for box in boxes if box is not None)
        cut += sum(a is not None and a != b for a, b in zip(boxes, image.boxes, strict=True))
        outside += len(boxes) - len(kept)
        clipped.append(replace(image, boxes=kept))
    notes = []
    if cut:
        notes.append(f"{counted(cut, 'box', 'boxes')} over the border of an image: clipped at it.")
    if outside:
        notes.append(f"{counted(outside, 'box', 'boxes')} outside of an image: left out.")
    return clipped, notes


def _within(box: AnnotatedBox, size_px: tuple[int, int] | None) -> AnnotatedBox | None:
    """Return the part of a box that lies within its image; None if it lies outside."""
    if size_px is None:
        return box
    width, height = map(float, size_px)
    x0, y0, x1, y1 = box.xyxy
    if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
        return None
    return replace(box, xyxy=(max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height)))


# --- formats --------------------------------------------------------------------------------------


def _text(content: str) -> Contents:
    return {_WHOLE: content.encode()}


def _voc_files(images: Sequence[AnnotatedImage]) -> Contents:
    paths = _file_per_image(".xml", images)
    return {path: write_voc(image).encode() for path, image in paths.items()}


def _yolo_files(images: Sequence[AnnotatedImage]) -> Contents:
    stacks = [image.name for image in images if image.page]
    if stacks:
        raise UserError(
            f"YOLO has one image a file, but {stacks[0]} is a stack; export as COCO, VOC or CSV."
        )
    paths = _file_per_image(".txt", images)
    labels = {"labels" / path: write_yolo(image).encode() for path, image in paths.items()}
    return {**labels, PurePosixPath("data.yaml"): class_file_text().encode()}


def _geojson_files(images: Sequence[AnnotatedImage]) -> Contents:
    paths = _file_per_image(".geojson", images)
    return {path: write_geojson(image).encode() for path, image in paths.items()}


def _file_of_pages(
    suffix: str, write: Callable[[list[AnnotatedImage]], bytes], images: Sequence[AnnotatedImage]
) -> Contents:
    """Return a file for each file of images; the pages of a stack are in one."""
    pages: dict[str, list[AnnotatedImage]] = {}
    for image in images:
        pages.setdefault(image.name, []).append(image)
    first = [replace(of_file[0], page=0) for of_file in pages.values()]
    paths = _file_per_image(suffix, first)
    return {path: write(pages[image.name]) for path, image in paths.items()}


def _file_per_image(
    suffix: str, images: Sequence[AnnotatedImage]
) -> dict[PurePosixPath, AnnotatedImage]:
    """Return a path per image, in subfolders like those of the images, so that names stay unique.

    Raises
    ------
    UserError
        If two images differ in their suffix only.
    """
    taken: dict[PurePosixPath, AnnotatedImage] = {}
    for image in images:
        name = PurePosixPath(image.name)
        parts = [part for part in name.parts if part not in ("/", "..") and ":" not in part]
        page = f".page{image.page_in_file}" if image.page_in_file else ""
        path = PurePosixPath(*parts[:-1], name.stem + page + suffix)
        if taken.setdefault(path, image) is not image:
            raise UserError(
                f"{taken[path].name} and {image.name} would go into one file; export as COCO or "
                "CSV."
            )
    return taken


_OF_ONE_IMAGE: Final = {".xml": write_voc, ".txt": write_yolo}
FORMATS: Final = {
    "coco": ExportFormat(
        "COCO",
        "COCO holds everything but deleted boxes and the history of edits.",
        ".json",
        lambda images: _text(write_coco(images)),
    ),
    "coco-outlines": ExportFormat(
        "COCO with outlines",
        "COCO holds everything but deleted boxes and the history of edits.",
        ".json",
        lambda images: _text(write_coco(images)),
        has_outlines=True,
    ),
    "csv": ExportFormat(
        "CSV",
        "CSV holds everything but deleted boxes and the history of edits.",
        ".csv",
        lambda images: _text(write_csv(images)),
    ),
    "voc": ExportFormat(
        "Pascal VOC",
        "Pascal VOC has whole pixels, and no place for cell ids, scores and who made a box: these "
        "and the exact corners are written to extra elements, which other programs drop; deleted "
        "boxes and the history are not written.",
        "",
        _voc_files,
    ),
    "yolo": ExportFormat(
        "YOLO",
        "YOLO cannot hold cell ids, scores, who made a box, reviewed flags, or stacks; all boxes "
        "come back as a person's.",
        "",
        _yolo_files,
    ),
    "imagej": ExportFormat(
        "ImageJ RoiSet.zip",
        "ImageJ's ROIs have no place for reviewed flags; cell ids, scores and who made a box are "
        "properties of each ROI; deleted boxes and the history are not written.",
        "",
        lambda images: _file_of_pages("_RoiSet.zip", write_rois, images),
    ),
    "geojson": ExportFormat(
        "QuPath GeoJSON",
        "GeoJSON for QuPath has no place for reviewed flags; deleted boxes and the history are not "
        "written.",
        "",
        _geojson_files,
    ),
    "labels": ExportFormat(
        "Label images (TIFF)",
        "A label image holds outlines and cell ids, no scores, notes or who made a box; where two "
        "cells overlap, the pixels are the first one's.",
        "",
        lambda images: _file_of_pages("_masks.tif", write_labels, images),
        has_outlines=True,
    ),
}
