"""What can be had of a damaged `annotations.sqlite`: its rows, its journal, and older copies."""

from __future__ import annotations

import contextlib
import filecmp
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_attmil.cells.annotations.journal import (
    DONE,
    Place,
    cells_of,
    edit_from_text,
    frames_key,
    write_cells,
)
from napari_attmil.cells.annotations.storage import (
    UNREADABLE,
    Claim,
    backups_of,
    check_digests,
    check_log,
    check_pages,
    columns_of,
    has_foreign_log,
    open_for_reading,
    open_for_writing,
)
from napari_attmil.core import UserError

if TYPE_CHECKING:
    from napari_attmil.cells.annotations.edits import Edit

_LOGS: Final = ("-wal", "-shm", "-journal")
_ASIDE: Final = ".repair-"


@dataclass(frozen=True)
class Repaired:
    """What became of a file.

    Attributes
    ----------
    damaged
        Where it lies now as it was.
    boxes, edits
        How many the repaired file has.
    rebuilt_from
        The copy from which boxes were rebuilt, with the journal's edits since; None if all of the
        file's own rows could be read, or if there was no copy.
    lost_edits
        Edits that could not be made again, as their images are not known any more.
    is_cut
        Whether the last changes are missing, as the write-ahead log was damaged.
    foreign_log
        Where the write-ahead log lies now that was another file's; None if it was the file's own.
    """

    damaged: Path
    boxes: int
    edits: int
    rebuilt_from: Path | None = None
    lost_edits: int = 0
    is_cut: bool = False
    foreign_log: Path | None = None


def repair_file(path: Path) -> Repaired:
    """Replace a damaged file by one with all that can be had; the damaged one is put aside.

    Where rows cannot be read, boxes are rebuilt from the newest whole copy and the edits that the
    journal has since.

    Raises
    ------
    UserError
        If another program writes the file, nothing of it can be read, or nothing can be written.
    """
    if not path.exists():
        raise UserError(f"There is no {path}; give the folder of a study whose boxes are damaged.")
    claim = Claim(path)
    claim.take()
    stamp = f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}"
    damaged = path.with_name(f"{path.stem}-damaged-{stamp}{path.suffix}")
    try:
        _tidy_after_a_killed_repair(path)
        is_cut, is_foreign = _is_cut(path), has_foreign_log(path)
        for ending in ("", *_LOGS):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(f"{path}{ending}", f"{damaged}{ending}")
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=_ASIDE) as folder:
            made = Path(folder) / path.name
            with contextlib.closing(open_for_writing(made)) as connection, connection:
                repaired = _fill(connection, path, damaged, _LOGS[2:] if is_foreign else _LOGS)
            for ending in _LOGS:
                Path(f"{path}{ending}").unlink(missing_ok=True)
            made.replace(path)
        log = damaged.with_name(f"{damaged.name}-wal") if is_foreign else None
        return replace(repaired, is_cut=is_cut and not is_foreign, foreign_log=log)
    except UserError:
        for ending in ("", *_LOGS):
            Path(f"{damaged}{ending}").unlink(missing_ok=True)
        raise
    except OSError as error:
        raise UserError(
            f"{path} could not be repaired ({error.strerror or error}); free some space, or copy "
            "the study to where you may write."
        ) from error
    finally:
        claim.release()


def _tidy_after_a_killed_repair(path: Path) -> None:
    """Remove what it left half made, and give the file back its logs if they were gone already."""
    for folder in path.parent.glob(f"{_ASIDE}*"):
        shutil.rmtree(folder, ignore_errors=True)
    if any(Path(f"{path}{ending}").exists() for ending in _LOGS):
        return
    copies = sorted(path.parent.glob(f"{path.stem}-damaged-*{path.suffix}"), reverse=True)
    same = (copy for copy in copies if filecmp.cmp(copy, path, shallow=False))
    if (copy := next(same, None)) is not None:
        for ending in _LOGS:
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(f"{copy}{ending}", f"{path}{ending}")


def _is_cut(path: Path) -> bool:
    try:
        check_log(path)
    except UserError:
        return True
    return False


def _fill(made: sqlite3.Connection, path: Path, damaged: Path, logs: tuple[str, ...]) -> Repaired:
    """Fill a new file with what the damaged one, its logs, and copies of it, still have."""
    is_whole = _take_rows(made, damaged, logs)
    copy, lost = None, 0
    if not is_whole:
        copy = next(filter(_is_usable, _copies_of(path)), None)
        if copy is not None or _journal_has_all(made):
            lost = _rebuild(made, copy)
    made.execute("UPDATE versions SET version = version + 1")
    (boxes,) = made.execute("SELECT count(*) FROM cells WHERE NOT deleted").fetchone()
    (edits,) = made.execute("SELECT count(*) FROM edits").fetchone()
    if not (boxes or edits or is_whole):
        raise UserError(
            f"Nothing of {path} could be read, and there is no copy of it; it was left as it is. "
            "Look for one in your own backups."
        )
    return Repaired(damaged, boxes, edits, copy, lost)


def _copies_of(path: Path) -> list[Path]:
    return [*backups_of(path), *sorted(path.parent.glob(f"{path.stem}-version-*{path.suffix}"))]


def _is_usable(path: Path) -> bool:
    try:
        with contextlib.closing(open_for_reading(path)) as connection:
            check_pages(connection, path)
            check_digests(connection, path)
        return True
    except UNREADABLE:
        return False


