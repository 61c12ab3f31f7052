"""An expert's answer to what a cell is: tags of its note, with who gave them and when.

Answers are tags, so that they are undone, merged, exported and filtered by as all notes are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from napari_attmil.cells.annotations.notes import (
    ALTERED,
    READY_TAGS,
    Note,
    with_notes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_attmil.cells.annotations.notes import Notes

OF_CLASS: Final = f"{ALTERED}: "
"""Begins the answer that names a class: "altered: malaria"."""
ANSWERED_BY: Final = "answered by"
ANSWERED_AT: Final = "answered at"
"""The own columns with who gave an answer, and when (UTC)."""


def is_answer(tag: str) -> bool:
    """Return whether a tag says what a cell is."""
    return tag in READY_TAGS or tag.startswith(OF_CLASS)


def answer_of(note: Note) -> str:
    """Return what a cell was said to be; empty if nothing was said, or people contradict."""
    said = [tag for tag in note.tags if is_answer(tag)]
    return said[0] if len(said) == 1 else ""


def answers_in(notes: Notes) -> dict[int, str]:
    """Return the answers about cells that contradict no other, by cell_id."""
    answers = {cell: answer_of(note) for cell, note in notes.items()}
    return {cell: answer for cell, answer in answers.items() if answer}


def without_answer(note: Note) -> Note:
    """Return a note without any answer."""
    return replace(note, tags=tuple(tag for tag in note.tags if not is_answer(tag)))


def stamped(before: Note, after: Note, by: str, at: str) -> Note:
    """Return a note with who gave its answer and when, if the answer is another than before."""
    said = {tag for tag in after.tags if is_answer(tag)}
    if said == {tag for tag in before.tags if is_answer(tag)}:
        return after
    for column, value in ((ANSWERED_BY, by), (ANSWERED_AT, at)):
        after = after.with_value(column, value if said else "")
    return after


def with_answers(notes: Notes, answers: Mapping[int, tuple[int, str]], by: str, at: str) -> Notes:
    """Return notes with answers in place of earlier ones.

    Parameters
    ----------
    notes
        Of a sample.
    answers
        Image and answer of each cell, by cell_id.
    by, at
        Who answered, and when (UTC).
    """
    changed = {}
    for cell, (image, answer) in answers.items():
        before = notes.get(cell, Note(image))
        changed[cell] = stamped(before, without_answer(before).tagged(answer), by, at)
    return with_notes(notes, changed)
