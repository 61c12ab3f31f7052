"""The records of a session's samples, and the files that their edits are written to."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_attmil.cells.annotations import Edit
from napari_attmil.core import UserError
from napari_attmil.session.keys import SampleKey
from napari_attmil.session.sample_state import UNTOUCHED, SampleState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from napari_attmil.cells.annotations import AnnotationFile, Annotations
    from napari_attmil.images import Sample
    from napari_attmil.session.keys import SessionKey


class SampleRecord:
    """A sample's state, its history of edits, and the file to which they are written.

    Methods that change it may raise a UserError if the disk fails. The change is made nevertheless,
    and written with the next one.

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
        self._undo: list[Edit] = []
        self._redo: list[Edit] = []
        self._history_is_read = file is None

    def edit(self, title: str, **changes: Any) -> None:
        """Change boxes, deleted, searched or reviewed as one undo step."""
        # Earlier edits that cannot be read cannot be undone, but this edit is still made.
        with contextlib.suppress(UserError):
            self.read_history()
        new = replace(self.state, **changes)
        new = replace(new, boxes=new.boxes.in_order(), deleted=new.deleted.in_order())
        new = new.with_free_id()
        edit = Edit.between(title, self.state, new)
        if not edit.changes_anything:
            return
        self._undo.append(edit)
        self._redo.clear()
        self.state = new
        if self.file is not None:
            self.file.record(self.sample, edit, new.next_id)

    @property
    def undo_title(self) -> str:
        """The title of the edit that would be undone; empty if there is none."""
        return self._undo[-1].title if self._undo else ""

    @property
    def redo_title(self) -> str:
        """The title of the edit that would be redone; empty if there is none."""
        return self._redo[-1].title if self._redo else ""

    def undo(self) -> None:
        """Revert the last edit, which `undo_title` names."""
        edit = self._undo.pop()
        self._redo.append(edit)
        self.state = edit.inverse.applied_to(self.state)
        if self.file is not None:
            self.file.undo(self.sample, edit)

    def redo(self) -> None:
        """Repeat the edit that was reverted last, which `redo_title` names."""
        edit = self._redo.pop()
        self._undo.append(edit)
        self.state = edit.applied_to(self.state)
        if self.file is not None:
            self.file.redo(self.sample, edit)

    def read_history(self) -> None:
        """Read the edits of earlier sessions, once; a UserError if they cannot be read."""
        if not self._history_is_read and self.file is not None:
            self._history_is_read = True
            self._undo, self._redo = self.file.history(self.sample)


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
    """

    changed = Signal(object)

    def __init__(self, on_failure: Callable[[str], object]) -> None:
        self.shown: SessionKey | None = None
        self._on_failure = on_failure
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
        self._records = {k: v for k, v in self._records.items() if not isinstance(k, SampleKey)}
        self._unread = {k: v for k, v in self._unread.items() if not isinstance(k, SampleKey)}

    def change(self, key: SessionKey, make: Callable[[], None]) -> None:
        """Change a sample's record."""
        self.attempt(make)
        self.changed.emit(key)

    def attempt(self, function: Callable[[], None]) -> None:
        """Run a function that uses the disk, and report its failure."""
        try:
            function()
        except UserError as error:
            self._on_failure(str(error))

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
            self._on_failure(
                f"The boxes of {next(iter(changed.values())).name!r} that are on the disk could "
                "not be read, so yours were not written over them: export yours (CSV), then open "
                "the images again."
            )
        to_read = {key: sample for key, sample in samples.items() if key not in changed}
        try:
            saved = file.read_all(list(to_read.values())) if to_read else {}
        except UserError as error:
            self._on_failure(str(error))
            return []
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
