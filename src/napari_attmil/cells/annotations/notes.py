"""What a person noted about a cell or a sample: tags, a free text, and columns of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SAMPLE: Final = 0
"""What stands for the sample itself among the cell_ids, which are positive."""
NOT_A_CELL: Final = "not a cell"
"""Tag of a box that stays visible but belongs to no bag, no training and no count of cells."""
ALTERED: Final = "altered"
"""Tag of a cell that a person finds altered by the disease of its sample."""
NOT_ALTERED: Final = "not altered"
"""Tag of a cell that a person has looked at and found healthy."""
CANNOT_TELL: Final = "cannot tell"
"""Tag of a cell of which a person cannot say whether it is altered."""
READY_TAGS: Final = (NOT_A_CELL, NOT_ALTERED, ALTERED, CANNOT_TELL)
"""What a cell can be said to be, unless a class is named; see `answers`."""


@dataclass(frozen=True)
class Note:
    """What is noted about one cell or one sample.

    Attributes
    ----------
    image_index
        The image of the cell; 0 for a sample.
    tags
        In alphabetical order, each once.
    text
        A free note.
    columns
        Names and values of a person's own columns, by name; none is empty.
    """

    image_index: int = 0
    tags: tuple[str, ...] = ()
    text: str = ""
    columns: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything is noted."""
        return bool(self.tags or self.text or self.columns)

    def says(self, other: Note) -> bool:
        """Return whether all that another note says is said here."""
        return (
            {*other.tags} <= {*self.tags}
            and other.text in ("", self.text)
            and {*other.columns} <= {*self.columns}
        )

    def tagged(self, tag: str, on: bool = True) -> Self:
        """Return the note with a tag, or without it."""
        others = {name for name in self.tags if name != tag}
        return replace(self, tags=tuple(sorted(others | {tag} if on else others)))

    def with_value(self, column: str, value: str) -> Self:
        """Return the note with a value in an own column; an empty one removes it."""
        values = dict(self.columns) | {column: value}
        return replace(self, columns=tuple(sorted((k, v) for k, v in values.items() if v)))


Notes = Mapping[int, Note]
"""By cell_id, or `SAMPLE`; what nothing is noted about is left out."""
NO_NOTES: Final[Notes] = {}


def with_notes(notes: Notes, changed: Notes) -> Notes:
    """Return notes with others in place of those about the same cells; empty ones are removed."""
    return {cell: note for cell, note in {**notes, **changed}.items() if note}


def joined_notes(one: Note, other: Note) -> Note:
    """Return all that two notes say; of different texts or values, the first one's stand first."""
    values = dict(one.columns)
    for column, value in other.columns:
        values[column] = _both(values.get(column, ""), value, " | ")
    return replace(
        one,
        tags=tuple(sorted({*one.tags, *other.tags})),
        text=_both(one.text, other.text, "\n"),
        columns=tuple(sorted(values.items())),
    )


def completed_note(one: Note, other: Note) -> Note:
    """Return a note with what another one says as well; of different texts, the first's remains."""
    return replace(
        one,
        tags=tuple(sorted({*one.tags, *other.tags})),
        text=one.text or other.text,
        columns=tuple(sorted({**dict(other.columns), **dict(one.columns)}.items())),
    )


def _both(one: str, other: str, between: str) -> str:
    return between.join(dict.fromkeys(filter(None, (one, other))))


def cells_with_tag(notes: Notes, tag: str) -> list[int]:
    """Return the ids of the cells that have a tag."""
    return [cell for cell, note in notes.items() if cell != SAMPLE and tag in note.tags]


def rows_of_notes(notes: Notes) -> list[list[Any]]:
    """Return plain rows: cell_id, image_index, tags, text, columns."""
    return [
        [cell, n.image_index, list(n.tags), n.text, dict(n.columns)] for cell, n in notes.items()
    ]


def notes_of(rows: Iterable[Sequence[Any]]) -> Notes:
    """Return the notes of such rows."""
    return {
        int(cell): Note(
            int(image), tuple(map(str, tags)), str(text), tuple(sorted(dict(columns).items()))
        )
        for cell, image, tags, text, columns in rows
    }
