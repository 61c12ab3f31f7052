"""Zeiss's CZI files, read without any further package.

A CZI file is a list of segments; its directory says of every stored picture which plane it is, and
where it lies (Zeiss, *CZI file format design specification*, 1.2.2). The layout was checked against
czifile 2026.10.14, and 2019.7.2.3 but for Zstandard: they read the tests' files alike.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_attmil.core import ContentError
from napari_attmil.images.formats.axes import Axes, PlanePosition, ranked_positions
from napari_attmil.images.formats.header import (
    FileHeader,
    PageHeader,
    in_um,
    page_header,
    plausible_um,
    to_image,
)

_SEGMENT: Final = struct.Struct("<16sqq")
_FILE: Final = struct.Struct("<48xiqq")  # versions and identifiers; part, directory, metadata
_ENTRY: Final = struct.Struct("<2siqiiBB4si")
_DIMENSION: Final = struct.Struct("<4siifi")
_SUBBLOCK: Final = struct.Struct("<iiq")
_LEAST_SUBBLOCK, _DIRECTORY_BEGINS, _XML_BEGINS = 256, 128, 256
_TYPES: Final[Mapping[int, tuple[str, int]]] = {
    0: ("<u1", 1),
    1: ("<u2", 1),
    2: ("<f4", 1),
    3: ("<u1", 3),
    4: ("<u2", 3),
    8: ("<f4", 3),
    9: ("<u1", 4),
    12: ("<i4", 1),
    13: ("<f8", 1),
}
"""Type and number of a pixel's samples; three are blue, green and red."""
_RAW, _JPEG, _LZW, _JPEGXR, _ZSTD0, _ZSTD1 = 0, 1, 2, 4, 5, 6
_PICTURES: Final[Mapping[int, Callable[[bytes], Any]]] = {
    _JPEG: imagecodecs.jpeg_decode,
    _JPEGXR: imagecodecs.jpegxr_decode,
}
"""Ways of packing that give pixels, red first."""
_BYTES: Final[Mapping[int, Callable[[bytes], bytes | bytearray]]] = {
    _LZW: imagecodecs.lzw_decode,
    _ZSTD0: imagecodecs.zstd_decode,
    _ZSTD1: imagecodecs.zstd_decode,
}
"""Ways of packing that give bytes as they would be stored unpacked."""


@dataclass(frozen=True)
class StoredPicture:
    """An entry of the directory: one plane, a tile of one, or a level of the zoom pyramid.

    Attributes
    ----------
    position : int
        Where its segment begins, in bytes.
    dtype, samples
        Type and number of a pixel's samples.
    compression : int
        How it is packed.
    starts, sizes, stored : mapping of str to int
        By dimension (X, Y, C, Z, T, S scene, M tile, and others): where it begins, its size, and
        the size that is stored, which is smaller for a level of the pyramid.
    """

    position: int
    dtype: str
    samples: int
    compression: int
    starts: Mapping[str, int]
    sizes: Mapping[str, int]
    stored: Mapping[str, int]

    @property
    def is_whole(self) -> bool:
        """Whether it is stored at its own size."""
        return all(self.stored[side] in (0, self.sizes[side]) for side in "YX")

    @property
    def shape(self) -> tuple[int, int]:
        """Its height and width."""
        return self.sizes["Y"], self.sizes["X"]


def read_czi_header(path: Path) -> FileHeader:
    """Find every plane of a CZI file, and what it is.

    Scenes and the tiles of a mosaic are places of their own. Tiles are not stitched, so cells in
    their overlap occur twice.

    Raises
    ------
    ValueError
        If the file is cut short, or holds no images.
    """
    with path.open("rb") as file:
        directory, metadata = _places(file)
        stored = [picture for picture in _directory(file, directory) if picture.is_whole]
        xml = _metadata(file, metadata)
    if not stored:
        raise ContentError("it holds no images")
    stored.sort(key=_order)
    pages = tuple(page_header(p.shape, p.samples, np.dtype(p.dtype), p) for p in stored)
    return FileHeader(pages, _scaling_um(xml, "X"), _axes(stored, xml))


