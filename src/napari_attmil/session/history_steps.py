"""The steps that a session's history consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_attmil.cells.annotations import new_uid

if TYPE_CHECKING:
    from napari_attmil.cells.annotations import Edit
    from napari_attmil.core import UserError
    from napari_attmil.session.keys import SessionKey


_SETTLING = "/"
"""In the name of a step that takes back an overtaken one, and of no other."""


@dataclass(frozen=True)
class UndoName:
    """Names an undo so that, after a restart, it is known what redo makes again, and when.

    Attributes
    ----------
    latest
        The latest edit of the person who took something back, by its name in the journal: once
        there is a later one, nothing of it is made again.
    number
        Counts the undos since that edit.
    uid
        Tells it from another session's.
    """

    latest: str
    number: int
    uid: str = field(default_factory=new_uid)

    def __str__(self) -> str:
        return f"{self.number}.{self.uid}.{self.latest}"

    @classmethod
    def of_text(cls, text: str) -> UndoName | None:
        """Return what the journal says; None if it says nothing, or as earlier versions did."""
        number, _, rest = text.partition(".")
        uid, _, latest = rest.partition(".")
        return cls(latest, int(number), uid) if number.isdecimal() and latest else None

    def settling(self, name: str) -> str:
        """Return how a step is called that takes back, later, what is left of that of a name."""
        return f"{self}{_SETTLING}{name}"


@dataclass(eq=False)
class Part:
    """What one step did to one sample.

    Attributes
    ----------
    key
        The sample.
    uid
        The edit's name in the journal.
    images
        The images that it changed.
    is_done
        Whether it is in force, not taken back.
    settled
        Whether undo passes over it; see `Edit`.
    edit
        All that it changed; read from the file when it is needed, if None.
    """

    key: SessionKey
    uid: str
    images: tuple[int, ...]
    is_done: bool = True
    settled: bool = False
    edit: Edit | None = None


@dataclass(eq=False)
class Step:
    """One step of the history: what a person, or the program, did at once.

    Attributes
    ----------
    name
        Of the step; edits of several samples share it.
    title
        What was done: "Delete 3 boxes".
    author
        Who did it.
    made_at
        When, in UTC: "2026-03-12T14:05:09+00:00".
    is_mine
        Whether this person did it here; undo leaves the others' steps, and those of the program,
        in force.
    automatic
        Whether the program did it without being asked.
    parts
        What it did to each sample.
    undone
        The undo that took it back last, unless it was made again since.
    """

    name: str
    title: str
    author: str
    made_at: str
    is_mine: bool
    automatic: bool
    parts: list[Part] = field(default_factory=list)
    undone: UndoName | None = None

    @property
    def is_done(self) -> bool:
        """Whether it, or a part of it, is in force."""
        return any(part.is_done for part in self.parts)

    @property
    def can_be_undone(self) -> bool:
        """Whether undo takes it back, or a part of it."""
        return self.is_mine and any(part.is_done and not part.settled for part in self.parts)

    @property
    def may_be_made_again(self) -> bool:
        """Whether all of it was taken back, and undo does not pass over it."""
        return not self.is_done and not all(part.settled for part in self.parts)

    @property
    def is_settling(self) -> bool:
        """Whether it takes back, later, what is left of one that had been overtaken."""
        return _SETTLING in self.name


@dataclass(frozen=True)
class Move:
    """A step of undo or redo that was made.

    Attributes
    ----------
    key, image_index
        Where: the sample, and its image if it is known.
    text
        What was done, as a person is told: "Reviewed, image 7: taken back".
    """

    key: SessionKey
    image_index: int | None
    text: str


@dataclass
class Told:
    """What is to be told of a step back or forth."""

    verb: str
    keys: list[SessionKey] = field(default_factory=list)
    overtaken: bool = False
    failed: UserError | None = None
