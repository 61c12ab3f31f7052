"""A write-ahead log that another file has left is told from the file's own."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.annotations import boxes_on_disk, with_boxes
from typer.testing import CliRunner

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.storage import backups_of, log_owner, schema
from napari_attmil.cells.annotations.storage.log_owner import has_foreign_log
from napari_attmil.cli import app
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "annotations.sqlite"
LOG_HEADER, FRAME_HEADER = 32, 24
REFUSED = rf"{NAME}-wal is not the log of {NAME}"
KILLED = """
import os, signal, sys
from pathlib import Path
from support.annotations import with_boxes
from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.storage import schema
from napari_attmil.images.cohort import Frame, Sample

path, count, pages = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
chosen = schema._choose_journal
def choose(connection, path):
    chosen(connection, path)
    connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
schema._choose_journal = choose
sample = Sample("s", "p", None, (Frame(path.parent / "a.tif"),))
file = AnnotationFile(path)
for number in range(1, count + 1):
    file.write(sample, with_boxes(number))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Return the file of a study of three boxes that three edits have drawn, closed."""
    return written(tmp_path / "study", 3)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Return another study's file as a kill leaves it: its five edits are in its log alone."""
    return left_by_a_kill(written(tmp_path / "other", 5, is_closed=False))


def sample_of(path: Path) -> Sample:
    return Sample("s", "p", None, (Frame(path.parent / "a.tif"),))


_open: list[AnnotationFile] = []
"""Files that stay open until the end of a test."""


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def written(folder: Path, edits: int, is_closed: bool = True, first: int = 1) -> Path:
    """Draw a box with each edit."""
    folder.mkdir(exist_ok=True)
    file = AnnotationFile(folder / NAME)
    for number in range(first, first + edits):
        file.write(sample_of(file.path), with_boxes(number))
    if is_closed:
        file.close()
    else:
        _open.append(file)
    return file.path


def left_by_a_kill(path: Path) -> Path:
    """Return a copy of a file and of what is open beside it; the day's copy is another thread's."""
    folder = path.parent.with_name(f"{path.parent.name}-killed")
    folder.mkdir()
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(part(path, ending), folder)
    return folder / NAME


def part(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}{ending}")


def contents(path: Path) -> dict[str, bytes]:
    """Return what lies in a study's folder; of the log's index only that it is there."""
    return {
        each.name: b"" if each.name.endswith("-shm") else each.read_bytes()
        for each in path.parent.iterdir()
        if not each.name.endswith((".lock", ".writer"))
    }


def is_refused(path: Path) -> bool:
    """Return whether reading and writing are refused, and nothing of it was changed."""
    before, refused = contents(path), []
    for _ in range(2):
        for act in (AnnotationFile.read, lambda file, sample: file.write(sample, with_boxes(9))):
            file = AnnotationFile(path)
            try:
                act(file, sample_of(path))
                refused.append(False)
            except UserError as error:
                refused.append("is not the log of" in str(error))
            file.close()
            assert not all(refused) or contents(path) == before
    assert all(refused) or not any(refused)
    return all(refused)


@pytest.mark.parametrize("endings", [["-wal"], ["-wal", "-shm"]])
def test_another_studys_log_is_refused_and_nothing_is_changed(
    study: Path, other: Path, endings: list[str]
) -> None:
    alone = left_by_a_kill(other)
    assert boxes_on_disk(alone, sample_of(alone)) == 5
    for ending in endings:
        shutil.copy(part(other, ending), part(study, ending))
    assert is_refused(study)
    for ending in endings:
        part(study, ending).unlink()
    assert boxes_on_disk(study, sample_of(study)) == 3


def test_a_file_that_was_put_beside_another_ones_log_is_refused(study: Path, other: Path) -> None:
    shutil.copy(study, other)
    assert is_refused(other)


def test_copies_of_one_study_that_went_apart_do_not_read_each_others_logs(
    study: Path, tmp_path: Path
) -> None:
    shutil.copytree(study.parent, tmp_path / "theirs")
    written(study.parent, 2, first=4)
    theirs = left_by_a_kill(written(tmp_path / "theirs", 4, is_closed=False, first=4))
    shutil.copy(part(theirs, "-wal"), part(study, "-wal"))
    assert is_refused(study)


def test_an_older_log_of_the_same_file_is_refused(study: Path) -> None:
    older = left_by_a_kill(written(study.parent, 2, is_closed=False, first=4))
    _open.pop().close()
    written(study.parent, 2, first=6)
    shutil.copy(part(older, "-wal"), part(study, "-wal"))
    assert is_refused(study)
    part(study, "-wal").unlink()
    assert boxes_on_disk(study, sample_of(study)) == 7


def test_a_days_copy_that_was_put_in_the_place_of_its_file_does_not_get_later_edits(
    study: Path,
) -> None:
    left = left_by_a_kill(written(study.parent, 2, is_closed=False, first=4))
    _open.pop().close()
    (copy,) = backups_of(study)
    shutil.copy(copy, left)
    part(left, "-shm").unlink()
    assert is_refused(left)
    part(left, "-wal").unlink()
    assert boxes_on_disk(left, sample_of(left)) == 3