def decode_czi(path: Path, page: PageHeader) -> NDArray[np.generic]:
    """Decode one plane of a CZI file to (Y, X) or (Y, X, 3) uint8 or uint16."""
    picture: StoredPicture = page.place
    with path.open("rb") as file:
        packed = _packed(file, picture)
    pixels = _unpacked(packed, picture).reshape(*picture.shape, picture.samples)
    if picture.samples >= 3 and picture.compression not in (_JPEG, _JPEGXR):
        pixels = pixels[..., [2, 1, 0]]
    return to_image(pixels[..., 0] if picture.samples == 1 else pixels[..., :3])


def _read(file: BinaryIO, position: int, size: int) -> bytes:
    file.seek(position)
    found = file.read(size) if 0 <= size < 2**40 else b""
    if len(found) < size:
        raise ContentError("it is cut short")
    return found


def _segment(file: BinaryIO, position: int, name: str) -> tuple[int, int]:
    """Return where the content of a segment begins, and how long it is."""
    kind, allocated, used = _SEGMENT.unpack(_read(file, position, _SEGMENT.size))
    if kind.rstrip(b"\0").decode("ascii", "replace") != name:
        raise ContentError("it is cut short, or one of its parts is damaged")
    return position + _SEGMENT.size, used or allocated


def _places(file: BinaryIO) -> tuple[int, int]:
    """Return where the directory and the metadata are."""
    begin, _ = _segment(file, 0, "ZISRAWFILE")
    _, directory, metadata = _FILE.unpack(_read(file, begin, _FILE.size))
    return directory, metadata


def _directory(file: BinaryIO, position: int) -> Iterator[StoredPicture]:
    begin, length = _segment(file, position, "ZISRAWDIRECTORY")
    content = _read(file, begin, length)
    (count,) = struct.unpack_from("<i", content)
    place = _DIRECTORY_BEGINS
    for _ in range(count):
        picture, size = _entry(content, place)
        place += size
        yield picture


def _entry(content: bytes, place: int) -> tuple[StoredPicture, int]:
    """Return an entry of the directory and its length."""
    schema, pixel, position, _, compression, _, _, _, count = _ENTRY.unpack_from(content, place)
    if schema != b"DV" or pixel not in _TYPES:
        raise ContentError(f"its pixels are of Zeiss's type {pixel}, but grey or RGB is needed")
    starts: dict[str, int] = {}
    sizes: dict[str, int] = {}
    stored: dict[str, int] = {}
    for number in range(count):
        at = place + _ENTRY.size + number * _DIMENSION.size
        letter, start, size, _, kept = _DIMENSION.unpack_from(content, at)
        name = letter.rstrip(b"\0").decode("ascii", "replace")
        starts[name], sizes[name], stored[name] = start, size, kept
    if not {"X", "Y"} <= set(sizes):
        raise ContentError("it holds a picture without a size")
    dtype, samples = _TYPES[pixel]
    picture = StoredPicture(position, dtype, samples, compression, starts, sizes, stored)
    return picture, _ENTRY.size + count * _DIMENSION.size


def _packed(file: BinaryIO, picture: StoredPicture) -> bytes:
    begin, _ = _segment(file, picture.position, "ZISRAWSUBBLOCK")
    metadata, _, size = _SUBBLOCK.unpack(_read(file, begin, _SUBBLOCK.size))
    own = _SUBBLOCK.size + _ENTRY.size + len(picture.sizes) * _DIMENSION.size
    return _read(file, begin + max(_LEAST_SUBBLOCK, own) + metadata, size)


