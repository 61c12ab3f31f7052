"""Whether edits are missing at the end of a write-ahead log.

SQLite reads a log as far as its checksums are right, and takes the rest for a commit that a crash
cut short: a damaged log gives an earlier state without a word. Two things tell damage from a crash.
The log's index, `-shm`, says how far the log was on the disk (it is never ahead of it). And of what
was being written when a program or a machine stopped there is one commit at most, since each waits
until the one before is on the disk.

The formats are those of https://www.sqlite.org/walformat.html.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from napari_attmil.cells.annotations.storage.schema_check import REPAIR
from napari_attmil.core import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_INDEX_HEADER: Final = 48
_MAGIC: Final = 0x377F0682
"""One more where checksums are of big-endian words."""
_AT_ONCE: Final = 1024
"""So many frames of a log are checked at once."""
_STEP: Final = np.array([[1, 1], [1, 2]], np.uint32)
"""What a pair of words makes of the two sums before it."""


@dataclass(frozen=True)
class Log:
    """What can be read of a log.

    Attributes
    ----------
    salts
        Tell its frames from those of earlier logs in the same file; empty if its header is damaged.
    size
        In bytes.
    committed
        So many frames SQLite reads.
    later_commits
        So many ends of commits lie behind a frame that it cannot read.
    """

    salts: bytes
    size: int
    committed: int = 0
    later_commits: int = 0


@dataclass(frozen=True)
class _Index:
    """What a log's index says: so many frames were on the disk, so many of them in the file too."""

    salts: bytes
    frames: int
    copied: int


def check_log(path: Path) -> None:
    """Raise UserError where the log of a database has lost commits that were on the disk.

    To be called before SQLite opens the file, which makes the index anew. Damages of a log that
    end with its last commit cannot be told from a crash where the index is missing.
    """
    for _ in range(2):  # A program may be writing just now: its frames are whole the second time.
        if not _has_lost(path):
            return
    raise UserError(
        f"The last changes of boxes in {path} could not be read: its log, {path.name}-wal, is "
        f"damaged or not all of it was copied. If you have copied the study, close it where it "
        f"is open and copy it again; otherwise {REPAIR}: the changes before the damage are kept."
    )


def _has_lost(path: Path) -> bool:
    index = _read_index(path.with_name(f"{path.name}-shm"))
    log = read_log(path.with_name(f"{path.name}-wal"))
    if not log.salts:  # SQLite does not read it at all.
        # Without an index: frames are written only once the header is on the disk.
        return log.size > _HEADER if index is None else index.copied < index.frames
    if index is not None and index.salts == log.salts:
        return log.committed < index.frames
    return log.later_commits > 1


def _read_index(path: Path) -> _Index | None:
    """Return what an index says; None if there is none, or it is damaged."""
    try:
        with path.open("rb", buffering=0) as file:  # Windows keeps what lies behind locked
            content = file.read(2 * _INDEX_HEADER + 4)
    except OSError:
        return None
    header, copy, rest = content[:48], content[48:96], content[96:]
    if len(rest) < 4 or header != copy or not header[12]:
        return None
    (copied,) = struct.unpack("=I", rest)
    words = np.frombuffer(header, np.uint32)
    if (_sums(words[None, :10])[0] != words[10:12]).any():
        return None
    return _Index(header[32:40], int(words[4]), copied)


def is_empty_log(path: Path) -> bool:
    """Return whether a log has no frames, or is not there."""
    try:
        return path.stat().st_size <= _HEADER
    except OSError:
        return True


def read_log(path: Path) -> Log:
    """Return what can be read of a log; nothing if it cannot be opened."""
    try:
        with path.open("rb") as file:
            return _log_in(file, path.stat().st_size)
    except OSError:
        return Log(b"", 0)


def _log_in(file: BinaryIO, size: int) -> Log:
    """Return what a file of this size holds; a few frames of it at a time are in memory."""
    header = file.read(_HEADER)
    if size <= _HEADER or len(header) < _HEADER:
        return Log(b"", size)
    magic, _, page_size = struct.unpack(">III", header[:12])
    is_size = 512 <= page_size <= 65536 and not page_size & (page_size - 1)
    if magic & ~1 != _MAGIC or not is_size:
        return Log(b"", size)
    order = ">" if magic & 1 else "<"
    first = np.frombuffer(header[24:], ">u4").astype(np.uint32)
    if (_sums(np.frombuffer(header[:24], f"{order}u4")[None])[0] != first).any():
        return Log(b"", size)
    salts, length = header[16:24], _FRAME_HEADER + page_size
    number = committed = later = 0
    is_readable = True
    while count := len(content := file.read(_AT_ONCE * length)) // length:
        frames = np.frombuffer(content, np.uint8, count * length).reshape(count, length)
        is_right, ends, first = _checked(frames, salts, order, first)
        good = (count if is_right.all() else int(np.argmin(is_right))) if is_readable else 0
        if ends[:good].any():
            committed = number + 1 + int(np.flatnonzero(ends[:good])[-1])
        later += int(ends[good:].sum())
        is_readable = is_readable and good == count
        number += count
    return Log(salts, size, committed, later)


def _checked(
    frames: npt.NDArray[np.uint8], salts: bytes, order: str, first: npt.NDArray[np.uint32]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.uint32]]:
    """Return which frames are right, which of these end a commit, and the sums of the last one.

    A frame is right if its sums follow from those that are stored with the one before; `first` are
    those before all.
    """
    heads = np.ascontiguousarray(frames[:, :_FRAME_HEADER]).view(">u4").astype(np.uint32)
    stored = heads[:, 4:6]
    before = np.concatenate([first[None], stored[:-1]])
    covered = np.concatenate([frames[:, :8], frames[:, _FRAME_HEADER:]], axis=1)
    is_of_log = (frames[:, 8:16] == np.frombuffer(salts, np.uint8)).all(axis=1)
    is_right = is_of_log & (_sums(covered.view(f"{order}u4"), before) == stored).all(axis=1)
    return is_right, is_right & (heads[:, 1] != 0), stored[-1]


def _sums(
    words: npt.NDArray[np.uint32], before: npt.NDArray[np.uint32] | None = None
) -> npt.NDArray[np.uint32]:
    """Return SQLite's checksums of rows of words: (n, 2), from those of what came before."""
    count = words.shape[1] // 2
    weights, power = _weights(count)
    with np.errstate(over="ignore"):
        sums: npt.NDArray[np.uint32] = words.astype(np.uint32, copy=False) @ weights
        return sums if before is None else sums + before @ power


@lru_cache(maxsize=4)
def _weights(count: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return what each of the words of so many pairs adds to the sums, and what they make of those.

    A pair (a, b) makes (s, t) of (s + t + a, s + 2 t + a + b).
    """
    weights = np.empty((2 * count, 2), np.uint32)
    power = np.eye(2, dtype=np.uint32)
    for pair in reversed(range(count)):
        weights[2 * pair] = power @ np.array([1, 1], np.uint32)
        weights[2 * pair + 1] = power @ np.array([0, 1], np.uint32)
        power = power @ _STEP
    return weights, power.T.copy()