def test_a_log_that_makes_a_file_unreadable_is_refused_before_it_is_read(
    study: Path, other: Path
) -> None:
    with contextlib.closing(sqlite3.connect(part(other, "-wal").with_name("b.sqlite"))) as no_study:
        no_study.execute("PRAGMA journal_mode = WAL")
        no_study.execute("CREATE TABLE texts (text)")
        shutil.copy(other.with_name("b.sqlite-wal"), part(study, "-wal"))
    assert is_refused(study)


def test_a_new_study_does_not_begin_with_the_log_of_one_that_is_gone(other: Path) -> None:
    other.unlink()
    part(other, "-shm").unlink()
    log, file, sample = part(other, "-wal"), AnnotationFile(other), sample_of(other)
    content = log.read_bytes()
    with pytest.raises(UserError, match=REFUSED):
        file.write(sample, with_boxes(2))
    assert file.has_pending and not other.exists() and log.read_bytes() == content
    log.rename(log.with_name("aside"))
    file.retry()
    assert boxes_on_disk(other, sample) == 2
    file.close()


def test_another_studys_log_is_refused_on_a_drive_of_several_machines(
    study: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (log_owner, schema):
        monkeypatch.setattr(module, "is_own_drive", lambda _: False)
    shutil.copy(part(other, "-wal"), part(study, "-wal"))
    assert is_refused(study)
    left = left_by_a_kill(other)
    assert not has_foreign_log(left)
    assert sorted(contents(left)) == [NAME, f"{NAME}-shm", f"{NAME}-wal"]


def test_repair_brings_a_files_own_boxes_back_and_keeps_the_other_log(
    study: Path, other: Path
) -> None:
    shutil.copy(part(other, "-wal"), part(study, "-wal"))
    before, log = study.read_bytes(), part(study, "-wal").read_bytes()
    told = CliRunner().invoke(app, ["repair", str(study.parent)])
    assert told.exit_code == 0 and "3 boxes and 3 edits" in told.output
    (kept,) = study.parent.glob("annotations-damaged-*.sqlite")
    assert kept.read_bytes() == before and part(kept, "-wal").read_bytes() == log
    assert part(kept, "-wal").name in " ".join(told.output.split())
    assert boxes_on_disk(study, sample_of(study)) == 3
    assert not has_foreign_log(study)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(("edits", "pages"), [(3, 1000), (40, 1000), (40, 7), (43, 30)])
def test_a_killed_programs_log_is_its_files_own(tmp_path: Path, edits: int, pages: int) -> None:
    path = tmp_path / NAME
    command = [sys.executable, "-c", KILLED, str(path), str(edits), str(pages)]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert part(path, "-wal").stat().st_size > LOG_HEADER
    for endings in ([], ["-shm"]):
        for ending in endings:
            part(path, ending).unlink()
        copy = left_by_a_kill(path)
        assert not has_foreign_log(copy)
        shutil.rmtree(copy.parent)
    assert boxes_on_disk(path, sample_of(path)) == edits
    assert len(AnnotationFile(path).journal(sample_of(path))) == edits


def test_no_checkpoint_that_was_cut_short_makes_a_log_look_like_anothers(
    study: Path, other: Path
) -> None:
    later = left_by_a_kill(written(study.parent, 30, is_closed=False, first=4))
    rng = np.random.default_rng(0)
    for path in (later, other):
        pages, size = pages_of(part(path, "-wal"))
        whole, numbers = path.read_bytes(), sorted(pages)
        assert len(numbers) > 5
        chosen = [numbers[:count] for count in range(len(numbers) + 1)]  # SQLite's own order
        chosen += [
            rng.permutation(numbers)[: rng.integers(len(numbers))].tolist() for _ in "." * 30
        ]
        for some in chosen:
            content = bytearray(whole)
            for number in some:
                start = size * (number - 1)
                content.extend(bytes(max(0, start - len(content))))
                content[start : start + size] = pages[number]
            path.write_bytes(content)
            assert not has_foreign_log(path), some
    assert boxes_on_disk(later, sample_of(later)) == 33


def pages_of(log: Path) -> tuple[dict[int, bytes], int]:
    """Return the pages of a log, as its last frame of each has them, and their size."""
    content, pages = log.read_bytes(), {}
    (size,) = struct.unpack(">I", content[8:12])
    for start in range(LOG_HEADER, len(content), FRAME_HEADER + size):
        (number,) = struct.unpack(">I", content[start : start + 4])
        pages[number] = content[start + FRAME_HEADER : start + FRAME_HEADER + size]
    return pages, size


def test_a_bit_that_turned_in_an_edits_name_is_not_taken_for_another_log(study: Path) -> None:
    left = left_by_a_kill(written(study.parent, 2, is_closed=False, first=4))
    with contextlib.closing(sqlite3.connect(f"{left.as_uri()}?immutable=1", uri=True)) as alone:
        ((uid,), *_) = alone.execute("SELECT uid FROM edits ORDER BY number").fetchall()
    content = left.read_bytes()
    for place in [n for n in range(len(content)) if content.startswith(uid.encode(), n)]:
        turned = bytearray(content)
        turned[place] ^= 1
        left.write_bytes(turned)
        assert not has_foreign_log(left), place
