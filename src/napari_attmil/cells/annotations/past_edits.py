"""The journal of many samples as one history: who did what, when and where, without the rows.

What an edit changed is read only when it is taken back: a study has thousands of edits.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from napari_attmil.cells.annotations.journal import DONE, UNDONE, Place, edit_from_text, frames_key

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence

_QUERY = """
SELECT frames, uid, title, author, made_by, made_at, state, COALESCE(step, ''),
    COALESCE(machine, ''), COALESCE(automatic, 0), COALESCE(settled, 0), COALESCE(undone, ''),
    COALESCE(images, '')
FROM edits LEFT JOIN steps USING (uid) WHERE state IN (?, ?) ORDER BY number
"""
_Where = tuple[str, tuple[int, ...]]
"""A sample, and images of it."""


class PastEdit(NamedTuple):
    """One edit of the journal that is in force, or was taken back.

    Attributes
    ----------
    sample
        The sample that has its images now.
    images
        Those of its images that it changed.
    uid, title, author, made_by, made_at, is_done
        As in the journal.
    step, machine, automatic, settled, undone
        See `Edit`; `machine` is the computer it was made on, empty if that is not known, and
        `undone` names what took it back.
    """

    sample: str
    images: tuple[int, ...]
    uid: str
    title: str
    author: str
    made_by: str
    made_at: str
    is_done: bool
    step: str
    machine: str
    automatic: bool
    settled: bool
    undone: str


def read_past_edits(
    connection: sqlite3.Connection, samples: Mapping[str, Sequence[Place]]
) -> list[PastEdit]:
    """Return the edits of samples, given by their names and images, the first one first.

    An edit that was made while a sample had other images is left out if one of those that it
    changed has gone.
    """
    finder = _Finder(connection, samples)
    found = []
    for frames, uid, title, author, made_by, made_at, state, step, *flags in connection.execute(
        _QUERY, (DONE, UNDONE)
    ):
        machine, automatic, settled, undone, images = flags
        for where in finder.find(frames, uid, images):
            found.append(
                PastEdit(
                    *where,
                    uid,
                    title,
                    author,
                    made_by,
                    made_at,
                    state == DONE,
                    step or uid,
                    machine,
                    bool(automatic),
                    bool(settled),
                    undone,
                )
            )
    return found


@lru_cache(maxsize=4096)
def _images(text: str) -> tuple[int, ...]:
    return tuple(json.loads(text)) if text else ()


class _Finder:
    """Finds the sample that an edit belongs to, and where the images it changed are now."""

    def __init__(
        self, connection: sqlite3.Connection, samples: Mapping[str, Sequence[Place]]
    ) -> None:
        self._connection = connection
        self._names = {frames_key(places): name for name, places in samples.items()}
        self._now = {
            place: (name, index)
            for name, places in samples.items()
            for index, place in enumerate(places)
        }
        self._lists: dict[str, list[Place]] = {}
        for key, image, page in connection.execute(
            "SELECT frames, image, page FROM frame_lists ORDER BY frames, position"
        ):
            self._lists.setdefault(key, []).append((image, page))

    def find(self, frames: str, uid: str, images: str) -> Iterator[_Where]:
        """Yield the sample and its images; nothing if they are not all there."""
        if frames in self._names:
            yield self._names[frames], _images(images)
            return
        then = self._lists.get(frames, [])
        if not any(place in self._now for place in then):
            return
        changed = _images(images) if images else sorted(self._read_images(uid))
        now = [self._now.get(then[image]) for image in changed]
        if not changed:
            yield next(self._now[place] for place in then if place in self._now)[0], ()
        elif len(names := {place and place[0] for place in now}) == 1 and None not in names:
            yield str(names.pop()), tuple(place[1] for place in now if place)

    def _read_images(self, uid: str) -> frozenset[int]:
        row = self._connection.execute("SELECT content FROM edits WHERE uid = ?", (uid,)).fetchone()
        return edit_from_text(uid, "", row[0]).images
