"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, as far as that shows beforehand.

    For work that takes long: it should not be begun if its result could not be kept.

    Raises
    ------
    UserError
        If `path` is a folder, or lies in a file or in a folder that may not be written to.
    """
    path = Path(path).absolute()
    # os.path, as Path.is_dir raises where a folder above is forbidden.
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder; give the name of a file.")
    there = next(folder for folder in path.parents if os.path.exists(folder))
    if not os.path.isdir(there):
        reason = f"{there} is a file"
    elif not os.access(there, os.W_OK):
        reason = f"{there} is read-only"
    else:
        return
    raise UserError(f"{path} could not be written ({reason}); choose another folder.")


@contextlib.contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place once it is written whole.

    Whatever stood at `path` stays untouched if anything fails.

    Raises
    ------
    UserError
        If the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not tempfile's own 0600: the file should be as readable as any other of the person's.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(
                f"The disk is full, {path} was not written; free some space and save again."
            ) from error
        raise UserError(
            f"{path} could not be written ({error.strerror or error}); choose another folder."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@functools.cache
def _umask() -> int:
    """Return which permissions new files lack; read once, as reading it changes it for a moment."""
    current = os.umask(0)
    os.umask(current)
    return current


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", "utf-8")
