"""What the axes of a layer are taken for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from napari.layers import Image
from napari.layers._source import layer_source
from napari_builtins.io import napari_get_reader  # type: ignore[import-untyped]

from napari_attmil.core import UserError
from napari_attmil.widgets.viewer.image_layers import LayerImages, placement_over
from napari_attmil.widgets.viewer.layer_axes import LayerAxes, check_axes


def layer(*shape: int, labels: str = "", **settings: Any) -> Image:
    """Return a layer whose axes have these letters; none has a name without."""
    names = tuple(labels) if labels else None
    return Image(numbered(*shape), axis_labels=names, rgb=False, **settings)


def read_by_napari(path: Path) -> Image:
    """Return the layer that napari's own reader makes of a file."""
    reader = napari_get_reader(str(path))
    assert reader is not None
    with layer_source(path=str(path)):
        return Image(reader(str(path))[0][0], rgb=False)


def numbered(*shape: int) -> npt.NDArray[np.uint16]:
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "labels", "images", "courses", "planes"),
    [
        ((6, 7), "", None, (), ()),
        ((3, 6, 7), "", 0, (), ()),
        ((2, 3, 6, 7), "", 0, (), (1,)),
        ((2, 3, 4, 6, 7), "", 0, (), (1, 2)),
        ((3, 6, 7), "zyx", None, (), (0,)),
        ((3, 6, 7), "tyx", None, (0,), ()),
        ((3, 6, 7), "CYX", None, (), (0,)),
        ((3, 6, 7), "pyx", 0, (), ()),
        ((2, 3, 6, 7), "zpyx", 1, (), (0,)),
        ((2, 3, 4, 6, 7), "tzcyx", None, (0,), (1, 2)),
        ((5, 2, 3, 4, 6, 7), "ptzcyx", 0, (1,), (2, 3)),
    ],
)
def test_axes_are_known_by_their_labels_else_the_first_holds_the_images(
    shape: tuple[int, ...],
    labels: str,
    images: int | None,
    courses: tuple[int, ...],
    planes: tuple[int, ...],
) -> None:
    axes = LayerAxes.of(layer(*shape, labels=labels))
    assert (axes.images, axes.courses, axes.planes) == (images, courses, planes)
    assert axes.count == (1 if images is None else shape[images])


def test_an_axis_with_a_name_holds_the_images_rather_than_one_without() -> None:
    many = Image(numbered(2, 3, 6, 7), axis_labels=("-4", "position", "y", "x"))
    assert LayerAxes.of(many).images == 1


def test_colours_are_no_axis() -> None:
    axes = LayerAxes.of(Image(np.zeros((2, 5, 6, 7, 3), np.uint8), rgb=True))
    assert (axes.images, axes.planes, axes.ndim) == (0, (1,), 4)


def test_an_image_is_taken_where_the_other_axes_stand() -> None:
    data = layer(2, 3, 4, 6, 7, labels="pzcyx")
    images = LayerImages(data, place=(0, 2, 1))
    assert len(images) == 2
    np.testing.assert_array_equal(images[1], data.data[1, 2, 1])
    np.testing.assert_array_equal(images[-1], images[1])
    np.testing.assert_array_equal(images.of_first_planes()[1], data.data[1, 0, 0])


def test_the_page_of_an_image_is_that_of_its_first_plane_without_channels() -> None:
    axes = LayerAxes.of(layer(5, 2, 3, 4, 6, 7, labels="ptzcyx"))
    # Of 5 x 2 x 3 pages: image 4, time 1, plane 0.
    assert axes.page(4, (0, 1, 2, 3)) == (4 * 2 + 1) * 3
    assert LayerAxes.of(layer(3, 6, 7)).page(2, (0,)) == 2


def test_what_is_assumed_is_said_unless_it_is_plain() -> None:
    assert LayerAxes.of(layer(3, 6, 7)).in_words() == ""
    assert LayerAxes.of(layer(6, 7)).in_words() == ""
    assert LayerAxes.of(layer(2, 4, 3, 6, 7, labels="ptzyx")).in_words() == (
        "'p' holds the 2 images. Along 't' each step has boxes of its own and is classified by "
        "itself. Along 'z' the same cells are shown; what the slider shows is searched."
    )


def test_rows_and_columns_have_to_be_the_last_axes() -> None:
    check_axes(layer(3, 6, 7, labels="zyx"))
    with pytest.raises(UserError, match=r"'x' and 'c'.*axis 'c' before"):
        check_axes(layer(6, 7, 3, labels="yxc"))


