"""Files that state sizes no memory holds: a sentence before any is asked for."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import psutil
import pytest
import tifffile

from napari_attmil.core.errors import UserError
from napari_attmil.images.formats.by_content import decode_page, file_header

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 100_000
OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="10" '
    'SizeY="10" SizeC="1" SizeZ="2147483647" SizeT="1"><TiffData IFD="0"/></Pixels></Image></OME>'
)


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def write_png(path: Path) -> None:
    header = struct.pack(">2I5B", SIDE, SIDE, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0")), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def write_bmp(path: Path) -> None:
    header = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 24, 0, 0, 0, 0, 0, 0)
    path.write_bytes(b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + header + b"\0" * 900)


def write_tiff(description: str) -> object:
    def write(path: Path) -> None:
        tifffile.imwrite(path, np.zeros((10, 10), np.uint8), description=description, metadata=None)

    return write


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (write_png, r"states 100,000 x 100,000 pixels, for which 20\.0 GB .* and 8\.0 GB are free"),
        (write_bmp, "10000000000 pixels"),
        (write_tiff('{"shape": [2147483648, 10, 10]}'), "2147483648 images do not fit"),
        (write_tiff(OME), "states 2,147,483,647 images"),
    ],
    ids=["png", "bmp", "shaped", "ome"],
)
def test_a_stated_size_that_no_memory_holds_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: object, sentence: str
) -> None:
    class Memory:
        available = 8_000_000_000

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    path = tmp_path / "image"
    assert callable(write)
    write(path)
    tracemalloc.start()
    with pytest.raises(UserError, match=sentence):
        assert len(file_header(path).pages) == 1
        decode_page(path, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_decoder_that_runs_out_of_memory_gives_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(np.zeros((8, 8), np.uint8)))

    def hungry(data: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr(imagecodecs, "png_decode", hungry)
    with pytest.raises(UserError, match="there is not enough memory"):
        decode_page(path, 0)
