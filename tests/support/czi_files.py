"""Small CZI files written by hand, after Zeiss's specification; czifile reads them alike."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_PIXEL_TYPES = {("uint8", 2): 0, ("uint16", 2): 1, ("uint8", 3): 3, ("uint16", 3): 4}


@dataclass(frozen=True, eq=False)
class CziPlane:
    """A plane, (Y, X) or (Y, X, 3) red first, and where it begins along other axes than Y and X.

    A level of the pyramid stands for twice its height and width.
    """

    pixels: NDArray[Any]
    starts: dict[str, int]
    is_level: bool = False


def write_czi(path: Path, planes: Sequence[CziPlane], xml: str = "") -> Path:
    """Write a CZI file of planes that are not packed."""
    content = bytearray(_segment("ZISRAWFILE", bytes(512)))
    entries = []
    for plane in planes:
        entries.append(_entry(plane, len(content)))
        pixels = plane.pixels[..., ::-1] if plane.pixels.ndim == 3 else plane.pixels
        data = np.ascontiguousarray(pixels).tobytes()
        head = struct.pack("<iiq", 0, 0, len(data)) + entries[-1]
        content += _segment("ZISRAWSUBBLOCK", head.ljust(256, b"\0") + data)
    directory = len(content)
    listed = struct.pack("<i", len(entries)).ljust(128, b"\0") + b"".join(entries)
    content += _segment("ZISRAWDIRECTORY", listed)
    metadata = len(content)
    text = xml.encode()
    content += _segment("ZISRAWMETADATA", struct.pack("<ii", len(text), 0).ljust(256, b"\0") + text)
    head = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, b"", b"", 0, directory, metadata, 0, 0)
    content[32 : 32 + len(head)] = head
    path.write_bytes(content)
    return path


def channels_xml(*channels: tuple[str, str]) -> str:
    """Return metadata that names channels, each with its contrast method."""
    listed = "".join(
        f'<Channel Id="Channel:{number}" Name="{name}"><ContrastMethod>{method}</ContrastMethod>'
        "</Channel>"
        for number, (name, method) in enumerate(channels)
    )
    return (
        "<ImageDocument><Metadata><Information><Image><Dimensions><Channels>"
        f"{listed}</Channels></Dimensions></Image></Information><Scaling><Items>"
        '<Distance Id="X"><Value>1.1E-07</Value></Distance>'
        '<Distance Id="Z"><Value>5E-07</Value></Distance>'
        "</Items></Scaling></Metadata></ImageDocument>"
    )


def _segment(name: str, data: bytes) -> bytes:
    padded = data + bytes(-len(data) % 32)
    return struct.pack("<16sqq", name.encode(), len(padded), len(data)) + padded


def _entry(plane: CziPlane, position: int) -> bytes:
    height, width = plane.pixels.shape[:2]
    pixel = _PIXEL_TYPES[str(plane.pixels.dtype), plane.pixels.ndim]
    scale = 2 if plane.is_level else 1
    sides = {"X": (width * scale, width), "Y": (height * scale, height)}
    dimensions = [(a, plane.starts.get(a, 0), *sides[a]) for a in "XY"]
    dimensions += [(a, start, 1, 1) for a, start in plane.starts.items() if a not in "XY"]
    packed = b"".join(
        struct.pack("<4siifi", letter.encode(), start, size, 0.0, stored)
        for letter, start, size, stored in dimensions
    )
    head = struct.pack("<2siqiiBB4si", b"DV", pixel, position, 0, 0, 0, 0, b"", len(dimensions))
    return head + packed
