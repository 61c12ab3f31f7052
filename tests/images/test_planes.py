"""Z-stacks, films and channels: one field a place, the same pixels however the file orders them."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal
from scipy import ndimage
from support.czi_files import CziPlane, channels_xml, write_czi
from support.zarr_folders import write_zarr

from napari_attmil.core import UserError, finished
from napari_attmil.images import sharpness as measures
from napari_attmil.images.cohort import Frame
from napari_attmil.images.formats import Axes, PlanePosition, file_header, transmitted_channel
from napari_attmil.images.plane_choice import PlaneChoice
from napari_attmil.images.planes import fields_of, frames_by_choice, page_between_channels
from napari_attmil.images.reading import (
    frame_digest,
    open_cohort,
    open_frames,
    open_sample,
    open_samples,
    read_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

TIMES, PLANES, CHANNELS, SIDE = 3, 5, 2, 48
SHARPEST, BRIGHT_FIELD = 3, 1
ORDERS = ["".join(letters) for letters in permutations("TZC")]


def hyperstack() -> NDArray[np.uint16]:
    """Return (T, Z, C, Y, X): plane 3 is sharp, channel 1 looks like bright field."""
    rng = np.random.default_rng(3)
    stack = np.zeros((TIMES, PLANES, CHANNELS, SIDE, SIDE), np.uint16)
    for time in range(TIMES):
        discs = ndimage.gaussian_filter(rng.random((SIDE, SIDE)), 2) > 0.51
        for z in range(PLANES):
            blurred = ndimage.gaussian_filter(discs.astype(float), 0.5 + abs(z - SHARPEST))
            stack[time, z, 0] = 90 + 900 * ndimage.gaussian_filter(blurred, 1) ** 3
            stack[time, z, 1] = 2000 - 600 * blurred
    return stack


STACK = hyperstack()


def in_order(order: str) -> NDArray[np.uint16]:
    """Return the planes as a file with these axes has them, the last one fastest."""
    return np.ascontiguousarray(np.transpose(STACK, [*map("TZC".index, order), 3, 4]))


def write_imagej(path: Path, order: str) -> Path:
    """Write a hyperstack; tifffile and ImageJ name the fastest axis first."""
    description = (
        f"ImageJ=1.54f\nimages=30\nchannels={CHANNELS}\nslices={PLANES}\nframes={TIMES}\n"
        f"hyperstack=true\nmode=grayscale\norder={order[::-1].lower()}\n"
    )
    pages = in_order(order).reshape(-1, SIDE, SIDE)
    tifffile.imwrite(path, pages, description=description, metadata=None, photometric="minisblack")
    return path


def write_ome(path: Path, order: str) -> Path:
    tifffile.imwrite(path, in_order(order), ome=True, metadata={"axes": f"{order}YX"})
    return path


def write_stack_as_czi(path: Path, order: str) -> Path:
    """Write the planes in some order, beside levels of the pyramid."""
    planes = []
    for index in np.ndindex(*in_order(order).shape[:3]):
        starts = dict(zip(order, index, strict=True))
        pixels = in_order(order)[index]
        planes.append(CziPlane(pixels, starts))
        planes.append(CziPlane(pixels[::2, ::2], starts, is_level=True))
    return write_czi(path, planes, channels_xml(("DAPI", "Fluorescence"), ("Cam", "Brightfield")))


def write_stack_as_zarr(path: Path, order: str) -> Path:
    return write_zarr(path, in_order(order), order, channels=("DAPI", "Brightfield"), pixel_um=0.1)


def frames_of(path: Path, **chosen: str) -> tuple[Frame, ...]:
    return finished(frames_by_choice(path, PlaneChoice(**chosen)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.tif", write_imagej),
        ("a.ome.tif", write_ome),
        ("a.czi", write_stack_as_czi),
        ("a.ome.zarr", write_stack_as_zarr),
    ],
)
def test_a_hyperstack_is_one_field_the_same_whatever_the_order_of_its_axes(
    tmp_path: Path, order: str, name: str, write: Callable[[Path, str], Path]
) -> None:
    path = write(tmp_path / name, order)
    assert len(open_frames(path)) == TIMES * PLANES * CHANNELS
    sample = open_sample(path)
    assert len(sample) == 1
    assert_array_equal(read_frame(sample.frames[0]), STACK[0, SHARPEST, BRIGHT_FIELD])
    chosen = open_sample(path, planes=PlaneChoice("2", "3", "1"))
    assert_array_equal(read_frame(chosen.frames[0]), STACK[2, 1, 0])


def test_tifffiles_own_hyperstack_is_read_by_its_axes(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "TZCYX"})
    (frame,) = open_sample(path).frames
    assert_array_equal(read_frame(frame), STACK[0, SHARPEST, BRIGHT_FIELD])


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"z": "middle"}, [STACK[0, 2, 1]]),
        ({"z": "max"}, [STACK[0, :, 1].max(axis=0)]),
        ({"z": "mean"}, [np.rint(STACK[0, :, 1].mean(axis=0))]),
        ({"z": "all"}, [STACK[0, z, 1] for z in range(PLANES)]),
        ({"z": "1", "time": "all"}, [STACK[time, 0, 1] for time in range(TIMES)]),
        ({"z": "mean", "time": "2"}, [np.rint(STACK[1, :, 1].mean(axis=0))]),
    ],
    ids=str,
)
def test_planes_and_time_points_are_those_that_were_chosen(
    tmp_path: Path, chosen: dict[str, str], expected: list[NDArray[Any]]
) -> None:
    path = write_ome(tmp_path / "a.ome.tif", "TZC")
    found = [read_frame(frame) for frame in frames_of(path, channel="2", **chosen)]
    assert_array_equal(np.stack(found), np.stack(expected))


def test_each_choice_has_a_page_and_a_fingerprint_of_its_own(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "a.ome.tif", "TZC")
    frames = [frames_of(path, z=z)[0] for z in ("1", "2", "max", "mean")]
    assert len({frame.page for frame in frames}) == 4
    assert len({frame_digest(frame) for frame in frames}) == 4
    assert frames_of(path, z=str(SHARPEST + 1)) == frames_of(path)  # the same pixels, the same page
    assert frames[2].page_in_words == "max of the planes from page 2 on"


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"z": "6"}, "Plane in z 6 was chosen, but an image has only 5; choose 1 to 5."),
        ({"time": "4"}, "Time point 4 was chosen, but an image has only 3; choose 1 to 3."),
        ({"channel": "DAPI"}, "Channel 'DAPI' was chosen, but 'a.ome.tif' has 1, 2; choose"),
        ({"z": "sharp"}, "The choice 'sharp' for z is not known; give a number from 1, or one of"),
        ({"time": "0"}, "The choice '0' for time is not known"),
    ],
)
def test_what_an_image_does_not_have_is_refused(
    tmp_path: Path, chosen: dict[str, str], sentence: str
) -> None:
    path = write_ome(tmp_path / "a.ome.tif", "TZC")
    with pytest.raises(UserError) as caught:
        frames_of(path, **chosen)
    assert str(caught.value).startswith(sentence)


def test_a_single_image_is_there_whatever_is_chosen(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0, 0])
    path = tmp_path / "a.tif"
    assert frames_of(path, z="4", time="7", channel="BF") == (Frame(path),)


def test_positions_are_fields_and_irregular_stacks_keep_their_own_planes() -> None:
    positions = (
        PlanePosition(0, 0, 0, 0),
        PlanePosition(0, 0, 0, 1),
        PlanePosition(1, 0, 0, 0),
        None,
        PlanePosition(1, 1, 0, 0),
    )
    axes = Axes(positions)
    assert axes.sizes == {"P": 2, "T": 2, "C": 1, "Z": 2}
    assert fields_of(axes, PlaneChoice()) == ((0, 1), (2,))
    assert fields_of(axes, PlaneChoice(time="all")) == ((0, 1), (2,), (4,))
    assert fields_of(axes, PlaneChoice(z="middle")) == ((0,), (2,))


def test_a_place_with_one_channel_is_a_field_beside_places_with_several() -> None:
    one = [PlanePosition(0, 0, 0, 0)]
    three = [PlanePosition(1, 0, channel, 0) for channel in range(3)]
    axes = Axes((*one, *three), ("DAPI", "GFP", "TL"))
    assert fields_of(axes, PlaneChoice(), 2) == ((0,), (3,))
    two = Axes((*three[:2], *(PlanePosition(2, 0, channel, 0) for channel in range(3))))
    with pytest.raises(UserError, match="several channels, but not channel 3"):
        fields_of(two, PlaneChoice(), 2)


def test_time_points_are_found_between_channels(tmp_path: Path) -> None:
    film, plain = tmp_path / "film.ome.tif", tmp_path / "plain.ome.tif"
    tifffile.imwrite(film, STACK[:, 0, :2], ome=True, metadata={"axes": "TCYX"})
    tifffile.imwrite(plain, STACK[:, 0, 0], ome=True, metadata={"axes": "TYX"})
    assert [page_between_channels(film, 0, time) for time in range(4)] == [0, 2, 4, None]
    assert page_between_channels(plain, 0, 1) is None
    assert page_between_channels(tmp_path / "missing.tif", 0, 0) is None


def test_a_channel_whose_name_is_a_number_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    names = {"axes": "CYX", "Channel": {"Name": ["405", "488"]}}
    tifffile.imwrite(path, STACK[0, 0], ome=True, metadata=names)
    assert frames_of(path, channel="488") == (Frame(path, 1),)
    assert frames_of(path, channel="1") == (Frame(path, 0),)


def test_several_scenes_of_ome_are_a_field_each(tmp_path: Path) -> None:
    path = tmp_path / "scenes.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for time in range(2):
            writer.write(STACK[time, :, 1], metadata={"axes": "ZYX", "Name": f"Pos {time}"})
    frames = open_sample(path).frames
    assert [frame.page for frame in frames] == [SHARPEST, PLANES + SHARPEST]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 5),
        ({"metadata": None}, 5),
        ({"imagej": True}, 5),  # tifffile calls images without axes channels
        ({"imagej": True, "metadata": {"axes": "ZYX"}}, 1),
        ({"imagej": True, "metadata": {"axes": "ZYX", "hyperstack": False}}, 5),
        ({"imagej": True, "metadata": {"axes": "ZYX", "hyperstack": False, "spacing": 0.5}}, 1),
        ({"metadata": {"axes": "ZYX"}}, 1),
        ({"metadata": {"axes": "PYX"}}, 5),
        ({"ome": True, "metadata": {"axes": "TYX"}}, 1),
    ],
    ids=str,
)
def test_a_flat_stack_stays_a_stack_of_fields(
    tmp_path: Path, options: dict[str, Any], expected: int
) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, STACK[0, :, 1], photometric="minisblack", **options)
    assert len(open_sample(path)) == expected


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (("DAPI", "BF"), 1),
        (("EGFP", "TL DIC"), 1),
        (("Phase", "Brightfield"), 1),
        (("Cy3 Epifluorescence", "Cam2 Transmitted"), 1),
        (("ChS1", "T-PMT"), 1),
        (("bright_1", "FITC"), 0),
        (("DAPI", "Cy3"), None),
        (("BF", "BF"), None),
        (("Rhodamine PH2AX-GFP", "Alexa 488"), None),
        ((), None),
    ],
)
def test_the_channel_of_transmitted_light_is_known_by_its_name(
    channels: tuple[str, ...], expected: int | None
) -> None:
    assert transmitted_channel(channels) == expected


def test_a_named_channel_comes_before_the_look(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    names = {"axes": "CYX", "Channel": {"Name": ["BF", "DAPI"]}}
    tifffile.imwrite(path, STACK[0, 0], ome=True, metadata=names)
    assert file_header(path).axes.channels == ("BF", "DAPI")
    assert frames_of(path) == (Frame(path, 0),)
    assert frames_of(path, channel="dap") == (Frame(path, 1),)


def test_three_channels_are_colours_only_where_the_file_says_so(tmp_path: Path) -> None:
    image = np.stack([STACK[0, 0, 0], STACK[0, 0, 1], STACK[0, 1, 0]])
    named, unnamed, samples = (tmp_path / name for name in ("rgb.tif", "c.tif", "s.tif"))
    labels = {"axes": "CYX", "mode": "composite", "Labels": ["Red", "Green", "Blue"]}
    tifffile.imwrite(named, image, imagej=True, metadata=labels)
    tifffile.imwrite(unnamed, image, imagej=True, metadata={"axes": "CYX", "mode": "composite"})
    tifffile.imwrite(samples, image, photometric="minisblack", planarconfig="separate")
    (colour,) = open_sample(named).frames
    assert_array_equal(read_frame(colour), np.moveaxis(image, 0, -1))
    for path in (unnamed, samples):
        (grey,) = open_sample(path).frames
        assert_array_equal(read_frame(grey), image[1])


def test_what_is_looked_at_is_said_with_the_way_to_change_it(tmp_path: Path) -> None:
    write_ome(tmp_path / "a.ome.tif", "TZC")
    cohort = open_cohort(tmp_path / "a.ome.tif")
    assert cohort.planes is not None
    assert cohort.planes.text == (
        "Looked at in 1 file: the sharpest of 5 planes in z, the first of 3 time points, channel 2 "
        "of 2, which looks most like bright field. Change it with --z, --time and --channel, or in "
        "the panel under Planes."
    )
    assert cohort.notes == (cohort.planes.text,)
    assert (cohort.planes.z, cohort.planes.times) == (5, 3)
    assert cohort.planes.channels == ("1", "2")


def test_images_without_axes_say_nothing(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, :, 1], photometric="minisblack")
    cohort = open_cohort(tmp_path / "a.tif")
    assert cohort.planes is None
    assert cohort.notes == ()


def test_samples_of_several_files_have_each_its_own_fields(tmp_path: Path) -> None:
    write_ome(tmp_path / "a.ome.tif", "TZC")
    tifffile.imwrite(tmp_path / "b.tif", STACK[:, 0, 1], photometric="minisblack")
    (sample,) = open_samples([tmp_path])
    assert [frame.path.name for frame in sample.frames] == ["a.ome.tif", *["b.tif"] * 3]


def test_what_was_found_is_not_measured_again_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_ome(tmp_path / "a.ome.tif", "TZC")
    first, measured = frames_of(path), []
    sharpness = measures.sharpness

    def counting(image: NDArray[Any]) -> float:
        measured.append(image)
        return sharpness(image)

    monkeypatch.setattr(measures, "sharpness", counting)
    assert frames_of(path) == first
    assert measured == []
    tifffile.imwrite(path, STACK[:, ::-1], ome=True, metadata={"axes": "TZCYX"})
    assert frames_of(path) != first
    assert len(measured) == PLANES


def test_noise_and_wide_rims_are_less_sharp_than_an_edge() -> None:
    rng = np.random.default_rng(0)
    disc = np.hypot(*(np.mgrid[:96, :96] - 47.5)) < 24
    noise = rng.normal(0, 6, disc.shape)
    sharp = 140 + 60 * ndimage.gaussian_filter(disc.astype(float), 1)
    blurred = 140 + 60 * ndimage.gaussian_filter(disc.astype(float), 5)
    assert measures.sharpness(sharp + noise / 2) > measures.sharpness(blurred + noise)


def test_clearly_smaller_pages_are_no_fields_and_are_told(tmp_path: Path) -> None:
    image = np.tile(STACK[0, 0, 1], (2, 2))
    with tifffile.TiffWriter(tmp_path / "scan.tif") as writer:
        for page in (image, image[:, :70], image[:40, :30]):
            writer.write(page, photometric="minisblack", metadata=None)
    assert [frame.page for frame in open_frames(tmp_path / "scan.tif")] == [0, 1]
    assert file_header(tmp_path / "scan.tif").axes.left_out == ("1 clearly smaller page",)


def test_a_slides_label_and_thumbnail_are_no_fields_and_are_told(tmp_path: Path) -> None:
    image = np.tile(STACK[0, 0, 1], (4, 4))
    path = tmp_path / "slide.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for name, page in (("scan", image), ("label image", image[:60]), ("Macro", image[:90])):
            writer.write(page, metadata={"axes": "YX", "Name": name})
    cohort = open_cohort(path)
    assert cohort.samples[0].frames == (Frame(path),)
    assert cohort.notes == ("No fields of view in 1 file: label image, macro.",)


def test_levels_of_a_pyramid_are_no_fields(tmp_path: Path) -> None:
    image = np.tile(STACK[0, 0, 1], (4, 4))
    path = tmp_path / "pyramid.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(image, tile=(64, 64), subifds=1, metadata={"axes": "YX"})
        writer.write(image[::2, ::2], tile=(64, 64), subfiletype=1)
    assert open_sample(path).frames == (Frame(path),)
    assert_array_equal(read_frame(Frame(path)), image)


def test_files_that_are_later_time_points_of_another_one_are_told(tmp_path: Path) -> None:
    """As OME writes a film over several files: each says which of the set's planes it holds."""
    names = [f"film_T{time}.ome.tif" for time in range(3)]
    planes = "".join(
        f'<TiffData FirstT="{time}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{time}'
        "</UUID></TiffData>"
        for time, name in enumerate(names)
    )
    for time, name in enumerate(names):
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{time}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
            f'SizeX="40" SizeY="30" SizeZ="1" SizeC="1" SizeT="3">{planes}</Pixels></Image></OME>'
        )
        pixels = np.full((30, 40), 50 * time, np.uint8)
        tifffile.imwrite(tmp_path / name, pixels, description=xml, metadata=None)
    cohort = open_cohort(tmp_path)
    assert sum(map(len, cohort.samples)) == 3
    assert cohort.notes == (
        "Later planes or time points of what other files begin in 2 files (film_T1.ome.tif): each "
        "counts as a field; join such files into one, or leave them out.",
    )