def _take_rows(made: sqlite3.Connection, damaged: Path, logs: tuple[str, ...]) -> bool:
    """Copy the rows that can be read and make sense; return whether these are all."""
    is_whole = True
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("", *logs):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(f"{damaged}{ending}", folder)
        try:
            with contextlib.closing(sqlite3.connect(Path(folder) / damaged.name)) as source:
                source.text_factory = lambda text: text.decode(errors="strict")
                theirs = columns_of(source)
                for table, columns in _tables(made).items():
                    shared = [name for name in columns if name in theirs.get(table, ())]
                    is_whole &= bool(shared) and _copy_table(source, made, table, shared)
                check_pages(source, damaged)
                if "checks" in theirs:
                    check_digests(source, damaged)
        except UNREADABLE:
            is_whole = False
    return is_whole


def _tables(made: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """Return the columns to copy by table; digests are made anew as rows are written."""
    return {table: names for table, names in columns_of(made).items() if table != "checks"}


def _copy_table(
    source: sqlite3.Connection, made: sqlite3.Connection, table: str, columns: list[str]
) -> bool:
    """Copy a table from both of its ends, up to where it is damaged; return whether all came."""
    names, is_whole = ", ".join(columns), True
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"
    for order in ("ASC", "DESC"):
        try:
            key = "rowid" if table != "steps" else "uid"
            for row in source.execute(f"SELECT {names} FROM {table} ORDER BY {key} {order}"):
                if _makes_sense(table, dict(zip(columns, row, strict=True))):
                    with contextlib.suppress(sqlite3.IntegrityError):
                        made.execute(insert, row)
                else:
                    is_whole = False
        except UNREADABLE:
            is_whole = False
        else:
            break
    return is_whole


def _makes_sense(table: str, row: dict[str, object]) -> bool:
    try:
        if table == "cells":
            corners = [row[name] for name in ("x_min", "y_min", "x_max", "y_max")]
            cells_of([[row["cell_id"], 0, *corners, row["score"], row["source"], row["deleted"]]])  # type: ignore[list-item]
        elif table == "edits":
            edit_from_text(str(row["uid"]), str(row["title"]), str(row["content"]))
    except UNREADABLE:
        return False
    return True


def _journal_has_all(made: sqlite3.Connection) -> bool:
    """Return whether every box came with an edit, and none of the edits is missing."""
    (first, last, count) = made.execute(
        "SELECT min(number), max(number), count(*) FROM edits"
    ).fetchone()
    (older,) = made.execute("SELECT count(*) FROM cells WHERE edit = 0").fetchone()
    return first == 1 and last == count and not older


def _rebuild(made: sqlite3.Connection, copy: Path | None) -> int:
    """Make boxes those of a copy, and again the edits since; return how many of these are lost.

    Without a copy all edits are made again.
    """
    last, done = 0, set[str]()
    for table in ("images", "cells", "notes"):
        made.execute(f"DELETE FROM {table}")
    if copy is not None:
        with contextlib.closing(open_for_reading(copy)) as source:
            for table, columns in _tables(made).items():
                _copy_table(source, made, table, list(columns))
            (last,) = source.execute("SELECT coalesce(max(number), 0) FROM edits").fetchone()
            found = source.execute("SELECT uid FROM edits WHERE state = ?", (DONE,))
            done = {uid for (uid,) in found}
    places, lost = _places(made), 0
    for number, frames, edit in _changes_since(made, last, done):
        if frames in places:
            _apply(made, places[frames], edit, number)
        else:
            lost += 1
    return lost


def _changes_since(
    made: sqlite3.Connection, last: int, done: set[str]
) -> Iterator[tuple[int, str, Edit]]:
    """Yield what leads from a copy to now: first back from edits that were undone since."""
    rows = made.execute(
        "SELECT number, frames, uid, title, state, content FROM edits ORDER BY number"
    ).fetchall()
    for number, frames, uid, title, state, content in reversed(rows):
        if uid in done and state != DONE:
            yield number, frames, edit_from_text(uid, title, content).inverse
    for number, frames, uid, title, state, content in rows:
        if state == DONE and (number > last or uid not in done):
            yield number, frames, edit_from_text(uid, title, content)


def _places(made: sqlite3.Connection) -> dict[str, list[Place]]:
    """Return the images of each sample that the journal has edits of, by the key of its images."""
    lists: dict[str, list[Place]] = {}
    for frames, image, page in made.execute(
        "SELECT frames, image, page FROM frame_lists ORDER BY frames, position"
    ):
        lists.setdefault(frames, []).append((image, page))
    return {frames: places for frames, places in lists.items() if frames_key(places) == frames}


def _apply(made: sqlite3.Connection, places: list[Place], edit: Edit, number: int) -> None:
    next_id = 1 + max(edit.after.cells.boxes.cell_id.tolist(), default=0)
    for index in edit.images or {0}:
        made.execute(
            "INSERT INTO images (image, page, detected, next_id) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET next_id = max(next_id, excluded.next_id)",
            (*places[index], 0, next_id),
        )
    for index in edit.before.searched ^ edit.after.searched:
        made.execute(
            "UPDATE images SET detected = ? WHERE image = ? AND page = ?",
            (index in edit.after.searched, *places[index]),
        )
    write_cells(made, places, edit, number)
