"""PNG, JPEG and BMP files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame
from napari_attmil.images.reading import (
    open_sample,
    read_frame,
    read_images,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [(), (3,), (4,), (2,)], ids=["grey", "rgb", "rgba", "la"])
def test_png_keeps_depth_and_colour_and_drops_alpha(
    tmp_path: Path,
    dtype: str,
    channels: tuple[int, ...],
    noise: Callable[..., Any],
    write_png: Callable[..., Any],
) -> None:
    image = noise(20, 30, *channels, dtype=dtype)
    path = write_png(tmp_path / "x.png", image)
    expected = {(): image, (3,): image, (4,): image[..., :3], (2,): image[..., 0]}[channels]
    read = read_frame(Frame(path))
    assert read.dtype == dtype
    assert_array_equal(read, expected)
    assert read_images(open_sample(path)).shape == (1, *expected.shape)


@pytest.mark.parametrize("colours", [2, 4, 16, 256])
def test_palette_png_becomes_rgb(tmp_path: Path, colours: int, noise: Callable[..., Any]) -> None:
    picture = Image.fromarray(noise(20, 30, 3)).quantize(colours)
    picture.save(tmp_path / "p.png")
    path = tmp_path / "p.png"
    assert_array_equal(read_frame(Frame(path)), np.asarray(picture.convert("RGB")))
    assert read_images(open_sample(path)).shape == (1, 20, 30, 3)


def test_transparent_colour_of_a_palette_is_dropped(
    tmp_path: Path, noise: Callable[..., Any]
) -> None:
    picture = Image.fromarray(noise(20, 30, 3)).quantize(8)
    picture.save(tmp_path / "p.png", transparency=3)
    assert_array_equal(read_frame(Frame(tmp_path / "p.png")), np.asarray(picture.convert("RGB")))


def test_one_bit_png_and_bmp_become_black_and_white(
    tmp_path: Path, noise: Callable[..., Any]
) -> None:
    picture = Image.fromarray(noise(20, 30) > 100)
    for name in ("x.png", "x.bmp"):
        picture.save(tmp_path / name)
        assert_array_equal(read_frame(Frame(tmp_path / name)), np.asarray(picture) * np.uint8(255))


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_bmp_keeps_its_pixels(tmp_path: Path, mode: str, noise: Callable[..., Any]) -> None:
    picture = Image.fromarray(noise(20, 30, 3)).convert(mode)
    picture.save(tmp_path / "x.bmp")
    expected = np.asarray(picture if mode == "L" else picture.convert("RGB"))
    assert_array_equal(read_frame(Frame(tmp_path / "x.bmp")), expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_is_read_in_grey_or_rgb(tmp_path: Path, mode: str, smooth: Callable[..., Any]) -> None:
    grey = smooth(40, 60)
    picture = Image.fromarray(np.stack([grey] * 3, axis=-1)).convert(mode)
    picture.save(tmp_path / "x.JPG", "JPEG", quality=95)
    read = read_frame(Frame(tmp_path / "x.JPG"))
    assert read.shape == ((40, 60) if mode == "L" else (40, 60, 3))
    assert (
        np.abs(read.astype(int) - np.asarray(picture.convert("L" if mode == "L" else "RGB"))).max()
        < 12
    )


@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.bmp"])
def test_truncated_picture_is_named(
    tmp_path: Path, name: str, share: float, noise: Callable[..., Any], cut: Callable[..., Any]
) -> None:
    Image.fromarray(noise(200, 300, 3)).save(tmp_path / name)
    with pytest.raises(UserError, match=f"cut-{name}' cannot be read"):
        read_frame(Frame(cut(tmp_path / name, share)))
