"""Files of earlier versions open with all that they hold."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from napari_attmil.cells.annotations.annotation_file import AUTHOR_VARIABLE, AnnotationFile
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path

# As the program wrote it: two cells found, the second deleted, a review taken back.
VERSION_3 = """
CREATE TABLE cells (
    image TEXT NOT NULL, page INTEGER NOT NULL, cell_id INTEGER NOT NULL,
    x_min REAL NOT NULL, y_min REAL NOT NULL, x_max REAL NOT NULL, y_max REAL NOT NULL,
    score REAL NOT NULL, source INTEGER NOT NULL, deleted INTEGER NOT NULL
, edit INTEGER NOT NULL DEFAULT 0);
INSERT INTO "cells" VALUES('b.tif',0,2,5.0,5.0,14.0,14.0,0.75,0,1,2);
INSERT INTO "cells" VALUES('a.tif',0,1,0.0,0.0,9.0,9.0,0.5,0,0,3);
CREATE TABLE edits (
    number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, frames TEXT NOT NULL,
    sample TEXT NOT NULL, title TEXT NOT NULL, author TEXT NOT NULL, made_by TEXT NOT NULL,
    made_at TEXT NOT NULL, state INTEGER NOT NULL, content TEXT NOT NULL
);
INSERT INTO "edits" VALUES(1,'385dc026277a4e4aaed0724edb97d991','163edc239c473cdcacfa124b','s',
'Detect cells','anna','','2026-11-30T09:51:20+00:00',0,'{"before": [], "after": [[1, 0, 0.0,
0.0, 9.0, 9.0, 0.5, 0, 0], [2, 1, 5.0, 5.0, 14.0, 14.0, 0.75, 0, 0]], "searched": [[], [0, 1]],
"reviewed": [[], []]}');
INSERT INTO "edits" VALUES(2,'ac6a21ab33c64edfbde34866528d9506','163edc239c473cdcacfa124b','s',
'Delete 1 box','anna','','2026-11-30T09:51:20+00:00',0,'{"before": [[2, 1, 5.0, 5.0, 14.0, 14.0,
0.75, 0, 0]], "after": [[2, 1, 5.0, 5.0, 14.0, 14.0, 0.75, 0, 1]], "searched": [[0, 1], [0, 1]],
"reviewed": [[], []]}');
INSERT INTO "edits" VALUES(3,'7ffcd24d44c54b6b811134542e878927','163edc239c473cdcacfa124b','s',
'Mark image 1 as reviewed','anna','','2026-11-30T09:51:20+00:00',1,'{"before": [[1, 0, 0.0, 0.0,
9.0, 9.0, 0.5, 0, 0]], "after": [[1, 0, 0.0, 0.0, 9.0, 9.0, 0.5, 2, 0]], "searched": [[0, 1],
[0, 1]], "reviewed": [[], [0]]}');
CREATE TABLE frame_lists (
    frames TEXT NOT NULL, position INTEGER NOT NULL, image TEXT NOT NULL, page INTEGER NOT NULL,
    PRIMARY KEY (frames, position)
);
INSERT INTO "frame_lists" VALUES('163edc239c473cdcacfa124b',0,'a.tif',0);
INSERT INTO "frame_lists" VALUES('163edc239c473cdcacfa124b',1,'b.tif',0);
CREATE TABLE images (
    image TEXT NOT NULL, page INTEGER NOT NULL, detected INTEGER NOT NULL,
next_id INTEGER NOT NULL, reviewed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (image, page)
);
INSERT INTO "images" VALUES('a.tif',0,1,3,0);
INSERT INTO "images" VALUES('b.tif',0,1,3,0);
CREATE TABLE versions (frames TEXT PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO "versions" VALUES('163edc239c473cdcacfa124b',4);
CREATE UNIQUE INDEX cell ON cells (image, page, cell_id);
CREATE INDEX edits_of_frames ON edits (frames, number);
CREATE INDEX frame_lists_of_image ON frame_lists (image);
PRAGMA user_version = 3;
"""


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return a session on a file of version 3."""
    monkeypatch.setenv(AUTHOR_VARIABLE, "anna")
    with contextlib.closing(sqlite3.connect(tmp_path / "annotations.sqlite")) as connection:
        connection.executescript(VERSION_3)
    sample = Sample("s", "p", None, (Frame(tmp_path / "a.tif"), Frame(tmp_path / "b.tif")))
    session = Session()
    session.open_cohort(
        Cohort((sample,), tmp_path), AnnotationFile(tmp_path / "annotations.sqlite")
    )
    session.show(sample)
    return session


def test_undo_and_redo_reach_back_into_a_file_of_version_3(session: Session) -> None:
    assert session.boxes.cell_id.tolist() == [1] and session.state.notes == {}
    assert [(step.title, step.is_done) for step in session.history.steps] == [
        ("Detect cells", True),
        ("Delete 1 box", True),
        ("Reviewed", False),
    ]
    assert (session.editor.undo_title, session.editor.redo_title) == ("Delete 1 box", "Reviewed")
    session.editor.redo()
    assert session.state.reviewed == {0}
    for _ in range(3):
        session.editor.undo()
    assert len(session.boxes) == len(session.state.deleted) == 0 and not session.editor.undo_title


def test_a_copy_of_version_3_is_put_aside_before_the_first_change(
    session: Session, tmp_path: Path
) -> None:
    session.notes.tag([1], "not altered")
    with contextlib.closing(sqlite3.connect(tmp_path / "annotations-version-3.sqlite")) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (3,)
        assert copy.execute("SELECT count(*) FROM edits").fetchone() == (3,)
    with contextlib.closing(sqlite3.connect(tmp_path / "annotations.sqlite")) as now:
        assert now.execute("PRAGMA user_version").fetchone() == (5,)
        assert now.execute("SELECT cell_id, tags FROM notes").fetchall() == [(1, '["not altered"]')]
