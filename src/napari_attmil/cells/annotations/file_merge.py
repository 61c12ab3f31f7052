"""Two people's copies of `annotations.sqlite` joined into a third file; neither is changed."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.edits import Annotations, new_uid
from napari_attmil.cells.annotations.journal import DONE
from napari_attmil.cells.annotations.renumbering import with_ids_of
from napari_attmil.cells.annotations.storage import Connection
from napari_attmil.cells.annotations.three_way_merge import Conflict, merge_annotations
from napari_attmil.core import UserError, check_writable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_attmil.cells.annotations.journal import JournalEntry
    from napari_attmil.images import Sample

MERGE_TITLE = "Merge with another's work"
_ENDINGS = ("", "-wal", "-shm", "-journal", ".lock", ".writer")
"""Of the names of a file and of what SQLite and the claim put beside it."""


@dataclass(frozen=True)
class SampleMerged:
    """What became of one sample.

    Attributes
    ----------
    sample
        The sample.
    taken_over
        Edits of the second person which the first did not have.
    conflicts
        Cells about which the two disagree; both boxes remain.
    """

    sample: Sample
    taken_over: int
    conflicts: tuple[Conflict, ...]


def merge_files(
    mine: Path, theirs: Path, out: Path, samples: Sequence[Sample]
) -> Iterator[SampleMerged]:
    """Write a file with what is in both, sample by sample.

    My journal stays as it is; what the other person did comes as one step under their name, which
    the history can take back, and their edits are recorded, so that merging again does not apply
    them twice.

    Parameters
    ----------
    mine, theirs
        The files; the second's images are named as in the first, or are the very same files.
    out
        The file to write.
    samples
        All samples, with the images where `mine` lies.

    Raises
    ------
    UserError
        If `out` exists or cannot be written, or a file is missing or cannot be read; `out` is
        then not there.
    """
    if out.exists():
        raise UserError(f"{out} exists already; give the name of a new folder or file.")
    for path in (mine, theirs):
        if not path.exists():
            raise UserError(f"{path} does not exist; give folders that hold an annotations.sqlite.")
    check_writable(out)
    # Half of a merge would look like a whole one, and be in the way of the next.
    aside = out.with_name(f".{out.name}.merging")
    _remove(aside)  # of a merge that was killed
    joined, step = AnnotationFile(aside), new_uid()
    try:
        _copy(mine, aside)
        other = AnnotationFile(theirs)
        shared = joined.edit_uids() & other.edit_uids()
        for sample in samples:
            here = _moved(sample, mine.parent, out.parent)
            there = _moved(sample, mine.parent, theirs.parent)
            if other.read(there) is None:
                there = sample  # The user's own file names images by where they lie.
            merged = _merge_sample(joined, here, other, there, step, shared)
            yield replace(merged, sample=sample)
        joined.close()
        aside.replace(out)
    finally:
        joined.close()
        _remove(aside)


def _remove(path: Path) -> None:
    for ending in _ENDINGS:
        with contextlib.suppress(OSError):
            path.with_name(path.name + ending).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a file as it is at this moment; a UserError names the one of the two that fails."""
    with contextlib.closing(sqlite3.connect(":memory:")) as held:
        with Connection(source, is_claimed=False).reading() as connection:
            connection.backup(held)
        copy = Connection(target, is_claimed=False)
        with copy.writing() as connection:
            held.backup(connection)
        copy.close()


def _merge_sample(
    joined: AnnotationFile,
    here: Sample,
    theirs: AnnotationFile,
    there: Sample,
    step: str,
    shared: frozenset[str],
) -> SampleMerged:
    other = theirs.read(there)
    if other is None:
        return SampleMerged(here, 0, ())
    mine = joined.read(here) or Annotations()
    # Of an edit of images that are in other samples now, each sample takes its part.
    my_entries, their_entries = (
        file.journal(sample, are_parts_enough=True)
        for file, sample in ((joined, here), (theirs, there))
    )
    other, others_entries = with_ids_of(mine, my_entries, other, their_entries)
    base = _common_ancestor(mine, my_entries, other, others_entries, shared)
    merged, conflicts = merge_annotations(base, mine, other)
    new = [entry for entry in others_entries if entry.uid not in shared]
    joined.note_merged(here, new)
    authors = ", ".join(dict.fromkeys(entry.author for entry in new if entry.state == DONE))
    joined.write(here, merged, MERGE_TITLE, step=step, automatic=True, author=authors)
    taken_over = sum(entry.state == DONE for entry in new)
    return SampleMerged(here, taken_over, tuple(conflicts))


def _common_ancestor(
    mine: Annotations,
    my_entries: Sequence[JournalEntry],
    theirs: Annotations,
    their_entries: Sequence[JournalEntry],
    shared: frozenset[str],
) -> Annotations:
    """Return the annotations at the parting of two files that were copies of each other.

    From the first edit on that the other does not have, all of a side are taken back. Both sides
    lead to the same; but one that has taken back a shared edit since, which is then no longer in
    force there, ends earlier. The side that shares more edits is closer to the common ancestor.
    """
    sides = []
    for state, entries in ((mine, my_entries), (theirs, their_entries)):
        in_force = [entry for entry in entries if entry.state == DONE]
        count = len(list(takewhile(lambda entry: entry.uid in shared, in_force)))
        sides.append((count, state, in_force[count:]))
    _, base, own = max(sides, key=lambda side: side[0])
    for entry in reversed(own):
        base = entry.edit.inverse.applied_to(base)
    return base


def _moved(sample: Sample, source: Path, target: Path) -> Sample:
    """Return a sample with its images beside another file: names in it are relative to it."""
    folder = source.resolve()
    frames = []
    for frame in sample.frames:
        path = frame.path.resolve()
        inside = path.is_relative_to(folder)
        frames.append(replace(frame, path=target / path.relative_to(folder)) if inside else frame)
    return replace(sample, frames=tuple(frames))
