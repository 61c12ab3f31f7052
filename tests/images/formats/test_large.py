"""Large images are read in parts, and these are the parts of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import psutil
import pytest
import tifffile
from hypothesis import given, strategies as st
from numpy.testing import assert_array_equal
from support.slides import write_pyramid

from napari_attmil.core import UserError
from napari_attmil.images.crops import crop_cell
from napari_attmil.images.formats import LargeImage, LevelStack, by_content, tiff
from napari_attmil.images.formats.header import to_image
from napari_attmil.images.reading import open_frame, open_frames, open_sample, read_images

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RNG = np.random.default_rng(5)
COLOUR: NDArray[np.uint8] = RNG.integers(0, 255, (150, 203, 3), np.uint8)
GREY: NDArray[np.uint16] = RNG.integers(0, 65535, (150, 203), np.uint16)


@pytest.fixture(autouse=True)
def hundred_pixels_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_content, "LARGE_PX", 100)


def opened(path: Path) -> LargeImage:
    (frame,) = open_frames(path)
    image = open_frame(frame)
    assert isinstance(image, LargeImage)
    return image


@pytest.mark.parametrize(
    "place",
    [
        np.s_[10:90, 20:177],
        np.s_[5:150:7, 3:203:13],
        np.s_[-40:, -40:],
        np.s_[17],
        np.s_[17, 33],
        np.s_[:, 5],
        np.s_[60:60, 3:5],
        np.s_[140:400, 200:400],
        np.ix_(np.clip(np.arange(-5, 40), 0, 149), np.arange(190, 203)),
    ],
    ids=str,
)
@pytest.mark.parametrize("whole", [COLOUR, GREY], ids=["colour", "grey"])
def test_a_part_is_that_of_the_whole(tmp_path: Path, whole: NDArray[Any], place: Any) -> None:
    image = opened(write_pyramid(tmp_path / "a.tif", whole))
    assert (image.shape, image.dtype, image.ndim) == (whole.shape, whole.dtype, whole.ndim)
    assert_array_equal(image[place], whole[place])


@pytest.mark.parametrize(
    "options",
    [
        {"tile": None, "rowsperstrip": 7},
        {"compression": "lzw"},
        {"compression": "zlib", "predictor": True},
        {"byteorder": ">"},
    ],
    ids=str,
)
def test_strips_and_packed_tiles_are_read_as_the_whole_is(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    order = options.pop("byteorder", None)
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=order) as writer:
        settings = {"tile": (32, 48), **options}
        writer.write(GREY, photometric="miniswhite", metadata=None, **settings)
    assert_array_equal(opened(tmp_path / "a.tif")[3:140, 11:200], 65535 - GREY[3:140, 11:200])


def test_jpeg_tiles_in_colour_are_read_as_the_whole_is(tmp_path: Path) -> None:
    smooth = np.kron(COLOUR[:5, :6], np.ones((32, 32, 1), np.uint8))
    path = write_pyramid(tmp_path / "a.svs", smooth, compression="jpeg")
    assert_array_equal(np.asarray(opened(path)), tifffile.imread(path))


def test_only_tiles_of_the_part_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = opened(write_pyramid(tmp_path / "a.tif", COLOUR, compression="zlib"))
    converted = []

    def noted(tile: NDArray[Any]) -> NDArray[Any]:
        converted.append(tile.shape)
        return to_image(tile)

    monkeypatch.setattr(tiff, "to_image", noted)
    assert image[33:60, 70:90].shape == (27, 20, 3)
    assert converted == [(32, 32, 3)]
    assert image[40:50, 64:96].shape == (10, 32, 3)  # the tile is kept
    assert len(converted) == 1


def test_pixels_that_are_converted_are_read_whole(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.tif", GREY.astype(np.float32) / 65535)
    (frame,) = open_frames(tmp_path / "a.tif")
    assert isinstance(open_frame(frame), np.ndarray)


def test_smaller_copies_are_its_levels_and_no_fields(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tif", COLOUR)
    assert len(open_sample(path)) == 1
    image = opened(path)
    assert [level.shape[:2] for level in image.levels] == [(150, 203), (75, 102), (38, 51)]
    assert_array_equal(image.at(2)[10:20, 30:40], COLOUR[20:40:2, 60:80:2])
    assert image.at(8).shape[:2] == (19, 26)
    mean = COLOUR[8:16:4, 16:24:4].reshape(-1, 3).astype(int).sum(axis=0) // 4
    assert_array_equal(image.at(8)[1:2, 2:3][0, 0], mean)
    assert image.overview(40).shape == (75, 102, 3)


@pytest.mark.parametrize(
    ("sides", "factor", "step"),
    [
        ((50, 68), 2, 2),  # a third is no half
        ((50, 68), 8, 8),  # nor is 8 times made of it
        ((50, 68), 6, 2),  # 6 times is, of pairs
        ((100, 135), 2, 2),  # no whole number of times smaller
        ((50, 102), 2, 2),  # not alike both ways
    ],
)
def test_a_copy_is_made_of_those_that_fit_its_size(
    sides: tuple[int, int], factor: int, step: int
) -> None:
    whole = np.full((150, 203), 10, np.uint8)
    copy = np.full(sides, 20, np.uint8)
    level = LargeImage((whole, copy)).at(factor)
    assert level.shape == (-(-150 // factor), -(-203 // factor))
    assert np.unique(level[:, :]).tolist() == [20 if step < factor else 10]


def test_all_of_it_is_refused_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        available = 8_000_000_000

    class Slide:
        shape, dtype = (100_000, 100_000, 3), np.dtype(np.uint8)

        def __getitem__(self, place: tuple[slice, slice]) -> Any:
            rows, columns = (range(*each.indices(100_000)) for each in place)
            assert len(rows) * len(columns) < 1000, "it is read"
            return np.zeros((len(rows), len(columns), 3), np.uint8)

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    image = LargeImage((Slide(),), "'a.svs'")
    sentence = r"'a.svs' states 100,000 x 100,000 pixels, .* 60\.0 GB .* and 8\.0 GB are free"
    for whole in (image, image.cut(0, 0, 100_000, 100_000)):
        with pytest.raises(UserError, match=sentence):
            np.asarray(whole)
    assert np.asarray(image.cut(5, 5, 15, 25)).shape == (10, 20, 3)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_part_that_cannot_be_read_later_is_explained(
    tmp_path: Path, compression: str | None
) -> None:
    path = write_pyramid(tmp_path / "a.tif", COLOUR, compression=compression)
    image = opened(path)
    path.write_bytes(path.read_bytes()[:200])
    reason = "a.tif' cannot be read: .* copy it again"
    with pytest.raises(UserError, match=reason):
        image[50:100, 70:180]
    with pytest.raises(UserError, match=reason):
        image.at(2)[:, :]
    path.unlink()
    with pytest.raises(UserError, match="does not exist"):
        image.cut(50, 70, 100, 180)[:, :]


def test_its_darkest_and_brightest_values_are_found_once(tmp_path: Path) -> None:
    class Noted:
        shape, dtype = GREY.shape, GREY.dtype
        parts: ClassVar[list[Any]] = []

        def __getitem__(self, place: tuple[slice, slice]) -> Any:
            self.parts.append(place)
            return GREY[place]

    image: Any = LargeImage((Noted(),))
    first = crop_cell(image, (20, 30, 40, 50))
    before = len(Noted.parts)
    assert_array_equal(crop_cell(image, (20, 30, 40, 50)), first)
    assert len(Noted.parts) == before + 1


def test_a_cut_is_read_where_it_lies(tmp_path: Path) -> None:
    image = opened(write_pyramid(tmp_path / "a.tif", COLOUR)).cut(20, 30, 120, 500)
    assert image.shape == (100, 173, 3)
    assert_array_equal(image[5:50:3, -20:], COLOUR[20:120, 30:][5:50:3, -20:])


def test_images_of_a_sample_are_read_in_parts_too(tmp_path: Path) -> None:
    images = read_images(open_sample(write_pyramid(tmp_path / "a.tif", COLOUR)))
    assert isinstance(images[0], LargeImage) and images.sizes == ((150, 203),)
    assert_array_equal(np.asarray(images)[0], COLOUR)


@given(
    st.integers(0, 1),
    st.tuples(*[st.integers(0, 20)] * 4),
    st.tuples(*[st.integers(0, 12)] * 4),
)
def test_a_stack_of_levels_is_read_as_an_array(
    which: int, outer: tuple[int, ...], inner: tuple[int, ...]
) -> None:
    images = [COLOUR[:15, :20], COLOUR[30:50, :11]]
    whole = np.zeros((2, 20, 20, 3), np.uint8)
    whole[0, :15, :20], whole[1, :20, :11] = images
    stack = LevelStack(images)
    assert (stack.shape, stack.ndim, stack.size) == (whole.shape, 4, whole.size)
    (y, to_y, x, to_x), (v, to_v, u, to_u) = outer, inner
    part = stack[:, y:to_y, x:to_x, :]
    assert_array_equal(np.asarray(part), whole[:, y:to_y, x:to_x])
    there = whole[:, y:to_y, x:to_x][which, v:to_v, u:to_u]
    assert_array_equal(part[which, v:to_v, u:to_u], there)
    assert stack[which] is images[which]
