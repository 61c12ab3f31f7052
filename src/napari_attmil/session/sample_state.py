"""What is known about one sample: its cells, what was done to them, and the prediction."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from napari_attmil.cells import Boxes, Source
from napari_attmil.cells.annotations import Annotations, Edit
from napari_attmil.core import UserError
from napari_attmil.explore import attention_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_attmil.bags import Prediction
    from napari_attmil.images import Sample


@dataclass(frozen=True, eq=False)
class SampleState:
    """What is known about one sample.

    Attributes
    ----------
    boxes
        Its cells at present.
    deleted
        Boxes that a person deleted; a later detection leaves them out.
    searched
        Images that the detector has seen, also where it found nothing.
    reviewed
        Images whose boxes a person has confirmed to be right and complete.
    prediction
        What the classifier said last.
    classified
        The boxes it was said about.
    """

    boxes: Boxes = field(default_factory=Boxes.empty)
    deleted: Boxes = field(default_factory=Boxes.empty)
    searched: frozenset[int] = frozenset()
    reviewed: frozenset[int] = frozenset()
    prediction: Prediction | None = None
    classified: Boxes = field(default_factory=Boxes.empty)

    def holding(self, kept: Annotations) -> Self:
        """Return the state with what is kept on disk in place of its own."""
        return replace(
            self,
            boxes=kept.boxes,
            deleted=kept.deleted,
            searched=kept.searched,
            reviewed=kept.reviewed,
        )

    def annotations(self, next_id: int = 1) -> Annotations:
        """Return what is kept on disk, with the next cell_id to give away."""
        free = max(next_id, self.boxes.next_id, self.deleted.next_id)
        return Annotations(self.boxes, self.deleted, self.searched, free, self.reviewed)

    @property
    def is_worked_on(self) -> bool:
        """Whether detector or person have done anything to it."""
        return bool(self.searched or len(self.boxes) or len(self.deleted) or self.reviewed)

    @property
    def is_by_hand(self) -> bool:
        """Whether a person has done anything to it."""
        by_person = self.boxes.source != Source.MODEL
        return bool(by_person.any() or len(self.deleted) or self.reviewed)

    @property
    def is_stale(self) -> bool:
        """Whether boxes changed since the classification."""
        return self.prediction is not None and not self.boxes.is_unchanged_since(self.classified)

    def attention(self) -> npt.NDArray[np.float64]:
        """Return (n,) the attention of each box; NaN where it is newer than the classification."""
        if self.prediction is None:
            return np.full(len(self.boxes), np.nan)
        return attention_of(self.boxes, self.prediction, self.classified)


_UNTOUCHED: Final = SampleState()
"""Of every sample at first: a study has thousands."""


class AnnotationsOnDisk(Protocol):
    """Where edits are kept as soon as they are made; see `cells.project.AnnotationFile`."""

    def read_all(self, samples: Sequence[Sample]) -> Mapping[str, Annotations]:
        """Return what was kept of samples, by name; those of which nothing was are left out."""

    def claim(self) -> None:
        """Let no other program write, or raise a UserError."""

    @property
    def has_pending(self) -> bool:
        """Whether there are edits that could not be kept yet."""

    def history(self, sample: Sample) -> tuple[list[Edit], list[Edit]]:
        """Return the edits that can be undone and redone, each list's next one last."""

    def record(self, sample: Sample, edit: Edit, next_id: int, made_by: str = "") -> None:
        """Keep an edit, or raise a UserError."""

    def undo(self, sample: Sample, edit: Edit) -> None:
        """Keep that the last edit was taken back, or raise a UserError."""

    def redo(self, sample: Sample, edit: Edit) -> None:
        """Keep that it was made again, or raise a UserError."""

    def retry(self) -> None:
        """Keep what could not be kept yet, or raise a UserError."""


class SampleRecord:
    """One sample's state, the edits that led to it, and where they are kept.

    The methods that change it may raise a UserError of the disk; the change is made all the same,
    and kept with the next one.
    """

    def __init__(self) -> None:
        self.state = _UNTOUCHED
        self._undo: list[Edit] = []
        self._redo: list[Edit] = []
        self._next_id = 1
        self._sample: Sample | None = None
        self.kept_in: AnnotationsOnDisk | None = None
        self._history_is_read = True

    @property
    def next_id(self) -> int:
        """The next cell_id to give away."""
        return self._next_id

    @property
    def is_kept(self) -> bool:
        """Whether edits are written to disk."""
        return self.kept_in is not None

    def keep(self, sample: Sample, kept_in: AnnotationsOnDisk, known: Annotations | None) -> None:
        """Take over what was kept of the sample, and keep every edit from now on."""
        self._sample, self.kept_in, self._history_is_read = sample, kept_in, False
        if known is not None:
            self._take(known)
            self._next_id = known.next_id

    def edit(self, title: str, made_by: str = "", **changes: Any) -> None:
        """Change boxes, deleted, searched or reviewed as one step of undo."""
        # If what was done before cannot be read, it cannot be undone; this change is made all the
        # same.
        with contextlib.suppress(UserError):
            self.read_history()
        old = self.state.annotations(self._next_id)
        new = replace(old, **changes)
        new = replace(new, boxes=new.boxes.in_order(), deleted=new.deleted.in_order())
        self._next_id = max(old.next_id, new.boxes.next_id, new.deleted.next_id)
        edit = Edit.between(title, old, new)
        if not edit.changes_anything:
            return
        self._undo.append(edit)
        self._redo.clear()
        self._take(new)
        if self.kept_in is not None and self._sample is not None:
            self.kept_in.record(self._sample, edit, self._next_id, made_by)

    @property
    def undo_title(self) -> str:
        """What would be undone; empty if there is nothing."""
        self.read_history()
        return self._undo[-1].title if self._undo else ""

    @property
    def redo_title(self) -> str:
        """What would be made again; empty if there is nothing."""
        self.read_history()
        return self._redo[-1].title if self._redo else ""

    def undo(self) -> None:
        """Take back the last edit."""
        self.read_history()
        if not self._undo:
            return
        edit = self._undo.pop()
        self._redo.append(edit)
        self._take(edit.inverse.applied_to(self.state.annotations(self._next_id)))
        if self.kept_in is not None and self._sample is not None:
            self.kept_in.undo(self._sample, edit)

    def redo(self) -> None:
        """Make the edit again that was taken back last."""
        self.read_history()
        if not self._redo:
            return
        edit = self._redo.pop()
        self._undo.append(edit)
        self._take(edit.applied_to(self.state.annotations(self._next_id)))
        if self.kept_in is not None and self._sample is not None:
            self.kept_in.redo(self._sample, edit)

    def _take(self, annotations: Annotations) -> None:
        self.state = self.state.holding(annotations)

    def read_history(self) -> None:
        """Read the edits of earlier sessions, once; a UserError if they cannot be read."""
        if self._history_is_read or self.kept_in is None or self._sample is None:
            return
        self._history_is_read = True
        self._undo, self._redo = self.kept_in.history(self._sample)
