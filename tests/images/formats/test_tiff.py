"""TIFF in the ways microscopes and programs write it."""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal

from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Frame
from napari_attmil.images.formats import file_header
from napari_attmil.images.reading import (
    open_frames,
    open_sample,
    read_frame,
    read_images,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "lzw"},
        {"compression": "lzw", "predictor": True},
        {"compression": "zlib"},
        {"compression": "zstd"},
        {"compression": "packbits"},
        {"tile": (32, 48), "compression": "zlib"},
        {"rowsperstrip": 7, "compression": "lzw"},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"metadata": None},
        {"metadata": None, "compression": "lzw"},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"imagej": True},
    ],
    ids=str,
)
def test_grey_tiff_stack_keeps_its_pixels(
    tmp_path: Path,
    dtype: str,
    options: dict[str, Any],
    noise: Callable[..., Any],
    stack_of: Callable[..., Any],
) -> None:
    images = noise(4, 50, 70, dtype=dtype)
    options = {"photometric": "minisblack", **options}
    tifffile.imwrite(tmp_path / "stack.tif", images, **options)
    read = stack_of(tmp_path / "stack.tif")
    assert read.dtype == dtype
    assert_array_equal(read, images)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "lzw"},
        {"tile": (32, 32), "compression": "zlib"},
        {"metadata": None},
        {"imagej": True},
        {"ome": True, "metadata": {"axes": "TYXS"}},
    ],
    ids=str,
)
def test_colour_tiff_stack_keeps_its_pixels(
    tmp_path: Path, options: dict[str, Any], noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    images = noise(3, 40, 50, 3)
    tifffile.imwrite(tmp_path / "rgb.tif", images, photometric="rgb", **options)
    assert_array_equal(stack_of(tmp_path / "rgb.tif"), images)


def test_jpeg_compressed_tiff_is_near_its_source_in_grey_and_colour(
    tmp_path: Path, stack_of: Callable[..., Any], smooth: Callable[..., Any]
) -> None:
    grey = smooth(2, 64, 80)
    tifffile.imwrite(tmp_path / "grey.tif", grey, compression="jpeg", photometric="minisblack")
    assert np.abs(stack_of(tmp_path / "grey.tif").astype(int) - grey).max() < 8
    colour = np.stack([grey, 255 - grey, grey // 2], axis=-1)
    tifffile.imwrite(tmp_path / "rgb.tif", colour, compression="jpeg", photometric="rgb")
    read = stack_of(tmp_path / "rgb.tif")
    assert read.shape == colour.shape
    assert np.abs(read.astype(int) - colour).max() < 16


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_planar_rgb_becomes_one_colour_image(
    tmp_path: Path, compression: str | None, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    planes = noise(3, 40, 50)
    tifffile.imwrite(
        tmp_path / "planar.tif",
        planes,
        photometric="rgb",
        planarconfig="separate",
        compression=compression,
    )
    assert_array_equal(stack_of(tmp_path / "planar.tif"), np.moveaxis(planes, 0, -1)[np.newaxis])


def test_every_time_point_and_focal_plane_is_an_image_of_its_own(
    tmp_path: Path, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    images = noise(2, 3, 20, 30)
    kinds: dict[str, dict[str, Any]] = {"a.ome.tif": {"ome": True}, "b.tif": {"imagej": True}}
    for name, kind in kinds.items():
        tifffile.imwrite(tmp_path / name, images, metadata={"axes": "TZYX"}, **kind)
        assert_array_equal(stack_of(tmp_path / name), images.reshape(6, 20, 30))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_channels_called_red_green_and_blue_are_one_colour_image(
    tmp_path: Path, compression: str | None, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    images = noise(2, 3, 20, 30)
    path = tmp_path / "c.ome.tif"
    names = {"axes": "TCYX", "Channel": {"Name": ["Red", "Green", "Blue"]}}
    tifffile.imwrite(path, images, metadata=names, compression=compression)
    assert_array_equal(stack_of(path), np.moveaxis(images, 1, -1))


def test_other_channels_are_planes_of_their_own(
    tmp_path: Path, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    images = noise(2, 20, 30)
    tifffile.imwrite(tmp_path / "bf-dapi.ome.tif", images, metadata={"axes": "CYX"})
    assert_array_equal(stack_of(tmp_path / "bf-dapi.ome.tif"), images)


def test_inks_become_red_green_and_blue(tmp_path: Path, stack_of: Callable[..., Any]) -> None:
    # Cyan takes red away, and so on; black takes from all: 255 * (1 - c) * (1 - k), by hand.
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 51, 0, 0], [0, 0, 102, 127]]], np.uint8)
    tifffile.imwrite(tmp_path / "cmyk.tif", inks, photometric="separated")
    expected = [[[255, 255, 255], [0, 255, 255], [255, 204, 255], [128, 128, 77]]]
    assert_array_equal(stack_of(tmp_path / "cmyk.tif")[0], expected)


def test_alpha_is_dropped(
    tmp_path: Path, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    image = noise(20, 30, 4)
    tifffile.imwrite(tmp_path / "rgba.tif", image, photometric="rgb", extrasamples="unassalpha")
    assert_array_equal(stack_of(tmp_path / "rgba.tif")[0], image[..., :3])


def test_white_is_zero_is_turned_over(
    tmp_path: Path, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    for dtype, white in [("uint8", 255), ("uint16", 65535)]:
        image = noise(20, 30, dtype=dtype)
        tifffile.imwrite(tmp_path / f"{dtype}.tif", image, photometric="miniswhite")
        assert_array_equal(stack_of(tmp_path / f"{dtype}.tif")[0], white - image)


def test_palette_tiff_becomes_rgb(
    tmp_path: Path, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    palette = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 7)])
    indices = noise(20, 30)
    tifffile.imwrite(
        tmp_path / "p.tif",
        indices,
        photometric="palette",
        colormap=(palette * 257).astype(np.uint16),
    )
    assert_array_equal(stack_of(tmp_path / "p.tif")[0], palette.T[indices])


def test_one_bit_becomes_black_and_white(
    tmp_path: Path, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    mask = noise(20, 30) > 100
    tifffile.imwrite(tmp_path / "mask.tif", mask, photometric="minisblack")
    read = stack_of(tmp_path / "mask.tif")[0]
    assert read.dtype == np.uint8
    assert_array_equal(read, np.where(mask, 255, 0))


def test_what_is_not_finite_is_black(tmp_path: Path, stack_of: Callable[..., Any]) -> None:
    image = np.array([[-1.0, 0.0, 1.0], [np.nan, np.inf, 0.5]], np.float32)
    tifffile.imwrite(tmp_path / "f.tif", image, photometric="minisblack")
    expected = [[1, 32768, 65535], [0, 0, 49152]]  # v * 32767 + 32768, rounded half to even
    assert_array_equal(stack_of(tmp_path / "f.tif")[0], expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 16384, 32767]),  # shares: 1 is half the range, 0.5 half to even
        ([0.7, 1.0, 1.1], [22937, 32767, 36044]),  # an image divided by its background
        ([0.0, 100.0, 255.0], [0, 12800, 32640]),  # 8-bit grey levels, times 128
        ([0.0, 100.4, 4095.0], [0, 100, 4095]),  # a 12-bit camera's counts
        ([-5.0, 0.0, 3000.0], [32763, 32768, 35768]),
    ],
)
def test_a_float_has_the_same_grey_in_every_image_of_its_kind(
    tmp_path: Path, stack_of: Callable[..., Any], values: list[float], expected: list[int]
) -> None:
    tifffile.imwrite(tmp_path / "f.tif", np.array([values], np.float32), photometric="minisblack")
    assert_array_equal(stack_of(tmp_path / "f.tif")[0], [expected])


def test_signed_values_keep_their_distances(tmp_path: Path, stack_of: Callable[..., Any]) -> None:
    image = np.array([[-32768, -3, 0, 4095, 32767]], np.int16)
    tifffile.imwrite(tmp_path / "i.tif", image, photometric="minisblack")
    assert_array_equal(stack_of(tmp_path / "i.tif")[0], image.astype(int) + 32768)


def test_blank_float_image_is_of_one_grey(tmp_path: Path, stack_of: Callable[..., Any]) -> None:
    tifffile.imwrite(tmp_path / "f.tif", np.full((4, 5), 3.5, np.float32))
    assert_array_equal(stack_of(tmp_path / "f.tif")[0], np.full((4, 5), 448))  # 3.5 * 128


def test_whole_numbers_that_fit_sixteen_bit_keep_their_values(
    tmp_path: Path, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    for dtype in ("int16", "int32", "uint32"):
        image = noise(20, 30, dtype="uint8").astype(dtype) * 100
        tifffile.imwrite(tmp_path / f"{dtype}.tif", image, photometric="minisblack")
        read = stack_of(tmp_path / f"{dtype}.tif")[0]
        assert read.dtype == np.uint16
        assert_array_equal(read, image)


def test_imagej_stack_with_a_single_directory_is_read_plane_by_plane(
    tmp_path: Path, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    # ImageJ writes stacks above 4 GB so: bare planes after the only directory.
    images = noise(5, 20, 30, dtype="uint16")
    path = tmp_path / "huge.tif"
    tifffile.imwrite(path, images, metadata={"axes": "TYX"}, truncate=True, byteorder=">")
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == 1
    assert_array_equal(stack_of(path), images)
    assert_array_equal(read_frame(Frame(path, 3)), images[3])


def test_pyramid_levels_and_thumbnails_are_no_images(
    tmp_path: Path, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    image = noise(64, 64, 3)
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as writer:
        writer.write(image, photometric="rgb", tile=(16, 16), subifds=1)
        writer.write(image[::2, ::2], photometric="rgb", tile=(16, 16), subfiletype=1)
        writer.write(image[::4, ::4], photometric="rgb", subfiletype=1)
    assert_array_equal(stack_of(tmp_path / "pyramid.tif"), image[np.newaxis])


def test_folder_of_an_ome_set_gives_every_image_once(
    tmp_path: Path, noise: Callable[..., Any], stack_of: Callable[..., Any]
) -> None:
    names = ["set_0.ome.tif", "set_1.ome.tif"]
    uuids = [f"urn:uuid:0000000{i}-0000-0000-0000-000000000000" for i in range(2)]
    blocks = "".join(
        f'<TiffData IFD="0" PlaneCount="1" FirstT="{t}" FirstC="0" FirstZ="0">'
        f'<UUID FileName="{names[t]}">{uuids[t]}</UUID></TiffData>'
        for t in range(2)
    )
    images = noise(2, 20, 30)
    for t in range(2):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuids[t]}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
            'SizeX="30" SizeY="20" SizeZ="1" SizeC="1" SizeT="2"><Channel ID="Channel:0:0" '
            f'SamplesPerPixel="1"/>{blocks}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / names[t], images[t], description=xml, metadata=None)
    assert_array_equal(stack_of(tmp_path), images)


def test_reading_one_frame_of_a_stack_decodes_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: Callable[..., Any]
) -> None:
    path = tmp_path / "stack.tif"
    images = noise(300, 16, 16)
    tifffile.imwrite(path, images, compression="lzw", photometric="minisblack")
    sample = open_sample(path)
    decoded = []
    whole = tifffile.TiffPage.asarray

    def counting(page: tifffile.TiffPage, **options: Any) -> NDArray[Any]:
        decoded.append(page)
        return whole(page, **options)

    monkeypatch.setattr(tifffile.TiffPage, "asarray", counting)
    sequence = read_images(sample)
    assert len(sequence) == 300
    assert decoded == []
    assert_array_equal(sequence[299], images[299])
    assert len(decoded) == 1


def test_damaged_pixels_of_one_frame_leave_the_others_readable(
    tmp_path: Path, noise: Callable[..., Any]
) -> None:
    path = tmp_path / "stack.tif"
    images = noise(3, 32, 32)
    tifffile.imwrite(path, images, compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages[1].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + 40] = b"\xff" * 40
    path.write_bytes(data)
    frames = open_frames(path)
    assert_array_equal(read_frame(frames[2]), images[2])
    with pytest.raises(UserError, match=r"stack\.tif' cannot be read"):
        read_frame(frames[1])


def test_reading_an_odd_tiff_writes_nothing_to_the_log(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    noise: Callable[..., Any],
    cut: Callable[..., Any],
) -> None:
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, noise(20, 30), description="ImageJ=1.53\nimages=9\n", metadata=None)
    with caplog.at_level(logging.DEBUG, "tifffile"):
        assert len(open_frames(path)) == 1
        with pytest.raises(UserError):
            open_frames(cut(path, 0.5))
    assert not caplog.records
    with caplog.at_level(logging.DEBUG, "tifffile"):
        logging.getLogger("tifffile").warning("somebody else's file")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"resolution": (72, 72), "resolutionunit": "inch"}, None),
        ({"resolution": (300, 300), "resolutionunit": "inch"}, None),
        ({"resolution": (1, 1), "resolutionunit": "none"}, None),
        ({"resolution": (1e5, 1e5), "resolutionunit": "centimeter"}, 0.1),
        ({"resolution": (254000, 254000), "resolutionunit": "inch"}, 0.1),
        ({"resolution": (5.0, 5.0), "imagej": True, "metadata": {"unit": "um"}}, 0.2),
        ({"resolution": (5.0, 5.0), "imagej": True, "metadata": {"unit": "micron"}}, 0.2),
        ({"resolution": (5.0, 5.0), "imagej": True, "metadata": {"unit": "\\u00B5m"}}, 0.2),
        ({"resolution": (0.005, 0.005), "imagej": True, "metadata": {"unit": "nm"}}, 0.2),
        ({"resolution": (5.0, 5.0), "imagej": True, "metadata": {"unit": "pixel"}}, None),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.25}}, 0.25),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}}, 0.25),
        ({"ome": True, "metadata": {"PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm"}}, 0.25),
        ({"ome": True, "metadata": {"PhysicalSizeX": 25.0, "PhysicalSizeXUnit": "mm"}}, None),
    ],
    ids=str,
)
def test_pixel_size_is_read_where_it_is_plausible(
    tmp_path: Path, options: dict[str, Any], expected: float | None, noise: Callable[..., Any]
) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(20, 30), **options)
    found = file_header(path).pixel_size_um
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-4))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.97])
@pytest.mark.parametrize(
    "options",
    [
        {"compression": None},
        {"compression": "lzw"},
        {"compression": "jpeg"},
        {"compression": "zlib", "tile": (32, 32)},
        {"metadata": None},
        {"imagej": True},
        {"ome": True},
        {"truncate": True},
    ],
    ids=str,
)
def test_truncated_tiff_is_named_before_it_gives_half_an_image(
    tmp_path: Path,
    options: dict[str, Any],
    share: float,
    noise: Callable[..., Any],
    cut: Callable[..., Any],
) -> None:
    options = {"photometric": "minisblack", **options}
    tifffile.imwrite(tmp_path / "x.tif", noise(4, 128, 160), **options)
    with pytest.raises(UserError, match=r"cut-x\.tif' cannot be read: .*copy it again"):
        open_frames(cut(tmp_path / "x.tif", share))


