"""What `annotations.sqlite` says now of many images at once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_attmil.cells.annotations.edits import Annotations
from napari_attmil.cells.annotations.journal import Place, cells_of
from napari_attmil.cells.annotations.notes import SAMPLE, Note, joined_notes, with_notes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from napari_attmil.cells.annotations.notes import Notes

Images = dict[Place, tuple[int, int, int]]
"""Whether the detector has seen it, the next cell_id, and whether it is reviewed."""
StoredCells = dict[Place, list[tuple[float, ...]]]
StoredNotes = dict[Place, dict[int, Note]]

BOX_COUNTS = """
SELECT images.image, images.page, TOTAL(deleted = 0) FROM images LEFT JOIN cells USING (image, page)
GROUP BY images.image, images.page
"""


def read_tables(connection: sqlite3.Connection, names: Sequence[str]) -> tuple[Images, StoredCells]:
    """Return the rows of images and of cells by image, of some images or of all."""
    where = f" WHERE image IN ({', '.join('?' * len(names))})" if names else ""
    images = {
        (image, page): flags
        for image, page, *flags in connection.execute(
            f"SELECT image, page, detected, next_id, reviewed FROM images{where}", names
        )
    }
    cells: StoredCells = {}
    for image, page, *row in connection.execute(
        "SELECT image, page, cell_id, x_min, y_min, x_max, y_max, score, source, deleted "
        f"FROM cells{where}",
        names,
    ):
        cells.setdefault((image, page), []).append(row)
    return images, cells


def read_notes(connection: sqlite3.Connection) -> StoredNotes:
    """Return all notes by image; a person has written each of them, so they are few."""
    notes: StoredNotes = {}
    for image, page, cell, tags, text, columns in connection.execute(
        "SELECT image, page, cell_id, tags, note, columns FROM notes"
    ):
        values = tuple(sorted(json.loads(columns).items()))
        note = Note(0, tuple(json.loads(tags)), text, values)
        notes.setdefault((image, page), {})[cell] = note
    return notes


def annotations_of(
    places: Sequence[Place],
    images: Mapping[Place, tuple[int, int, int]],
    cells: Mapping[Place, list[tuple[float, ...]]],
    notes: StoredNotes,
    shifts: Mapping[Place, int],
) -> Annotations:
    """Return the annotations of a sample, from the rows of its images; see `regrouping`."""
    known = [images.get(place, (0, 1, 0)) for place in places]
    rows = [
        (row[0] + shifts.get(place, 0), index, *row[1:])
        for index, place in enumerate(places)
        for row in cells.get(place, ())
    ]
    found = cells_of(rows)
    return Annotations(
        found.boxes[~found.deleted].in_order(),
        found.boxes[found.deleted].in_order(),
        frozenset(index for index, (detected, _, _) in enumerate(known) if detected),
        max(
            int(next_id) + shifts.get(place, 0)
            for place, (_, next_id, _) in zip(places, known, strict=True)
        ),
        frozenset(index for index, (_, _, reviewed) in enumerate(known) if reviewed),
        _notes_of_sample(places, notes, shifts),
    )


def _notes_of_sample(
    places: Sequence[Place], notes: StoredNotes, shifts: Mapping[Place, int]
) -> Notes:
    """Return the notes of a sample's images; those of samples that were joined are joined."""
    found: dict[int, Note] = {}
    for index, place in enumerate(places):
        for cell, note in notes.get(place, {}).items():
            if cell != SAMPLE:
                found[cell + shifts.get(place, 0)] = replace(note, image_index=index)
            else:
                found[cell] = joined_notes(found[cell], note) if cell in found else note
    return with_notes({}, found)
