"""Microscope makers' formats."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import imagecodecs
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from support.czi_files import CziPlane, channels_xml, write_czi

from napari_attmil.core.errors import UserError
from napari_attmil.images.formats import file_header
from napari_attmil.images.plane_choice import PlaneChoice
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
    sample = open_sample(CZI / "time_grey16.czi", planes=PlaneChoice(time="all"))
    images = read_images(sample)
    assert (images.shape, images.dtype) == ((3, 12, 16), np.uint16)
    for time in range(3):
        assert_array_equal(images[time], czi_plane(time, "uint16", 1)[..., 0])
    assert sample.pixel_size_um == pytest.approx(0.11)


def test_tiles_of_a_czi_mosaic_are_images_with_red_first() -> None:
    images = read_images(open_sample(CZI / "mosaic_colour.czi"))
    assert images.shape == (2, 12, 16, 3)
    for tile in range(2):
        assert_array_equal(images[tile], czi_plane(tile, "uint8", 3)[..., ::-1])


def test_the_channels_of_a_czi_are_planes_of_one_place() -> None:
    header = file_header(CZI / "two_channels.czi")
    assert header.axes.sizes == {"P": 1, "T": 1, "C": 2, "Z": 1}
    assert len(open_sample(CZI / "two_channels.czi")) == 1
    for channel, frame in enumerate(open_frames(CZI / "two_channels.czi")):
        assert_array_equal(read_frame(frame), czi_plane(channel, "uint8", 1)[..., 0])


def several_scenes(path: Path) -> Path:
    """Write two scenes of two tiles with two planes in z, each of a grey of its own."""
    planes = [
        CziPlane(np.full((6, 8), 100 * s + 10 * m + z, np.uint8), {"X": 8 * m, **starts})
        for s, m, z in np.ndindex(2, 2, 2)
        if (starts := {"S": s, "M": m, "Z": z, "C": 0})
    ]
    return write_czi(path, planes, channels_xml(("TL", "Phase")))


def test_scenes_and_tiles_of_a_czi_are_fields(tmp_path: Path) -> None:
    path = several_scenes(tmp_path / "slide.czi")
    header = file_header(path)
    assert header.axes.sizes == {"P": 4, "T": 1, "C": 1, "Z": 2}
    assert (header.axes.channels, header.axes.z_step_um) == (("TL Phase",), pytest.approx(0.5))
    images = read_images(open_sample(path, planes=PlaneChoice(z="2")))
    assert [int(image[0, 0]) for image in images] == [1, 11, 101, 111]


def test_czifile_reads_the_same_planes(tmp_path: Path) -> None:
    czifile = pytest.importorskip("czifile")
    path = several_scenes(tmp_path / "slide.czi")
    with czifile.CziFile(str(path)) as czi:
        theirs = sorted(int(block.data().flat[0]) for block in czi.subblocks())
    assert sorted(int(read_frame(frame)[0, 0]) for frame in open_frames(path)) == theirs


def test_further_phases_of_a_czi_are_no_fields_and_are_told(tmp_path: Path) -> None:
    planes = [CziPlane(np.full((6, 8), h, np.uint8), {"H": h, "C": 0}) for h in range(3)]
    header = file_header(write_czi(tmp_path / "sim.czi", planes))
    assert header.axes.sizes["P"] == 1
    assert header.axes.left_out == ("planes of further angles, phases or the like",)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_truncated_czi_is_named(tmp_path: Path, share: float, cut: Callable[..., Any]) -> None:
    path = tmp_path / "slide.czi"
    path.write_bytes((CZI / "mosaic_colour.czi").read_bytes())
    with pytest.raises(UserError, match=r"slide\.czi' cannot be read"):
        for frame in open_frames(cut(path, share)):
            read_frame(frame)


def test_missing_extra_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bioio", None)
    (tmp_path / "x.nd2").write_bytes(bytes(40))
    with pytest.raises(UserError, match=r"pip install 'napari-attmil\[bioio\]'"):
        open_frames(tmp_path)


def test_a_download_that_fails_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bioio = pytest.importorskip("bioio")

    def refused(path: Path) -> None:
        raise RuntimeError("no jar") from URLError("Name or service not known")

    monkeypatch.setattr(bioio, "BioImage", refused)
    (tmp_path / "x.zvi").write_bytes(bytes(40))
    with pytest.raises(UserError, match="downloaded at its first use"):
        open_frames(tmp_path)


def test_bioio_reads_what_nothing_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: Callable[..., Any]
) -> None:
    bioio = pytest.importorskip("bioio")
    readers = pytest.importorskip("bioio_base")
    stack = noise(2, 2, 3, 6, 8)  # T, C, Z, Y, X

    class TwoScenes:
        """What bioio's readers give, of a file with two scenes."""

        scenes = ("a", "b")
        dtype = stack.dtype
        channel_names = ("EGFP", "TL Brightfield")
        physical_pixel_sizes = readers.types.PhysicalPixelSizes(0.5, 0.11, 0.11)
        dims = readers.dimensions.Dimensions("TCZYX", stack.shape)

        def __init__(self, path: Path) -> None:
            self.scene = 0

        def set_scene(self, name: str) -> None:
            self.scene = self.scenes.index(name)

        def get_image_dask_data(self, axes: str, T: int, Z: int, C: int) -> Any:
            assert axes == "YX"
            return SimpleNamespace(compute=lambda: stack[T, C, Z] ^ self.scene)

    monkeypatch.setattr(bioio, "BioImage", TwoScenes)
    path = tmp_path / "x.nd2"
    path.write_bytes(bytes(40))
    header = file_header(path)
    assert header.axes.sizes == {"P": 2, "T": 2, "C": 2, "Z": 3}
    assert (header.pixel_size_um, header.axes.z_step_um) == (0.11, 0.5)
    images = read_images(open_sample(path, planes=PlaneChoice(z="3", time="2")))
    assert_array_equal(images[0], stack[1, 1, 2])
    assert_array_equal(images[1], stack[1, 1, 2] ^ 1)


