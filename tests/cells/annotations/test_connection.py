"""Who may write a study's boxes, and what happens where nobody can."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from support.annotations import boxes_on_disk, with_boxes

from napari_attmil.cells.annotations import annotation_file, queries
from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.edits import Edit
from napari_attmil.cells.annotations.storage import (
    backup,
    backups_of,
    checked_files,
    connection as connection_module,
)
from napari_attmil.cells.annotations.storage.schema import open_for_writing, read_into_memory
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_attmil.images.cohort import Sample

HOLDER = """
import sys
from pathlib import Path
from napari_attmil.cells.annotations import annotation_file, queries
from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.edits import Edit

file = AnnotationFile(Path(sys.argv[1]))
file.claim()
print("claimed", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def another_program(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a process that has claimed a file; it is killed in the end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "claimed\n"
        yield holder
        holder.kill()


def test_a_second_program_is_refused_and_writes_once_the_first_was_killed(
    path: Path, sample: Sample
) -> None:
    file = AnnotationFile(path)
    with another_program(path):
        with pytest.raises(UserError, match=r"Another program has .* open to change it"):
            file.claim()
        with pytest.raises(UserError, match="changes stay in memory"):
            file.write(sample, with_boxes(1))
        assert file.has_pending and boxes_on_disk(path, sample) == 0
    file.retry()
    assert not file.has_pending and boxes_on_disk(path, sample) == 1


def test_a_second_program_may_look_while_the_first_writes(path: Path, sample: Sample) -> None:
    file = AnnotationFile(path)
    file.write(sample, with_boxes(2))
    file.close()
    with another_program(path):
        assert boxes_on_disk(path, sample) == 2


def test_viewers_of_one_program_share_its_claim(path: Path) -> None:
    one, two = AnnotationFile(path), AnnotationFile(path)
    one.claim()
    two.claim()
    one.close()
    with pytest.raises(AssertionError), another_program(path):
        pass
    two.close()
    with another_program(path):
        pass


def test_boxes_of_a_read_only_study_stay_in_memory_until_it_can_be_written(
    path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AnnotationFile(path)
    file.write(sample, with_boxes(1))
    file.close()

    def open_read_only(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)

    with monkeypatch.context() as patch:
        patch.setattr(connection_module, "open_for_writing", open_read_only)
        with pytest.raises(UserError, match=r"is read-only; they stay in memory.*you may write"):
            file.write(sample, with_boxes(2))
    assert boxes_on_disk(path, sample) == 1
    file.retry()
    assert boxes_on_disk(path, sample) == 2


def test_boxes_that_a_full_disk_refused_are_written_once_there_is_room(
    path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AnnotationFile(path)
    file.write(sample, with_boxes(1))
    file.close()

    def open_full(path: Path) -> sqlite3.Connection:
        connection = open_for_writing(path)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(connection_module, "open_for_writing", open_full)
        with pytest.raises(UserError, match=r"full.*stay in memory.*free some space"):
            file.write(sample, with_boxes(900))
    assert boxes_on_disk(path, sample) == 1
    file.retry()
    assert boxes_on_disk(path, sample) == 900


def test_edits_in_the_log_of_a_killed_program_are_read_where_nothing_can_be_written(
    path: Path, sample: Sample, tmp_path: Path
) -> None:
    file = AnnotationFile(path)
    file.write(sample, with_boxes(3))
    left = tmp_path / "left"
    left.mkdir()
    for part in (path, path.with_name("annotations.sqlite-wal")):
        shutil.copy(part, left)  # what a kill leaves behind: the log has not been taken over
    with contextlib.closing(read_into_memory(left / path.name)) as connection:
        assert connection.execute("SELECT count(*) FROM cells").fetchone() == (3,)
    assert sorted(part.name for part in left.iterdir()) == [path.name, f"{path.name}-wal"]


LOOKS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(*connection.execute("SELECT count(*) FROM edits").fetchone())
connection.close()
"""


@pytest.mark.parametrize("has_read", [False, True])
def test_another_program_that_looks_leaves_the_log_of_an_open_file(
    path: Path, sample: Sample, has_read: bool
) -> None:
    log = path.with_name(f"{path.name}-wal")
    file = AnnotationFile(path)
    file.write(sample, with_boxes(1))
    file.write(sample, with_boxes(2))  # reads before it writes
    if has_read:
        assert boxes_on_disk(path, sample) == 2 and file.history([sample])
    command = [sys.executable, "-c", LOOKS, str(path)]
    looked = subprocess.run(command, check=True, capture_output=True, text=True)
    assert looked.stdout.split() == ["2"] and log.exists()
    file.write(sample, with_boxes(3))
    killed = path.parent / "killed" / path.name
    killed.parent.mkdir()
    for part in (path, log):
        shutil.copy(part, killed.parent)
    with contextlib.closing(sqlite3.connect(killed)) as connection:
        assert connection.execute("SELECT count(*) FROM cells").fetchone() == (3,)


def test_a_file_is_checked_once_by_whoever_in_the_program_reads_or_changes_it(
    path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[object] = []
    monkeypatch.setattr(checked_files, "check_digests", lambda _, path: checked.append(path))
    first = AnnotationFile(path)
    first.write(sample, with_boxes(1))
    first.close()
    assert boxes_on_disk(path, sample) == 1 and checked == [path]
    second = AnnotationFile(path)
    second.write(sample, with_boxes(2))  # the first of the day, so that a copy is put aside
    assert boxes_on_disk(path, sample) == 2
    second.close()
    assert len(backups_of(path)) == 1
    assert boxes_on_disk(path, sample) == 2 and checked == [path]


def test_log_is_not_read_beside_a_file_that_is_being_opened(
    path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = AnnotationFile(path)
    before.write(sample, with_boxes(1))
    before.close()
    read: list[Path] = []
    monkeypatch.setattr(checked_files, "_checked", {})
    monkeypatch.setattr(checked_files, "check_log", read.append)

    def opening(path: Path) -> sqlite3.Connection:
        connection = open_for_writing(path)
        read.clear()
        checked_files._checked.clear()  # as by an upgrade, which changes the file for seconds
        assert boxes_on_disk(path, sample) == 1 and read == []
        return connection

    monkeypatch.setattr(connection_module, "open_for_writing", opening)
    file = AnnotationFile(path)
    file.write(sample, with_boxes(2))
    file.close()
    monkeypatch.setattr(checked_files, "_checked", {})
    assert boxes_on_disk(path, sample) == 2 and read == [path]


def test_no_file_is_opened_while_its_log_is_read(
    path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    AnnotationFile(path).write(sample, with_boxes(1))
    monkeypatch.setattr(checked_files, "_held", Counter())
    monkeypatch.setattr(checked_files, "_checked", {})
    opened: list[str] = []

    def open_it() -> None:
        with checked_files.held(path):
            opened.append("opened")

    other = threading.Thread(target=open_it)

    def reading(_: Path) -> None:
        other.start()
        other.join(0.2)
        opened.append("read")

    monkeypatch.setattr(checked_files, "check_log", reading)
    with checked_files.held(path, checks_log=True):
        other.join(5)
    assert opened == ["read", "opened"]


@pytest.mark.parametrize("is_open", [True, False])
def test_a_file_that_something_else_changed_is_checked_again(
    path: Path, sample: Sample, is_open: bool
) -> None:
    file = AnnotationFile(path)
    file.write(sample, with_boxes(2))
    assert boxes_on_disk(path, sample) == 2
    if not is_open:  # or the change is in the log alone
        file.close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE cells SET x_min = x_min + 1 WHERE cell_id = 1")
    with pytest.raises(UserError, match="not as they were written"):
        boxes_on_disk(path, sample)
    if is_open:
        file.write(sample, with_boxes(3))
        with pytest.raises(UserError, match="not as they were written"):
            boxes_on_disk(path, sample)


KILLED_AT_FIRST = """
import os, sys
from pathlib import Path
from napari_attmil.cells.annotations.storage import schema

schema.check_schema = lambda *_: os._exit(9)
schema.open_for_writing(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("hidden", ["", "."])
def test_what_a_kill_leaves_of_a_new_file_is_removed_after_a_day(
    tmp_path: Path, sample: Sample, hidden: str
) -> None:
    name = f"{hidden}annotations.sqlite"
    command = [sys.executable, "-c", KILLED_AT_FIRST, str(tmp_path / name)]
    assert subprocess.run(command, check=False).returncode == 9
    left = [path for path in tmp_path.iterdir() if path.name != name]
    assert all("attmil-unfinished" in path.name for path in left)
    for path in left:
        os.utime(path, (time.time() - 25 * 3600,) * 2)
    AnnotationFile(tmp_path / "annotations.sqlite").write(sample, with_boxes(1))
    assert not [path for path in left if path.exists()]


def test_boxes_that_were_read_ahead_count_only_while_the_file_is_as_it_was(
    path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    AnnotationFile(path).write(sample, with_boxes(2))
    file = AnnotationFile(path)
    file.read_ahead([sample])
    with monkeypatch.context() as patched:
        patched.setattr(annotation_file, "read_tables", None)  # nothing is read again
        (found,) = file.read_all([sample]).values()
    assert len(found.boxes) == 2
    file.read_ahead([sample])
    other = AnnotationFile(path)
    other.read(sample)
    other.write(sample, with_boxes(5))
    (found,) = file.read_all([sample]).values()
    assert len(found.boxes) == 5
    file.write(sample, with_boxes(6))  # as of what was read last
    assert boxes_on_disk(path, sample) == 6


def test_what_is_written_while_boxes_are_read_is_not_overwritten(
    path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    AnnotationFile(path).write(sample, with_boxes(2))
    other = AnnotationFile(path)
    other.read(sample)
    whole = queries.read_notes

    def written_meanwhile(connection: sqlite3.Connection) -> object:
        if other.path.exists():
            monkeypatch.undo()
            other.write(sample, with_boxes(5))
        return whole(connection)

    monkeypatch.setattr(annotation_file, "read_notes", written_meanwhile)
    file = AnnotationFile(path)
    (found,) = file.read_all([sample]).values()
    assert len(found.boxes) == 2
    edit = Edit.between("Draw", found, with_boxes(3))
    with pytest.raises(UserError, match="Another window or program has changed"):
        file.record(sample, edit, 4)
    assert boxes_on_disk(path, sample) == 5


def test_the_days_copy_is_made_beside_the_edits_and_is_as_before_the_first(
    path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    AnnotationFile(path).write(sample, with_boxes(2))
    waiting, copy = threading.Event(), backup._copy

    def slowly(*arguments: Any) -> None:
        assert waiting.wait(60)
        copy(*arguments)

    monkeypatch.setattr(backup, "_copy", slowly)
    file = AnnotationFile(path)
    file.read(sample)
    for count in (3, 4):
        file.write(sample, with_boxes(count))
        assert boxes_on_disk(path, sample) == count
    assert not backups_of(path)
    waiting.set()
    file.close()  # waits for it
    (copied,) = backups_of(path)
    assert (boxes_on_disk(copied, sample), boxes_on_disk(path, sample)) == (2, 4)
    assert not list(path.parent.glob("*-wal")) and not list(path.parent.glob(".*"))
