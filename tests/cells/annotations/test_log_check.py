"""Damage of the write-ahead log is told from what a crash leaves."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.annotations import with_boxes
from typer.testing import CliRunner

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.storage import log_check
from napari_attmil.cells.annotations.storage.log_check import check_log
from napari_attmil.cli import app
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_attmil.images.cohort import Sample

PAGE, FRAME, LOG_HEADER = 4096, 4120, 32
KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = FULL")
connection.execute("PRAGMA cache_size = 5")
connection.execute("CREATE TABLE texts (text)")
for _ in range(3):
    connection.execute("INSERT INTO texts VALUES ('kept')")
connection.execute("BEGIN")
for _ in range(200):
    connection.execute("INSERT INTO texts VALUES (?)", ("not committed" * 100,))
if "again" in sys.argv:
    connection.execute("ROLLBACK")
    connection.execute("INSERT INTO texts VALUES ('kept')")
print(os.stat(sys.argv[1] + "-wal").st_size, flush=True)
os._exit(0)
"""


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Path]:
    """Return a file with eleven commits in its log, as it is copied while it is open."""
    there, path = tmp_path / "open" / "a.sqlite", tmp_path / "copy" / "a.sqlite"
    there.parent.mkdir()
    with contextlib.closing(sqlite3.connect(there, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE texts (text)")
        for number in range(10):
            connection.execute("INSERT INTO texts VALUES (?)", (f"{number}" * 3000,))
        shutil.copytree(there.parent, path.parent)
        yield path


def part(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}{ending}")


def is_told(path: Path) -> bool:
    try:
        check_log(path)
    except UserError as error:
        assert "attmil repair" in str(error)
        return True
    return False


def commits(log: Path) -> list[int]:
    """Return the numbers of the frames that end a commit."""
    content = log.read_bytes()
    starts = range(LOG_HEADER, len(content), FRAME)
    return [n for n, start in enumerate(starts) if any(content[start + 4 : start + 8])]


def test_a_log_that_is_whole_is_not_complained_of(written: Path) -> None:
    assert len(commits(part(written, "-wal"))) == 11
    assert not is_told(written)
    part(written, "-shm").unlink()
    assert not is_told(written)


def test_a_log_that_begins_again_over_an_older_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE texts (text)")
        for number in range(30):
            connection.execute("INSERT INTO texts VALUES (?)", (f"{number}" * 3000,))
            if number == 24:
                assert connection.execute("PRAGMA wal_checkpoint").fetchone()[0] == 0
            assert not is_told(path)
    assert not is_told(path)


@pytest.mark.parametrize("what", ["killed", "again"])
def test_what_a_killed_program_had_not_committed_is_not_missed(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.sqlite"
    command = [sys.executable, "-c", KILLED, str(path), what]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(told.stdout) > 30 * FRAME  # the log holds much that was not committed
    assert not is_told(path)
    part(path, "-shm").unlink()
    assert not is_told(path)


@pytest.mark.parametrize("has_index", [True, False])
def test_a_commit_that_a_power_cut_left_in_part_is_not_missed(
    written: Path, has_index: bool
) -> None:
    log = part(written, "-wal")
    content, ends = bytearray(log.read_bytes()), commits(log)
    first = LOG_HEADER + FRAME * (ends[-2] + 1)
    assert ends[-1] > ends[-2] + 1  # of several frames
    content[first : first + FRAME] = bytes(FRAME)  # the others, its end too, were on the disk
    log.write_bytes(content)
    if has_index:  # written once a commit is on the disk
        assert is_told(written)
        return
    part(written, "-shm").unlink()
    assert not is_told(written)


def test_every_damage_of_a_log_with_its_index_is_told(written: Path) -> None:
    log, rng = part(written, "-wal"), np.random.default_rng(0)
    whole = log.read_bytes()
    for place in [0, 8, 17, 31, *rng.integers(len(whole), size=200).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        log.write_bytes(damaged)
        is_unused = 4 <= place < 8  # the version of the format
        assert is_told(written) or is_unused, place
    for length in [0, 31, 32, len(whole) - 1, *rng.integers(len(whole), size=100).tolist()]:
        log.write_bytes(whole[:length])
        assert is_told(written), length
    log.unlink()
    assert is_told(written)
    log.write_bytes(bytes(len(whole)))
    assert is_told(written)


def test_a_damage_before_the_last_commit_is_told_without_the_index(written: Path) -> None:
    log, rng = part(written, "-wal"), np.random.default_rng(0)
    part(written, "-shm").unlink()
    whole, ends = log.read_bytes(), commits(log)
    last = LOG_HEADER + FRAME * (ends[-2] + 1)
    for place in rng.integers(LOG_HEADER, last - FRAME, size=200).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        log.write_bytes(damaged)
        assert is_told(written), place
    log.write_bytes(bytes(len(whole)))
    assert is_told(written)
    log.write_bytes(bytes(PAGE) + whole[PAGE:])
    assert is_told(written)


@pytest.mark.parametrize("at_once", [1, 2, 7, 10_000])
def test_it_matters_not_how_many_frames_are_checked_at_once(
    written: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_check, "_AT_ONCE", at_once)
    log = part(written, "-wal")
    assert not is_told(written)
    content = bytearray(log.read_bytes())
    content[LOG_HEADER + FRAME + 100] ^= 1  # the second frame
    log.write_bytes(content)
    assert is_told(written)
    part(written, "-shm").unlink()
    assert is_told(written)


def test_a_log_of_many_gigabytes_is_not_read_into_memory(written: Path) -> None:
    with part(written, "-wal").open("wb") as file:
        file.truncate(1 << 40)
    assert is_told(written)


def test_a_damaged_index_alone_is_not_complained_of(written: Path) -> None:
    index, rng = part(written, "-shm"), np.random.default_rng(0)
    whole = index.read_bytes()
    for place in [*range(136), *rng.integers(len(whole), size=50).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        index.write_bytes(damaged)
        assert not is_told(written), place


def test_a_log_that_is_in_the_file_already_may_be_missing(written: Path) -> None:
    with contextlib.closing(sqlite3.connect(written)) as connection:
        connection.execute("PRAGMA wal_checkpoint").fetchone()
        copy = written.parent.with_name("again")
        shutil.copytree(written.parent, copy)
    (copy / "a.sqlite-wal").unlink()
    assert not is_told(copy / "a.sqlite")


def test_a_study_with_a_damaged_log_is_read_once_it_is_repaired(
    tmp_path: Path, sample: Sample
) -> None:
    file, study = AnnotationFile(tmp_path / "annotations.sqlite"), tmp_path / "copy"
    for count in range(1, 6):
        file.write(sample, with_boxes(count))
        if count == 4:
            whole = part(file.path, "-wal").stat().st_size
    study.mkdir()
    for ending in ("", "-shm", "-wal"):
        shutil.copy(part(file.path, ending), study)
    path = study / "annotations.sqlite"
    log = part(path, "-wal")
    log.write_bytes(log.read_bytes()[:whole])
    with pytest.raises(UserError, match=r"The last changes of boxes .* could not be read"):
        AnnotationFile(path).read(sample)
    with pytest.raises(UserError, match=r"The last changes of boxes .* could not be read"):
        AnnotationFile(path).write(sample, with_boxes(1))
    told = CliRunner().invoke(app, ["repair", str(study)])
    assert told.exit_code == 0 and "4 boxes and 4 edits" in told.output
    assert "The last changes could not be read" in told.output
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM cells").fetchone() == (4,)
    assert not is_told(path)
