"""Microscope makers' formats."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from napari_attmil.core.errors import UserError
from napari_attmil.images.reading import (
    open_frames,
    open_sample,
    read_frame,
    read_images,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CZI = Path(__file__).parent / "czi"  # made with Zeiss' pylibCZIrw 6.1 from `czi_plane`


def czi_plane(number: int, dtype: str, channels: int) -> NDArray[Any]:
    """Return the pixels written into the CZI files: channels as blue, green, red."""
    y, x, channel = np.mgrid[:12, :16, :channels]
    offset = 1010 * number if dtype == "uint16" else 10 * number
    return (offset + 16 * y + x + 5 * channel).astype(dtype)


def test_zstd_compressed_czi_gives_every_time_point_and_its_pixel_size() -> None:
    pytest.importorskip("czifile")
    sample = open_sample(CZI / "time_grey16.czi")
    images = read_images(sample)
    assert (images.shape, images.dtype) == ((3, 12, 16), np.uint16)
    for time in range(3):
        assert_array_equal(images[time], czi_plane(time, "uint16", 1)[..., 0])
    assert sample.pixel_size_um == pytest.approx(0.11)


def test_tiles_of_a_czi_mosaic_are_images_with_red_first() -> None:
    pytest.importorskip("czifile")
    images = read_images(open_sample(CZI / "mosaic_colour.czi"))
    assert images.shape == (2, 12, 16, 3)
    for tile in range(2):
        assert_array_equal(images[tile], czi_plane(tile, "uint8", 3)[..., ::-1])


def test_czi_with_two_channels_is_refused() -> None:
    pytest.importorskip("czifile")
    with pytest.raises(UserError, match="has 2 channels, but one is needed"):
        open_frames(CZI / "two_channels.czi")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_truncated_czi_is_named(tmp_path: Path, share: float, cut: Callable[..., Any]) -> None:
    pytest.importorskip("czifile")
    path = tmp_path / "slide.czi"
    path.write_bytes((CZI / "mosaic_colour.czi").read_bytes())
    with pytest.raises(UserError, match=r"slide\.czi' cannot be read"):
        for frame in open_frames(cut(path, share)):
            read_frame(frame)


@pytest.mark.parametrize(("module", "name"), [("czifile", "x.czi"), ("bioio", "x.nd2")])
def test_missing_extra_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"ZISRAWFILE" + bytes(30))
    extra = {"czifile": "czi", "bioio": "bioio"}[module]
    with pytest.raises(UserError, match=rf"pip install 'napari-attmil\[{extra}\]'"):
        open_frames(tmp_path)


def test_bioio_reads_what_nothing_else_does(tmp_path: Path, stack_of: Callable[..., Any]) -> None:
    pytest.importorskip("bioio_imageio")
    images = np.stack([np.full((12, 16), value, np.uint8) for value in (0, 120, 240)])
    frames = [Image.fromarray(image) for image in images]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    read = stack_of(tmp_path / "x.gif")
    assert read.shape[:3] == (3, 12, 16)
    assert_array_equal(read[..., 0] if read.ndim == 4 else read, images)
