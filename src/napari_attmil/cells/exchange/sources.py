"""The files to read boxes from: on disk, in folders, and in zip archives, which stay packed."""

from __future__ import annotations

import io
import lzma
import os
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from napari_attmil.core import ContentError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

    from napari_attmil.cells.exchange.account import Account

LARGEST_BYTES: Final = 1 << 29
"""The largest file that is read: annotations of 100,000 cells have some 20 MB."""
MOST_FILES: Final = 200_000
_SYSTEM_FOLDERS: Final = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")
_NO_ARCHIVE: Final = (zipfile.BadZipFile, NotImplementedError, ValueError, OSError)
"""What an archive raises that cannot be opened. A damaged directory asks for a method or version
that does not exist (NotImplementedError), or has a name that is no text (ValueError)."""
_NOT_UNPACKED: Final = (*_NO_ARCHIVE, EOFError, zlib.error, lzma.LZMAError)
"""What a member raises that cannot be unpacked: each method has errors of its own, and a damaged
offset lies before the file (ValueError)."""
_MAC_COPY: Final = "it is a copy that macOS keeps beside a file, not the file itself"


@dataclass(frozen=True)
class SourceFile:
    """One file to read, wherever it lies.

    Attributes
    ----------
    place
        Its path below the folder or archive that was given; its name alone for a file.
    read
        Returns its content.
    path
        Where it lies on disk; None within an archive.
    within
        The archive; empty on disk.
    """

    place: PurePosixPath
    read: Callable[[], bytes]
    path: Path | None = None
    within: PurePosixPath = field(default_factory=PurePosixPath)

    @property
    def suffix(self) -> str:
        """The suffix in lower case."""
        return self.place.suffix.lower()

    def __str__(self) -> str:
        """Return the place, and the archive if it is in one."""
        return str(self.place) if self.path else f"{self.place} in {self.within.name}"


def source_files(path: Path, account: Account, opened: ExitStack) -> list[SourceFile]:
    """Return the files of a file, a folder with all below it, or a zip archive.

    Parameters
    ----------
    path
        What a person gave.
    account
        Takes what is left out, such as files that macOS leaves beside others.
    opened
        Closes the archives.

    Raises
    ------
    UserError
        If it does not exist, or an archive cannot be read.
    """
    if not path.exists():
        raise UserError(f"'{path}' does not exist; check the path.")
    if path.is_file():
        return _unpacked(_on_disk(path, path.parent), account, opened, is_given=True)
    found = (_on_disk(file, path) for file in _walk(path))
    return [
        file
        for each in found
        if not _is_system_file(each, account)
        for file in _unpacked(each, account, opened)
    ]


def _unpacked(
    file: SourceFile, account: Account, opened: ExitStack, is_given: bool = False
) -> list[SourceFile]:
    """Return a file as it is, or the files of an archive, also of one within an archive."""
    if file.suffix != ".zip":
        return [file]
    try:
        source = file.path or io.BytesIO(file.read())
        archive = opened.enter_context(zipfile.ZipFile(source))
    except _NO_ARCHIVE:
        sentence = "it is no archive that can be read, or damaged"
        if is_given:
            raise UserError(f"{file.place}: {sentence}; export it again.") from None
        account.leave_out(f"the archive {file}", sentence)
        return []
    infos = [info for info in archive.infolist() if info.filename and not info.is_dir()]
    if len(infos) > MOST_FILES:
        raise UserError(
            f"{file.place} holds {len(infos)} files, more than {MOST_FILES}; unpack it, and import "
            "parts of it."
        )
    packed = (_packed(archive, info, file) for info in infos)
    members = [each for each in packed if not _is_system_file(each, account)]
    if file.path is None:  # archives in archives in archives are nobody's export
        return members
    return [each for member in members for each in _unpacked(member, account, opened)]


def _packed(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: SourceFile) -> SourceFile:
    # Nothing is unpacked to the disk; a name such as ../../a is a name, and no place is written to.
    parts = info.filename.replace("\\", "/").split("/")
    place = PurePosixPath(*(part for part in parts if part not in ("", ".", "..")))

    def read() -> bytes:
        try:
            with archive.open(info) as member:
                content = member.read(LARGEST_BYTES + 1)
        except _NOT_UNPACKED:
            raise ContentError("it cannot be unpacked, its archive is damaged") from None
        except RuntimeError:
            raise ContentError("it cannot be unpacked, it is locked by a password") from None
        return _bounded(content)

    return SourceFile(place, read, within=file.within / file.place)


def _on_disk(path: Path, folder: Path) -> SourceFile:
    def read() -> bytes:
        try:
            with path.open("rb") as file:
                return _bounded(file.read(LARGEST_BYTES + 1))
        except OSError as error:
            raise UserError(
                f"'{path}' cannot be opened ({error.strerror}); check the path."
            ) from None

    return SourceFile(PurePosixPath(path.relative_to(folder).as_posix()), read, path)


def _bounded(content: bytes) -> bytes:
    if len(content) > LARGEST_BYTES:
        raise ContentError(f"it is larger than {LARGEST_BYTES >> 20} MB")
    return content


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in order; each folder once, however many links lead to it."""
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(place, name) for name in sorted(files))


def _is_system_file(file: SourceFile, account: Account) -> bool:
    """Tell whether a system left a file beside others; a Mac's are told, as they look like them."""
    if file.place.name.startswith("._"):
        account.leave_out(f"the file {file}", _MAC_COPY)
        return True
    is_hidden = file.place.name.startswith(".")
    return is_hidden or any(part in _SYSTEM_FOLDERS for part in file.place.parts)
