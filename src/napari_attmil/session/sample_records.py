"""The records of a session's samples, and the files that their edits are written to."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_attmil.cells.annotations import Edit
from napari_attmil.core import UserError
from napari_attmil.session.keys import SampleKey
from napari_attmil.session.sample_state import UNTOUCHED, SampleState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from napari_attmil.cells.annotations import AnnotationFile, Annotations
    from napari_attmil.images import Sample
    from napari_attmil.session.keys import SessionKey


class SampleRecord:
    """A sample's state, and the file to which its edits are written.

    Writing may raise a UserError if the disk fails. The state has changed nevertheless, and what
    could not be written is written with the next edit.

    Parameters
    ----------
    sample
        The sample.
    file
        The file for every edit; None if edits stay in memory.
    saved
        The sample's annotations in the file.
    """

    def __init__(
        self,
        sample: Sample,
        file: AnnotationFile | None = None,
        saved: Annotations | None = None,
    ) -> None:
        self.sample, self.file = sample, file
        self.state = UNTOUCHED if saved is None else SampleState.of(saved.with_free_id())

    def edit_of(self, title: str, **changes: Any) -> Edit:
        """Return the edit that changes boxes, deleted, searched, reviewed or notes."""
        new = replace(self.state, **changes)
        new = replace(new, boxes=new.boxes.in_order(), deleted=new.deleted.in_order())
        return Edit.between(title, self.state, new)

    def make(self, edit: Edit) -> None:
        """Make an edit of the state as it is, and write it."""
        self.state = edit.applied_to(self.state)
        if self.file is not None:
            self.file.record(self.sample, edit, self.state.next_id)

    def undo(self, edit: Edit, undone: str) -> None:
        """Take an edit back, as part of the undo of that name."""
        self.state = edit.inverse.applied_to(self.state)
        if self.file is not None:
            self.file.undo(self.sample, edit, undone)

    def redo(self, edit: Edit) -> None:
        """Make an edit again that was taken back."""
        self.state = edit.applied_to(self.state)
        if self.file is not None:
            self.file.redo(self.sample, edit)

    def settle(self, uid: str, settled: bool, undone: str = "") -> None:
        """Write whether undo passes over an edit from now on, due to the undo of that name."""
        if self.file is not None:
            self.file.settle(self.sample, uid, settled, undone)


class SampleRecords:
    """The records of samples and layers, by key; `shown` is the key of those on the screen.

    `retry` repeats failed reads and writes.

    Parameters
    ----------
    on_failure
        Called with the message of each failure to read or write.

    Signals
    -------
    changed(key)
        The boxes of a sample have changed.
    editing, edited(key, edit)
        A person's, or the program's, edit is about to be made; it was made.
    attached(file, samples), forgotten(keys)
        Samples, by key, were read from a file; samples are no longer there.
    """

    changed = Signal(object)
    editing = Signal()
    edited = Signal(object, object)
    attached = Signal(object, object)
    forgotten = Signal(object)

    def __init__(self, on_failure: Callable[[str], object]) -> None:
        self.shown: SessionKey | None = None
        self.on_failure = on_failure
        self._records: dict[SessionKey, SampleRecord] = {}
        self._unread: dict[SessionKey, AnnotationFile] = {}

    def get(self, key: SessionKey | None) -> SampleRecord | None:
        """Return a sample's record; None if the session does not have it."""
        return None if key is None else self._records.get(key)

    def all(self) -> Iterable[SampleRecord]:
        """Return all records."""
        return self._records.values()

    def begin(self, key: SessionKey, sample: Sample) -> None:
        """Create the record of a sample, unless it exists."""
        record = self._records.setdefault(key, SampleRecord(sample))
        if record.file is None:
            record.sample = sample  # A layer can be given other images.

    def state(self, key: SessionKey | None) -> SampleState:
        """Return a sample's state; `UNTOUCHED` if it has no record."""
        record = self.get(key)
        return UNTOUCHED if record is None else record.state

    @property
    def has_several_samples(self) -> bool:
        """Whether the session has more samples than one, so that each is to be named."""
        return len(self._records) > 1

    def states_of_samples(self) -> dict[str, SampleState]:
        """Return the states, by name, of the study's samples that have been worked on."""
        return {
            key.name: record.state
            for key, record in self._records.items()
            if isinstance(key, SampleKey) and record.state.is_worked_on
        }

    def is_searched(self, key: SessionKey | None) -> bool:
        """Return whether all images of a sample have been searched by the detector."""
        record = self.get(key)
        return record is not None and record.state.is_searched(len(record.sample))

    def forget_samples(self) -> None:
        """Forget the samples of the study."""
        self._forget([key for key in self._records if isinstance(key, SampleKey)])

    def forget_layers_of(self, samples: Iterable[Sample]) -> None:
        """Forget layers that show images of these samples, if all their boxes are on the disk.

        Two records of one image would give the same id to different cells.
        """
        frames = {frame for sample in samples for frame in sample.frames}
        self._forget(
            [
                key
                for key, record in self._records.items()
                if not isinstance(key, SampleKey)
                and record.file is not None
                and not record.file.has_pending
                and not frames.isdisjoint(record.sample.frames)
            ]
        )

    def _forget(self, keys: Collection[SessionKey]) -> None:
        self.forgotten.emit(keys)
        for key in keys:
            del self._records[key]
            self._unread.pop(key, None)

    def edit(
        self,
        key: SessionKey,
        title: str,
        step: str = "",
        automatic: bool = False,
        **changes: Any,
    ) -> None:
        """Change a sample's boxes, deleted, searched, reviewed or notes.

        Parameters
        ----------
        key
            The sample; it has a record.
        title
            What is done, in a person's words.
        step
            The step of undo that it is part of, if of a larger one; see `Edit`.
        automatic
            Whether the program does it without being asked.
        **changes
            The attributes of its state that change.
        """
        self.editing.emit()
        record = self._records[key]
        edit = replace(record.edit_of(title, **changes), step=step, automatic=automatic)
        if edit.changes_anything:
            self.attempt(partial(record.make, edit))
            self.edited.emit(key, edit)
        self.changed.emit(key)

    def attempt(self, function: Callable[[], None]) -> None:
        """Run a function that uses the disk, and report its failure."""
        try:
            function()
        except UserError as error:
            self.on_failure(str(error))

    # --- files ------------------------------------------------------------------------------

    def attach(self, samples: Mapping[SessionKey, Sample], file: AnnotationFile) -> None:
        """Read samples' annotations from a file, and write every further change to it.

        Changes that were made before the file could be read are not overwritten.
        """
        for key in self._attach(samples, file):
            self.changed.emit(key)

    def retry(self) -> None:
        """Repeat failed reads and writes, and report those that fail again."""
        read: list[SessionKey] = []
        for file in dict.fromkeys(self._unread.values()):
            keys = [key for key, of_key in self._unread.items() if of_key is file]
            read += self._attach({key: self._records[key].sample for key in keys}, file)
        for file in self._files(self._records):
            self.attempt(file.retry)
        for key in read:
            self.changed.emit(key)

    def is_saved(self, key: SessionKey | None) -> bool:
        """Return whether changes of a sample's boxes are written to a file."""
        record = self.get(key)
        return record is not None and record.file is not None

    @property
    def has_pending(self) -> bool:
        """Whether there are failed reads or writes to repeat."""
        return bool(self._unread) or any(file.has_pending for file in self._files(self._records))

    @property
    def has_unsaved_samples(self) -> bool:
        """Whether changes of the study's samples are in memory only."""
        samples = [key for key in self._records if isinstance(key, SampleKey)]
        unread = any(key in self._unread and self._has_unsaved_work(key) for key in samples)
        return unread or any(file.has_pending for file in self._files(samples))

    def _attach(
        self, samples: Mapping[SessionKey, Sample], file: AnnotationFile
    ) -> list[SessionKey]:
        """Return the keys of the samples that could be read; see `attach`."""
        for key, sample in samples.items():
            self.begin(key, sample)
        self._unread |= dict.fromkeys(samples, file)
        changed = {key: sample for key, sample in samples.items() if self._has_unsaved_work(key)}
        if changed:
            self.on_failure(
                f"The boxes of {next(iter(changed.values())).name!r} that are on the disk could "
                "not be read, so yours were not written over them: export yours (CSV), then open "
                "the images again."
            )
        to_read = {key: sample for key, sample in samples.items() if key not in changed}
        try:
            saved = file.read_all(list(to_read.values())) if to_read else {}
        except UserError as error:
            self.on_failure(str(error))
            return []
        self.forgotten.emit(to_read)
        self.attached.emit(file, to_read)
        for key, sample in to_read.items():
            self._records[key] = SampleRecord(sample, file, saved.get(sample.name))
            del self._unread[key]
        self.attempt(file.claim)
        return list(to_read)

    def _has_unsaved_work(self, key: SessionKey) -> bool:
        """Return whether a person has changed a sample whose changes are not written to a file."""
        return self.state(key).is_by_hand and not self.is_saved(key)

    def _files(self, keys: Iterable[SessionKey]) -> list[AnnotationFile]:
        files = (self._records[key].file for key in keys)
        return list(dict.fromkeys(file for file in files if file is not None))