@pytest.mark.parametrize(
    "placed",
    [
        {"scale": [1, 0.3, 0.5, 0.5], "translate": [0, 0.13, 10, 20]},
        {"scale": [1, 2, 0.5, 0.5], "rotate": 30},
        {"scale": [1, 0.3, 1, 1], "affine": np.diag([1, 2, 1, 1, 1])},
        {"scale": [1, 0.3, 1, 1], "shear": [0, 0, 0, 0.5, 0, 0]},
    ],
    ids=["scaled", "rotated", "affine", "sheared"],
)
def test_boxes_of_any_plane_lie_over_the_pixels_of_the_one_shown(placed: dict[str, Any]) -> None:
    image = Image(np.zeros((2, 5, 30, 40), np.uint8), **placed)
    axes = LayerAxes.of(image)
    for plane in range(5):
        over = placement_over(image, axes, image.data_to_world((0, plane, 0, 0)))
        boxes = Image(np.zeros((2, 1, 30, 40), np.uint8), **over)
        np.testing.assert_allclose(
            boxes.data_to_world((1, 0, 8, 9)), image.data_to_world((1, plane, 8, 9)), atol=1e-9
        )


def test_boxes_lie_at_just_0_along_planes_of_any_distance() -> None:
    """napari's mouse finds a shape only where the slider stands exactly at it."""
    for distance in (0.3, 0.1, 0.7, 1 / 3, 2.5):
        image = Image(np.zeros((2, 9, 6, 7)), scale=[1, distance, 1, 1], translate=[0, 10.7, 0, 0])
        for plane in range(9):
            here = image.data_to_world((0, plane, 0, 0))
            boxes = Image(
                np.zeros((2, 1, 6, 7)), **placement_over(image, LayerAxes.of(image), here)
            )
            assert boxes.world_to_data(here)[1] == 0
            assert boxes.scale[1] >= distance  # else the slider would get further steps


@pytest.mark.parametrize(
    ("order", "images", "courses", "planes", "channels"),
    [
        ("ZYX", None, (), (0,), ()),
        ("TYX", None, (0,), (), ()),
        ("CYX", None, (), (0,), (0,)),
        ("TZCYX", None, (0,), (1, 2), (2,)),
        ("CTZYX", None, (1,), (0, 2), (0,)),
    ],
)
def test_axes_without_labels_are_those_of_the_file_that_napari_read(
    tmp_path: Path,
    order: str,
    images: int | None,
    courses: tuple[int, ...],
    planes: tuple[int, ...],
    channels: tuple[int, ...],
) -> None:
    sizes = {"T": 4, "Z": 3, "C": 2, "Y": 6, "X": 7}
    path = tmp_path / "a.ome.tif"
    pixels = numbered(*(sizes[letter] for letter in order))
    tifffile.imwrite(path, pixels, metadata={"axes": order}, photometric="minisblack")
    opened = read_by_napari(path)
    assert opened.data.shape == pixels.shape
    axes = LayerAxes.of(opened)
    assert axes == LayerAxes.of(layer(*pixels.shape, labels=order.lower()))
    assert (axes.images, axes.courses, axes.planes) == (images, courses, planes)
    assert axes.channels == channels


def test_a_copy_has_the_axes_of_its_layer_also_when_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, numbered(3, 6, 7), metadata={"axes": "ZYX"}, photometric="minisblack")
    opened = read_by_napari(path)
    with layer_source(parent=opened):
        copy = layer(3, 6, 7)
    assert LayerAxes.of(copy) == LayerAxes.of(opened) == LayerAxes.of(layer(3, 6, 7, labels="zyx"))
    del opened
    assert LayerAxes.of(copy).images is None
    copy.data = numbered(4, 6, 7)
    assert LayerAxes.of(copy).images == 0  # no longer what was in the file


def test_a_channel_alone_has_the_other_axes_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    pixels = numbered(4, 3, 2, 6, 7)
    tifffile.imwrite(path, pixels, metadata={"axes": "TZCYX"}, photometric="minisblack")
    with layer_source(path=str(path)):
        one = layer(4, 3, 6, 7)
        other = layer(3, 4, 6, 7)
    assert LayerAxes.of(one) == LayerAxes.of(layer(4, 3, 6, 7, labels="tzyx"))
    assert LayerAxes.of(other).images == 0  # no array of this file


def test_a_file_that_says_nothing_of_its_pages_holds_images(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, numbered(3, 6, 7), metadata=None, photometric="minisblack")
    opened = read_by_napari(path)
    assert (LayerAxes.of(opened).images, LayerAxes.of(opened).planes) == (0, ())
    np.save(tmp_path / "b.npy", numbered(3, 6, 7))
    opened = read_by_napari(tmp_path / "b.npy")
    assert LayerAxes.of(opened) == LayerAxes.of(layer(3, 6, 7))
