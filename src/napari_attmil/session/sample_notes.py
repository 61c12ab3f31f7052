"""Tags, notes and own columns of a session's cells and samples; each change is one undo step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.cells import Boxes
from napari_attmil.cells.annotations import (
    READY_TAGS,
    SAMPLE,
    Note,
    author_name,
    is_answer,
    new_uid,
    stamped,
    with_notes,
    without_answer,
)
from napari_attmil.core import UserError, counted
from napari_attmil.explore import OWN, TAG_SEPARATOR, TAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_attmil.session.keys import SampleKey, SessionKey
    from napari_attmil.session.sample_records import SampleRecords
    from napari_attmil.session.sample_state import SampleState

    NotedCells = (
        Iterable[int] | Mapping[SessionKey, Iterable[int]] | Mapping[SampleKey, Iterable[int]]
    )


class SampleNotes:
    """What is noted about the cells and samples of a session.

    Cells are given by their ids within the shown sample, or by their ids within any samples as
    ``{key: ids}`` with the keys of `Session.key_of`. `SAMPLE` among the ids is the sample itself.

    Parameters
    ----------
    records
        The session's.
    """

    def __init__(self, records: SampleRecords) -> None:
        self._records = records

    def of(self, cell_id: int = SAMPLE, key: SessionKey | None = None) -> Note:
        """Return what is noted about a cell, or a sample; an empty note if nothing is."""
        state = self._records.state(self._records.shown if key is None else key)
        return state.notes.get(cell_id, Note())

    def tags(self) -> tuple[str, ...]:
        """Return all tags in use, the ready ones first."""
        used = {tag for note in self._all() for tag in note.tags}
        return (*READY_TAGS, *sorted(used - set(READY_TAGS)))

    def columns(self) -> tuple[str, ...]:
        """Return the names of all own columns in use."""
        return tuple(sorted({name for note in self._all() for name, _ in note.columns}))

    def texts(self, title: str) -> Counter[str]:
        """Return how many cells of all samples have each text in a column of the tables."""
        name = title if title in self.columns() else title.removesuffix(OWN)
        notes = [
            note
            for record in self._records.all()
            for cell, note in record.state.notes.items()
            if cell != SAMPLE
        ]
        if title == TAGS:
            return Counter(TAG_SEPARATOR.join(note.tags) for note in notes if note.tags)
        return Counter(value for note in notes for column, value in note.columns if column == name)

    def is_tagged(self, cells: NotedCells, tag: str) -> bool:
        """Return whether all of some cells have a tag; False for no cells."""
        notes = [self.of(cell, key) for key, ids in self._by_key(cells).items() for cell in ids]
        return bool(notes) and all(tag in note.tags for note in notes)

    def tag(
        self,
        cells: NotedCells,
        tag: str,
        on: bool = True,
    ) -> None:
        """Tag cells, or remove a tag from them.

        A tag that says what a cell is (see `is_answer`) takes the place of another such tag, and
        who gave it and when is noted with it.
        """
        tag = _named(tag, "tag")
        if on and is_answer(tag):
            self._change(cells, f"Tag “{tag}”", lambda note: without_answer(note).tagged(tag))
            return
        title = f"Tag “{tag}”" if on else f"Remove tag “{tag}”"
        self._change(cells, title, lambda note: note.tagged(tag, on))

    def set_tags(self, cells: NotedCells, tags: Iterable[str]) -> None:
        """Give cells just these tags."""
        named = tuple(sorted({_named(tag, "tag") for tag in tags}))
        self._change(cells, "Tags", lambda note: replace(note, tags=named))

    def write(self, cells: NotedCells, text: str) -> None:
        """Write a note on cells in place of the former one; an empty text removes it."""
        self._change(cells, "Note", lambda note: replace(note, text=text.strip()))

    def set_value(self, cells: NotedCells, column: str, value: str) -> None:
        """Set cells' value in an own column; an empty one removes it."""
        column = _named(column, "column")
        title = f"{column}: {value.strip()}" if value.strip() else f"Empty {column}"
        self._change(cells, title, lambda note: note.with_value(column, value.strip()))

    # --- inside -----------------------------------------------------------------------------

    def _all(self) -> Iterable[Note]:
        return (note for record in self._records.all() for note in record.state.notes.values())

    def _by_key(self, cells: NotedCells) -> dict[SessionKey, list[int]]:
        if isinstance(cells, Mapping):
            return {key: [int(cell) for cell in ids] for key, ids in cells.items()}
        shown = self._records.shown
        return {} if shown is None else {shown: [int(cell) for cell in cells]}

    def _change(
        self,
        cells: NotedCells,
        title: str,
        change: Callable[[Note], Note],
    ) -> None:
        step, by_key = new_uid(), self._by_key(cells)
        who, now = author_name(), datetime.now(UTC).isoformat(timespec="seconds")
        count = sum(len(set(ids) - {SAMPLE}) for ids in by_key.values())
        title = f"{title}, {counted(count, 'cell')}" if count else title
        for key, ids in by_key.items():
            if self._records.get(key) is None:
                continue  # Of a study that is no longer open.
            state = self._records.state(key)
            images = _images_of(state, ids)
            before = {cell: state.notes.get(cell, Note(image)) for cell, image in images.items()}
            changed = {cell: change(note) for cell, note in before.items()}
            changed |= {
                cell: stamped(before[cell], note, who, now)
                for cell, note in changed.items()
                if cell != SAMPLE
            }
            self._records.edit(key, title, step, notes=with_notes(state.notes, changed))


def _images_of(state: SampleState, cell_ids: Iterable[int]) -> dict[int, int]:
    """Return the image of each cell that a sample has; 0 for the sample itself."""
    ids = list(cell_ids)
    cells = Boxes.concatenate([state.boxes, state.deleted])
    cells = cells[np.isin(cells.cell_id, ids)]
    found = dict(zip(cells.cell_id.tolist(), cells.image_index.tolist(), strict=True))
    return found | ({SAMPLE: 0} if SAMPLE in ids else {})


def _named(name: str, what: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise UserError(f"The {what} has no name; give it one of letters or digits.")
    return name
