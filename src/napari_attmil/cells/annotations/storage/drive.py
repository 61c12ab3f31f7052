"""What the drive of a study can do: whether it is this machine's own."""

from __future__ import annotations

import mmap
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Final

import psutil

_NAMES: Final = (
    "apfs bcachefs btrfs exfat ext2 ext3 ext4 f2fs hfs jfs msdos ntfs ntfs3 overlay ramfs refs "
    "reiserfs tmpfs vfat xfs zfs"
)
_OF_ONE_MACHINE: Final = frozenset(_NAMES.split())
"""File systems that no other machine writes to. Any other may be shared, as FUSE's may."""


@lru_cache(maxsize=256)
def is_own_drive(folder: Path) -> bool:
    """Return whether only this machine writes to a folder, and its programs can share memory there.

    SQLite's write-ahead log needs both. Without them, what one machine has written can be lost
    under what another writes, and neither notices.
    """
    return _file_system(folder) in _OF_ONE_MACHINE and _has_shared_memory(folder)


def _file_system(folder: Path) -> str:
    """Return the kind of file system, in lower case; empty where it is unknown or remote."""
    place = folder.resolve()
    mounts = {Path(each.mountpoint): each for each in psutil.disk_partitions(all=True)}
    mount = next((mounts[each] for each in (place, *place.parents) if each in mounts), None)
    if mount is None or "remote" in mount.opts.split(","):  # so Windows calls network drives
        return ""
    return str(mount.fstype).lower()


def _has_shared_memory(folder: Path) -> bool:
    """Try whether what is written into a map of a file is seen in another map of it."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(mmap.PAGESIZE)
            with (
                mmap.mmap(file.fileno(), mmap.PAGESIZE) as written,
                mmap.mmap(file.fileno(), mmap.PAGESIZE) as seen,
            ):
                written[0] = 1
                return seen[0] == 1
    except (OSError, ValueError):
        return False
