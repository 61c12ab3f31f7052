"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from napari_attmil.core.errors import Remedy, UserError

_UNFINISHED: Final = ".attmil-unfinished"
_DAY_S: Final = 24 * 3600.0


def check_writable(path: Path) -> None:
    """Raise an error if a file can evidently not be written.

    Long work should not start if its result cannot be saved.

    Raises
    ------
    UserError
        If `path` is a folder, or lies in a file or in a folder that may not be written to.
    """
    path = Path(path).absolute()
    # os.path, as Path.is_dir raises where a folder above is forbidden.
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder; give the name of a file.", Remedy.SAVE_ELSEWHERE)
    there = next(folder for folder in path.parents if os.path.exists(folder))
    if not os.path.isdir(there):
        reason = f"{there} is a file"
    elif not os.access(there, os.W_OK):
        reason = f"{there} is read-only"
    else:
        return
    raise UserError(
        f"{path} could not be written ({reason}); choose another folder.", Remedy.SAVE_ELSEWHERE
    )


def check_replaceable(path: Path) -> None:
    """Raise an error if a path is a device, a pipe or a link, which writing would replace.

    Raises
    ------
    UserError
        If it is one.
    """
    if os.path.islink(path):
        kind = "a link"
    elif os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        kind = "a device or a pipe"
    else:
        return
    raise UserError(f"{path} is {kind}, not a file; give the name of a file.")


@contextlib.contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` once it is completely written and on the disk.

    An existing file at `path` is unchanged if anything fails.

    Raises
    ------
    UserError
        If the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # tempfile's own mode is 0600, but the file should be as readable as the user's others.
        _remove_leftovers(path.parent)
        handle, name = tempfile.mkstemp(_UNFINISHED, f".{path.name}.", path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _sync(temporary, os.O_RDWR)  # Or a power cut could leave an empty file of the new name.
        temporary.replace(path)
        with contextlib.suppress(OSError):  # Windows does not open folders
            _sync(path.parent, os.O_RDONLY)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(
                f"The disk is full, {path} was not written; free some space and save again.",
                Remedy.SAVE_ELSEWHERE,
            ) from error
        raise UserError(
            f"{path} could not be written ({error.strerror or error}); choose another folder.",
            Remedy.SAVE_ELSEWHERE,
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def unfinished_path(path: Path) -> Path:
    """Return a new hidden name beside a file for what is to become it.

    What a kill leaves under such names goes, with what SQLite puts beside it, when the folder is
    written to a day later or more.
    """
    _remove_leftovers(path.parent)
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}{_UNFINISHED}")


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@functools.cache
def _remove_leftovers(folder: Path) -> None:
    """Remove, once a folder, what programs that were killed more than a day ago left unfinished."""
    for leftover in folder.glob(f".*{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _DAY_S:
                leftover.unlink()


@functools.cache
def _umask() -> int:
    """Return the process's umask; read once, as reading it changes it for a moment."""
    current = os.umask(0)
    os.umask(current)
    return current


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", "utf-8")
