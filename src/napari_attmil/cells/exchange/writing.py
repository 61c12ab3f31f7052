"""Boxes written for other programs: formats, what each cannot hold, and what is never replaced."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from napari_attmil.cells.exchange.coco import write_coco
from napari_attmil.cells.exchange.csv_tables import write_csv
from napari_attmil.cells.exchange.voc import write_voc
from napari_attmil.cells.exchange.yolo import class_file_text, write_yolo
from napari_attmil.core import UserError, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_attmil.cells.exchange.annotation_set import AnnotatedImage


class ExportFormat(NamedTuple):
    """A format for export: its name, a sentence on what it cannot hold, and its writer."""

    title: str
    cannot_hold: str
    write: Callable[[Path, Sequence[AnnotatedImage]], None]


def write_boxes(path: Path, images: Sequence[AnnotatedImage], format_name: str) -> str:
    """Write images and their boxes; COCO and CSV are one file, VOC and YOLO a folder.

    Returns
    -------
    str
        What the format cannot hold.

    Raises
    ------
    UserError
        If the format is unknown, cannot tell the images apart, or nothing can be written.
    """
    if format_name not in FORMATS:
        raise UserError(f"There is no format {format_name!r}; choose from {', '.join(FORMATS)}.")
    FORMATS[format_name].write(Path(path), images)
    return FORMATS[format_name].cannot_hold


def write_by_suffix(path: Path, images: Sequence[AnnotatedImage]) -> None:
    """Write one file: .json is COCO, .xml is Pascal VOC and .txt is YOLO of a single image.

    Raises
    ------
    UserError
        If the suffix is none of these, or the format cannot hold the images.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        _write_text(path, write_coco(images))
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
    _write_text(path, _OF_ONE_IMAGE[suffix](images[0]))


def _write_text(path: Path, text: str) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _write_voc(folder: Path, images: Sequence[AnnotatedImage]) -> None:
    for path, image in _file_per_image(folder, ".xml", images).items():
        _write_text(path, write_voc(image))


def _write_yolo(folder: Path, images: Sequence[AnnotatedImage]) -> None:
    stacks = [image.name for image in images if image.page]
    if stacks:
        raise UserError(
            f"YOLO has one image a file, but {stacks[0]} is a stack; export as COCO, VOC or CSV."
        )
    for path, image in _file_per_image(folder / "labels", ".txt", images).items():
        _write_text(path, write_yolo(image))
    _write_text(folder / "data.yaml", class_file_text())


def _file_per_image(
    folder: Path, suffix: str, images: Sequence[AnnotatedImage]
) -> dict[Path, AnnotatedImage]:
    """Return a path per image, in subfolders like those of the images, so that names stay unique.

    Raises
    ------
    UserError
        If two images differ in their suffix only.
    """
    taken: dict[Path, AnnotatedImage] = {}
    for image in images:
        name = PurePosixPath(image.name)
        parts = [part for part in name.parts if part not in ("/", "..") and ":" not in part]
        page = f".page{image.page}" if image.page else ""
        path = folder.joinpath(*parts[:-1], name.stem + page + suffix)
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
        lambda path, images: _write_text(path, write_coco(images)),
    ),
    "csv": ExportFormat(
        "CSV",
        "CSV holds everything but deleted boxes and the history of edits.",
        lambda path, images: _write_text(path, write_csv(images)),
    ),
    "voc": ExportFormat(
        "Pascal VOC",
        "Pascal VOC has no place for cell ids, scores and who made a box: they are written to "
        "extra elements, which other programs drop; deleted boxes and the history are not written.",
        _write_voc,
    ),
    "yolo": ExportFormat(
        "YOLO",
        "YOLO cannot hold cell ids, scores, who made a box, reviewed flags, or stacks; all boxes "
        "come back as a person's.",
        _write_yolo,
    ),
}