def test_pictures_of_an_animation_are_a_film(tmp_path: Path) -> None:
    images = np.stack([np.full((12, 16), value, np.uint8) for value in (0, 120, 240)])
    frames = [Image.fromarray(image) for image in images]
    path = tmp_path / "x.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert file_header(path).axes.sizes["T"] == 3
    read = read_images(open_sample(path, planes=PlaneChoice(time="all")))
    assert_array_equal(np.asarray(read)[..., 1], images)


@pytest.mark.parametrize("suffix", ["webp", "jfif", "jpe"])
def test_pictures_of_the_web_are_read(tmp_path: Path, suffix: str) -> None:
    image = np.full((12, 16, 3), (200, 100, 50), np.uint8)
    kind = {"webp": "WEBP"}.get(suffix, "JPEG")
    options = {"lossless": True} if kind == "WEBP" else {"quality": 98}
    Image.fromarray(image).save(tmp_path / f"x.{suffix}", kind, **options)
    (frame,) = open_sample(tmp_path).frames
    assert np.abs(read_frame(frame).astype(int) - image).max() < 4


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((12, 16), "uint8", (12, 16)),
        ((12, 16), "uint16", (12, 16)),
        ((12, 16, 2), "uint8", (12, 16)),  # grey and alpha
        ((12, 16, 3), "uint16", (12, 16, 3)),
    ],
)
def test_jpeg_2000_is_read_and_its_alpha_dropped(
    tmp_path: Path,
    shape: tuple[int, ...],
    dtype: str,
    expected: tuple[int, ...],
    noise: Callable[..., Any],
) -> None:
    image = noise(*shape, dtype=dtype)
    (tmp_path / "x.jp2").write_bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat="jp2"))
    (frame,) = open_sample(tmp_path / "x.jp2").frames
    header = file_header(tmp_path / "x.jp2").pages[0]
    assert (header.shape, header.dtype) == (expected, np.dtype(dtype))
    assert_array_equal(read_frame(frame), image[..., 0] if len(shape) > len(expected) else image)