def test_a_file_of_nothing_but_reduced_copies_is_refused(
    tmp_path: Path, noise: Callable[..., Any]
) -> None:
    tifffile.imwrite(tmp_path / "thumbnail.tif", noise(20, 30), subfiletype=1)
    with pytest.raises(UserError, match="nothing but reduced copies"):
        open_frames(tmp_path / "thumbnail.tif")


@pytest.mark.parametrize(
    ("kind", "count", "value"),
    [(4, 1, 300), (3, 1, 7), (2, 4, 0x41424344), (11, 1, 0x43960000), (5, 0, 0)],
    ids=["long", "short", "text", "float", "nothing"],
)
def test_a_resolution_that_breaks_the_rules_does_not_cost_the_image(
    tmp_path: Path, noise: Callable[..., Any], kind: int, count: int, value: int
) -> None:
    path, image = tmp_path / "a.tif", noise(20, 30)
    tifffile.imwrite(path, image, resolution=(1e5, 1e5), resolutionunit="CENTIMETER", metadata=None)
    with tifffile.TiffFile(path) as tif:
        place = tif.pages.first.tags["XResolution"].offset
    content = bytearray(path.read_bytes())
    content[place + 2 : place + 12] = struct.pack("<HII", kind, count, value)
    path.write_bytes(content)
    assert file_header(path).pixel_size_um is None
    assert_array_equal(read_frame(Frame(path)), image)