def _unpacked(packed: bytes, picture: StoredPicture) -> NDArray[np.generic]:
    """Decompress a picture.

    Zstd1 has a header: its length, and optionally a flag that says whether the low bytes of all
    16-bit values come before all high bytes.
    """
    if picture.compression in _PICTURES:
        return np.asarray(_PICTURES[picture.compression](packed))
    if picture.compression not in (_RAW, *_BYTES):
        raise ContentError(f"its pixels are packed in Zeiss's way {picture.compression}")
    is_shuffled = False
    if picture.compression == _ZSTD1:
        length = packed[0]
        is_shuffled = length == 3 and bool(packed[2] & 1)
        packed = packed[length:]
    unpacked = packed if picture.compression == _RAW else _BYTES[picture.compression](packed)
    if is_shuffled:
        unpacked = np.frombuffer(unpacked, np.uint8).reshape(2, -1).T.tobytes()
    return np.frombuffer(unpacked, picture.dtype)


def _metadata(file: BinaryIO, position: int) -> str:
    if not position:
        return ""
    begin, _ = _segment(file, position, "ZISRAWMETADATA")
    (size,) = struct.unpack("<i", _read(file, begin, 4))
    return _read(file, begin + _XML_BEGINS, size).decode("utf-8", "replace")


def _others(picture: StoredPicture) -> tuple[tuple[str, int], ...]:
    """Return where a picture begins along axes that show the same place again: angle, phase."""
    known = ("X", "Y", "C", "Z", "T", "S", "M")
    return tuple(sorted((a, start) for a, start in picture.starts.items() if a not in known))


def _key(picture: StoredPicture) -> tuple[object, int, int, int]:
    """Return scene and tile, time, channel and focal plane."""
    starts = picture.starts
    place = starts.get("S", 0), starts.get("M", -1)
    return place, starts.get("T", 0), starts.get("C", 0), starts.get("Z", 0)


def _order(picture: StoredPicture) -> tuple[object, ...]:
    """Sort by scene, time, focal plane and channel, tiles last."""
    starts = picture.starts
    outer = (starts.get("S", 0), starts.get("T", 0), starts.get("Z", 0), starts.get("C", 0))
    return (*outer, _others(picture), starts.get("M", -1), starts["Y"], starts["X"])


def _axes(stored: list[StoredPicture], xml: str) -> Axes:
    keys = [_key(picture) for picture in stored]
    if len(set(keys)) + sum(_others(p) != _others(stored[0]) for p in stored) < len(stored):
        # Tiles without numbers are told apart by where they are on the slide.
        keys = [
            ((key[0], picture.starts["Y"], picture.starts["X"]), *key[1:])
            for key, picture in zip(keys, stored, strict=True)
        ]
    first = min(map(_others, stored))
    positions: list[PlanePosition | None] = list(ranked_positions(keys))
    others = [number for number, picture in enumerate(stored) if _others(picture) != first]
    for number in others:
        positions[number] = None
    left_out = ("planes of further angles, phases or the like",) if others else ()
    return Axes(tuple(positions), _channels(xml), _scaling_um(xml, "Z", is_step=True), left_out)


def _channels(xml: str) -> tuple[str, ...]:
    """Return the name and contrast method of each channel of the image."""
    found = re.search(r"<Dimensions>.*?<Channels>(.*?)</Channels>", xml, re.DOTALL)
    channels = re.findall(
        r"<Channel\b([^>]*)>(.*?)</Channel>", found[1] if found else "", re.DOTALL
    )
    names = []
    for attributes, content in channels:
        name = re.search(r'\bName\s*=\s*"([^"]*)"', attributes)
        parts = [name[1] if name else ""]
        for tag in ("ContrastMethod", "IlluminationType"):
            value = re.search(rf"<{tag}>([^<]*)<", content)
            parts.append(value[1] if value else "")
        names.append(" ".join(filter(None, parts)))
    return tuple(names)


def _scaling_um(xml: str, axis: str, is_step: bool = False) -> float | None:
    """Read the scaling along an axis, which CZI gives in metres."""
    found = re.search(rf'<Distance Id="{axis}">\s*<Value>([^<]+)</Value>', xml)
    if not found:
        return None
    return in_um(found[1], "m") if is_step else plausible_um(found[1], "m")
