"""Where the boxes of images are kept: beside them; and which boxes have no image any more."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_attmil.cells.annotations.annotation_file import FILE_NAME, AnnotationFile
from napari_attmil.cells.annotations.journal import frames_key
from napari_attmil.cells.annotations.storage import Connection
from napari_attmil.core import UserError, check_writable, counted, write_json
from napari_attmil.images import Frame, Sample, name_within

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Sequence

    import numpy.typing as npt

    from napari_attmil.cells.annotations.edits import Annotations
    from napari_attmil.cells.annotations.journal import Place
    from napari_attmil.images import Cohort

PIXELS_FOLDER = "images without a file"
"""Where images that no file has seem to lie. It has notes of those that are parts of a file."""
_DIGESTED_BYTES = 1024**2
"""Of larger images evenly spaced rows are read."""


class _Brought(NamedTuple):
    """What came from the user's own file: boxes; and of how many images others stay there."""

    boxes: int = 0
    images_left: int = 0


_Rows = dict[str, list[tuple[Any, ...]]]
"""By the table."""


def boxes_beside(folder: Path, samples: Sequence[Sample]) -> AnnotationFile:
    """Return the file in which boxes of images in a folder are kept, and bring theirs there.

    It is the one in the folder, or in a folder above if that has boxes of these images. Where
    nothing can be written, it is the user's own, which was once the place of all images outside
    of studies: what that has of these images is copied.

    Raises
    ------
    UserError
        If a file cannot be read, or boxes cannot be copied.
    """
    file = _file_of_boxes(folder, samples)
    _bring(file, samples)
    return file


def kept_boxes(
    folder: Path | None, samples: Sequence[Sample]
) -> tuple[dict[str, Annotations], frozenset[str]]:
    """Return what is kept of samples, by name, and the names of those that the user's own file has.

    Nothing is written or brought. Where the file of the folder (None: there is none) knows nothing
    of a sample, the user's own counts, which has the boxes of folders that could not be written.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    own = AnnotationFile.of_user()
    file = None if folder is None else _file_of_boxes(folder, samples)
    found = {} if file is None or file.path == own.path else file.read_all(samples)
    others = [sample for sample in samples if sample.name not in found]
    apart = own.read_all(others) if others and own.path.exists() else {}
    return found | apart, frozenset(apart)


def open_study(folder: Path, samples: Sequence[Sample]) -> tuple[Path, str]:
    """Do as `boxes_beside` for a study, whose file is then the one beside its folder.

    Returns
    -------
    folder
        The study's: the one above if that has boxes of these images.
    note
        That boxes were brought, are kept elsewhere, were left there since the study has others of
        the same images, or could not be brought; mostly empty.
    """
    own = AnnotationFile.of_user().path
    try:
        file = _file_of_boxes(folder, samples)
    except UserError as error:
        return folder, str(error)
    if file.path == own:
        return folder, (
            f"{folder} cannot be written, so boxes of its images are kept in {own}; they are "
            "brought to it when it is opened and can be written."
        )
    folder = file.path.parent
    try:
        brought = _bring(file, samples)
    except UserError as error:
        return folder, f"Boxes of these images in {own} are not used: {error}"
    return folder, " ".join(_in_words(brought, folder, own))


def _in_words(brought: _Brought, folder: Path, own: Path) -> list[str]:
    """Return sentences on what was brought to a study, and what was not."""
    sentences = []
    if brought.boxes:
        boxes = counted(brought.boxes, "box was", "boxes were")
        sentences.append(
            f"{boxes} brought from {own}, where they were kept while {folder} could not be written."
        )
    if brought.images_left:
        images = counted(brought.images_left, "image has", "images have")
        sentences.append(
            f"{images} boxes in {folder / FILE_NAME}, which are used, and others in {own}, which "
            "are not; to join the two, run: attmil merge "
            f"{_quoted(folder)} {_quoted(own.parent)} --out NEW-FOLDER"
        )
    return sentences


def file_with_boxes(folder: Path, samples: Sequence[Sample]) -> AnnotationFile | None:
    """Return the file in a folder, or one above that has boxes of these images; None without.

    Raises
    ------
    UserError
        If the file above cannot be read.
    """
    file = AnnotationFile.above(folder / "image")
    if file is None:
        return None
    is_beside = file.path.parent == folder.absolute()
    return file if is_beside or file.read_all(samples) else None


def _file_of_boxes(folder: Path, samples: Sequence[Sample]) -> AnnotationFile:
    """Return the file for boxes of images in a folder, as `boxes_beside` but bringing none.

    Raises
    ------
    UserError
        If the file of a folder above cannot be read.
    """
    return file_with_boxes(folder, samples) or AnnotationFile.beside(folder)


def _bring(file: AnnotationFile, samples: Sequence[Sample]) -> _Brought:
    """Copy boxes of some images from the user's own file to another."""
    own = AnnotationFile.of_user().path
    return _copy_boxes(own, file.path, samples) if own.exists() and own != file.path else _Brought()


