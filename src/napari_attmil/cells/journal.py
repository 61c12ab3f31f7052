"""How edits are written in the tables of `annotations.sqlite`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.edits import Cells, Edit

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

Place = tuple[str, int]
"""An image in the file: its name, relative to the project, and its page."""
DONE, UNDONE, DROPPED, MERGED = 0, 1, 2, 3
"""States of an edit: in force, taken back, taken back and followed by another one, or another
person's, which came in with a merge."""


class JournalEntry(NamedTuple):
    """One row of the journal, as it goes from file to file."""

    uid: str
    sample: str
    title: str
    author: str
    made_by: str
    made_at: str
    state: int
    content: str

    @property
    def edit(self) -> Edit:
        """What was done."""
        return edit_from_text(self.title, self.content)


def write_cells(
    connection: sqlite3.Connection, places: Sequence[Place], edit: Edit, number: int
) -> None:
    """Bring cells, reviewed and detected flags to what an edit has made of them."""
    gone = edit.before.boxes
    connection.executemany(
        "DELETE FROM cells WHERE image = ? AND page = ? AND cell_id = ?",
        [
            (*places[index], cell_id)
            for index, cell_id in zip(gone.image_index.tolist(), gone.cell_id.tolist(), strict=True)
        ],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*places[row[1]], row[0], *row[2:], number) for row in rows_of(edit.after)],
    )
    for images, flag in (
        (edit.reviewed_after - edit.reviewed_before, 1),
        (edit.reviewed_before - edit.reviewed_after, 0),
    ):
        connection.executemany(
            "UPDATE images SET reviewed = ? WHERE image = ? AND page = ?",
            [(flag, *places[index]) for index in images],
        )


def edit_to_text(edit: Edit) -> str:
    """Return all of an edit but its title as JSON."""
    return json.dumps(
        {
            "before": rows_of(edit.before),
            "after": rows_of(edit.after),
            "detected": [edit.detected_before, edit.detected_after],
            "reviewed": [sorted(edit.reviewed_before), sorted(edit.reviewed_after)],
        }
    )


def edit_from_text(title: str, text: str) -> Edit:
    """Return the edit that `edit_to_text` was given."""
    content = json.loads(text)
    detected, reviewed = content["detected"], content["reviewed"]
    return Edit(
        title,
        cells_of(content["before"]),
        cells_of(content["after"]),
        detected[0],
        detected[1],
        frozenset(reviewed[0]),
        frozenset(reviewed[1]),
    )


def rows_of(cells: Cells) -> list[list[Any]]:
    """Return plain rows: cell_id, image_index, the four of xyxy, score, source, deleted."""
    boxes = cells.boxes
    columns = (boxes.cell_id, boxes.image_index, *boxes.xyxy.T, boxes.score, boxes.source)
    values = [column.tolist() for column in (*columns, cells.deleted.astype(int))]
    return [list(row) for row in zip(*values, strict=True)]


def cells_of(rows: Iterable[Sequence[float]]) -> Cells:
    """Return the cells of such rows."""
    listed = list(rows)
    table = np.array(listed, dtype=np.float64).reshape(len(listed), 9)
    boxes = Boxes(
        cell_id=table[:, 0].astype(np.int64),
        image_index=table[:, 1].astype(np.int32),
        xyxy=table[:, 2:6].astype(np.float32),
        score=table[:, 6].astype(np.float32),
        source=table[:, 7].astype(np.uint8),
    )
    return Cells(boxes, table[:, 8].astype(bool))
