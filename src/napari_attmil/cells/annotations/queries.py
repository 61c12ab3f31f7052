"""What `annotations.sqlite` says now of many images at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_attmil.cells.annotations.edits import Annotations
from napari_attmil.cells.annotations.journal import Place, cells_of
from napari_attmil.cells.boxes import Source

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

Images = dict[Place, tuple[int, int, int]]
"""Whether the detector has seen it, the next cell_id, and whether it is reviewed."""
StoredCells = dict[Place, list[tuple[float, ...]]]

NOTHING_KNOWN = (0, 0, 0, 0, 0, None, None)
"""What `SUMMARY` would say of an image that is not in the file."""
_UNSEEN = f"CASE WHEN deleted = 0 AND source = {int(Source.MODEL)} THEN score END"
SUMMARY = f"""
SELECT images.image, images.page, detected, reviewed, TOTAL(deleted = 0),
    TOTAL(deleted = 0 AND source = {int(Source.PERSON)}),
    TOTAL(deleted = 0 AND source = {int(Source.ACCEPTED)}), MIN({_UNSEEN}), AVG({_UNSEEN})
FROM images LEFT JOIN cells USING (image, page) GROUP BY images.image, images.page
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


def annotations_of(
    places: Sequence[Place],
    images: Mapping[Place, tuple[int, int, int]],
    cells: Mapping[Place, list[tuple[float, ...]]],
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
    )