def _copy_boxes(source: Path, target: Path, samples: Sequence[Sample]) -> _Brought:
    """Copy what a file knows of images of which the target knows nothing."""
    frames = {frame for sample in samples for frame in sample.frames}
    here = {(name_within(source.parent, each.path), each.page) for each in frames}
    there = {(name_within(target.parent, each.path), each.page) for each in frames}
    taken: set[Place] = set()
    edits: set[str] = set()
    if target.exists():
        with Connection(target, is_claimed=False).reading() as connection:
            taken = _known(connection, there)
            edits = {uid for (uid,) in connection.execute("SELECT uid FROM edits")}
    with Connection(source, is_claimed=False).reading() as connection:
        known = _known(connection, here)
        new = {place for place in known if _renamed(place, source, target) not in taken}
        rows = _rows_of(connection, new, source, target) if new else {}
        is_deleted = dict(_tables_of_images(connection))["cells"].index("deleted")
        left = _edited(connection, known - new, edits)
    if rows:
        writer = Connection(target)
        with writer.writing() as connection, connection:
            for table, values in rows.items():
                marks = ", ".join("?" * len(values[0]))
                connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)
        writer.close()
    cells = [row for row in rows.get("cells", ()) if not row[is_deleted]]
    return _Brought(len(cells), len(left))


def _edited(connection: sqlite3.Connection, places: set[Place], others: set[str]) -> set[Place]:
    """Return the images that were changed here by an edit which is not among others."""
    return {
        place
        for key, images in _lists_with(connection, places).items()
        for uid, text in connection.execute(
            "SELECT edits.uid, COALESCE(steps.images, '') FROM edits LEFT JOIN steps USING (uid) "
            "WHERE frames = ?",
            (key,),
        )
        if uid not in others
        for place in ([images[index] for index in json.loads(text)] if text else images)
        if place in places
    }


def _quoted(path: Path) -> str:
    """Return a path as a command line takes it."""
    return f'"{path}"' if " " in str(path) else str(path)


def _renamed(place: Place, source: Path, target: Path) -> Place:
    return name_within(target.parent, source.parent / place[0]), place[1]


def _known(connection: sqlite3.Connection, places: set[Place]) -> set[Place]:
    """Return the images of which a file knows anything."""
    found = connection.execute(
        "SELECT image, page FROM images WHERE image IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted({image for image, _ in places})),),
    )
    return {place for place in found if place in places}


def _rows_of(
    connection: sqlite3.Connection, places: set[Place], source: Path, target: Path
) -> _Rows:
    """Return the rows about some images, as they are called in another file."""
    rows: _Rows = {}
    for table, columns in _tables_of_images(connection):
        if table != "frame_lists":
            for row in connection.execute(f"SELECT * FROM {table}"):
                place = row[columns.index("image")], row[columns.index("page")]
                if place in places:
                    moved = dict(zip(columns, row, strict=True))
                    moved["image"], _ = _renamed(place, source, target)
                    rows.setdefault(table, []).append(tuple(moved.values()))
    lists = _lists_with(connection, places)
    for key, images in lists.items():
        moved_list = [_renamed(place, source, target) for place in images]
        new_key = frames_key(moved_list)
        rows.setdefault("frame_lists", []).extend(
            (new_key, index, *place) for index, place in enumerate(moved_list)
        )
        rows.setdefault("edits", []).extend(_edits_of(connection, key, new_key))
        rows.setdefault("steps", []).extend(_steps_of(connection, key))
    # In the order in which they were made, whichever sample; the other file gives new numbers.
    in_order = sorted(rows.pop("edits", []), key=lambda row: int(row[0]))
    rows["edits"] = [(None, *row[1:]) for row in in_order]
    return {table: values for table, values in rows.items() if values}


