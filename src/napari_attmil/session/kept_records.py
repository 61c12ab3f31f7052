"""The records of a session's samples, and the files that their changes are written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_attmil.core import UserError
from napari_attmil.session.sample_state import SampleRecord, SampleState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from napari_attmil.images import Sample
    from napari_attmil.session.sample_state import AnnotationsOnDisk


class KeptRecords:
    """What is known of samples, by key.

    What could not be read from the disk, or written to it, is tried again by `retry`.

    Parameters
    ----------
    tell
        Is called with the sentence of whatever the disk refuses.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._records: dict[str, SampleRecord] = {}
        self._unread: dict[str, tuple[Sample, AnnotationsOnDisk]] = {}
        self._nothing = SampleRecord()

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def __getitem__(self, key: str) -> SampleRecord:
        """Return a sample's record; one that nobody may change where nothing is known of it."""
        return self._records.get(key, self._nothing)

    def know(self, key: str) -> None:
        """Begin the record of a sample, unless there is one."""
        self._records.setdefault(key, SampleRecord())

    def items(self) -> Iterable[tuple[str, SampleRecord]]:
        """Return keys and records."""
        return self._records.items()

    def states(self, prefix: str) -> dict[str, SampleState]:
        """Return what is known of samples that were worked on, by what follows the prefix."""
        return {
            key.removeprefix(prefix): record.state
            for key, record in self._records.items()
            if key.startswith(prefix) and record.state.is_worked_on
        }

    def forget(self, prefix: str) -> None:
        """Forget the samples whose keys begin so."""
        for known in (self._records, self._unread):
            for key in [key for key in known if key.startswith(prefix)]:
                del known[key]

    def keep(self, samples: Mapping[str, Sample], kept_in: AnnotationsOnDisk) -> list[str]:
        """Take over what was kept of samples, by key, and keep every change from now on.

        What a person changed before the disk could be read is not replaced by what it holds.

        Returns
        -------
        list
            The keys of those that could be read.
        """
        unread = {key: (sample, kept_in) for key, sample in samples.items()}
        changed = [sample.name for key, sample in samples.items() if self._is_changed(key)]
        if changed:
            self._tell(
                f"The boxes of {changed[0]!r} that are on the disk could not be read, so yours "
                "were not written over them: export yours (CSV), then open the images again."
            )
        samples = {key: one for key, one in samples.items() if one.name not in changed}
        try:
            known = kept_in.read_all(list(samples.values())) if samples else {}
        except UserError as error:
            self._unread |= unread
            self._tell(str(error))
            return []
        for key, sample in samples.items():
            self._records[key] = SampleRecord()
            self._records[key].keep(sample, kept_in, known.get(sample.name))
        self._unread = {k: v for k, v in (self._unread | unread).items() if k not in samples}
        self.attempt(kept_in.claim)
        return list(samples)

    def retry(self) -> list[str]:
        """Read and write what could not be; say what still cannot.

        Returns
        -------
        list
            The keys of samples that could be read now.
        """
        read = [key for file, samples in self._unread_files() for key in self.keep(samples, file)]
        for file in self._files(""):
            self.attempt(file.retry)
        return read

    @property
    def has_pending(self) -> bool:
        """Whether something could not be read or written yet."""
        return bool(self._unread) or any(file.has_pending for file in self._files(""))

    def has_unsaved(self, prefix: str) -> bool:
        """Whether changes of the samples whose keys begin so are in memory only."""
        changed = [key for key in self._unread if key.startswith(prefix) and self._is_changed(key)]
        return bool(changed) or any(file.has_pending for file in self._files(prefix))

    def attempt(self, function: Callable[[], None]) -> None:
        """Do something with the disk, and tell if it fails."""
        try:
            function()
        except UserError as error:
            self._tell(str(error))

    def _is_changed(self, key: str) -> bool:
        """Whether a person has changed a sample, and no file was asked to keep it."""
        return self[key].state.is_by_hand and not self[key].is_kept

    def _unread_files(self) -> list[tuple[AnnotationsOnDisk, dict[str, Sample]]]:
        files: dict[int, tuple[AnnotationsOnDisk, dict[str, Sample]]] = {}
        for key, (sample, file) in self._unread.items():
            files.setdefault(id(file), (file, {}))[1][key] = sample
        return list(files.values())

    def _files(self, prefix: str) -> list[AnnotationsOnDisk]:
        records = [record for key, record in self._records.items() if key.startswith(prefix)]
        return list({id(r.kept_in): r.kept_in for r in records if r.kept_in is not None}.values())