def _tables_of_images(connection: sqlite3.Connection) -> Iterable[tuple[str, list[str]]]:
    """Return all tables whose rows are about an image, with their columns."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        if {"image", "page"} <= set(columns):
            yield table, columns


def _lists_with(connection: sqlite3.Connection, places: set[Place]) -> dict[str, list[Place]]:
    """Return the images, in order, of each list that has some of these."""
    lists: dict[str, list[Place]] = {}
    for key, image, page in connection.execute(
        "SELECT frames, image, page FROM frame_lists ORDER BY frames, position"
    ):
        lists.setdefault(key, []).append((image, page))
    return {key: images for key, images in lists.items() if not places.isdisjoint(images)}


def _edits_of(connection: sqlite3.Connection, key: str, new_key: str) -> list[tuple[Any, ...]]:
    """Return the rows of a list's edits, the number of each first."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(edits)")]
    rows = connection.execute("SELECT * FROM edits WHERE frames = ? ORDER BY number", (key,))
    return [
        tuple(
            new_key if name == "frames" else value for name, value in zip(columns, row, strict=True)
        )
        for row in rows
    ]


def _steps_of(connection: sqlite3.Connection, key: str) -> list[tuple[Any, ...]]:
    """Return the rows that say how a list's edits were made: by whom, and in which step."""
    return connection.execute(
        "SELECT * FROM steps WHERE uid IN (SELECT uid FROM edits WHERE frames = ?)", (key,)
    ).fetchall()


def frame_of_pixels(*pixels: npt.NDArray[Any], page: int = 0) -> Frame:
    """Return a place for boxes of an image that no file has: they are the same pixels' for ever.

    It is in the user's own file of annotations.

    Parameters
    ----------
    *pixels
        The image, or parts of a stack that tell it from others.
    page
        Which image of the stack.
    """
    sha = hashlib.blake2b(digest_size=16)
    for part in pixels:
        sha.update(f"{part.dtype.str}{part.shape}".encode())
        every = -(-part.nbytes // _DIGESTED_BYTES) or 1
        sha.update(np.ascontiguousarray(part[::every]).tobytes())
    return Frame(AnnotationFile.of_user().path.parent / PIXELS_FOLDER / sha.hexdigest(), page)


def is_kept_by_pixels(frames: Sequence[Frame]) -> bool:
    """Return whether the user's own file knows anything of images that no file has."""
    file = AnnotationFile.of_user()
    try:
        return file.path.exists() and bool(file.read_all([Sample("", "", None, tuple(frames))]))
    except UserError:
        return False  # Whoever opens the file tells what is wrong with it.


def note_place(frame: Frame, pixels: Frame) -> None:
    """Note that boxes of an image, found by its pixels, are kept under a file and a page.

    Raises
    ------
    UserError
        If it cannot be noted.
    """
    noted = _note_of(pixels)
    if noted_place(pixels) != frame:
        check_writable(noted)
        write_json(noted, {"path": str(frame.path.absolute()), "page": frame.page})


def noted_place(pixels: Frame) -> Frame:
    """Return the file and page under which boxes of an image are kept; by its pixels without."""
    try:
        noted = json.loads(_note_of(pixels).read_text(encoding="utf-8"))
        frame = Frame(Path(noted["path"]), int(noted["page"]))
    except (OSError, ValueError, KeyError, TypeError):
        return pixels
    return frame if os.path.exists(frame.path) else pixels


def _note_of(pixels: Frame) -> Path:
    return pixels.path.with_name(f"{pixels.path.name}-{pixels.page}.json")


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
    gone = [image for image in counts if not os.path.exists(image)]
    if gone:
        return (
            f"The study has no image for {_boxes(counts, gone)}: "
            f"{name_within(cohort.folder, gone[0])} is not there any more; if an image or a folder "
            "was renamed or moved, give it its old name and place, or its boxes are not used."
        )
    looked_at = {os.path.abspath(frame.path) for s in cohort.samples for frame in s.frames}
    on_planes = [image for image in counts if os.path.abspath(image) in looked_at]
    others = [image for image in counts if image not in on_planes]
    told = []
    if on_planes:
        told.append(
            "On planes, time points or channels that are not looked at there are "
            f"{_boxes(counts, on_planes)}; they are there again with the choice of planes that "
            "they were made with (z: all shows every plane)."
        )
    if others:
        told.append(f"The study leaves out the images of {_boxes(counts, others)}.")
    return " ".join(told)


def _boxes(counts: dict[Path, int], images: Collection[Path]) -> str:
    boxes = counted(sum(counts[image] for image in images), "box", "boxes")
    return f"{boxes} of {counted(len(images), 'image file')} in {FILE_NAME}"
