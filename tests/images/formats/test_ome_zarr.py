"""OME-Zarr folders are read as a file is: by their axes, without their smaller resolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.zarr_folders import write_plate, write_zarr

from napari_attmil.core import UserError
from napari_attmil.images import reading
from napari_attmil.images.formats import LargeImage, by_content, file_header, ome_zarr
from napari_attmil.images.plane_choice import PlaneChoice
from napari_attmil.images.reading import (
    frame_digest,
    frame_digests,
    open_cohort,
    open_frame,
    open_sample,
    open_samples,
    read_frame,
)
from napari_attmil.widgets.contributions import folder_reader

if TYPE_CHECKING:
    from pathlib import Path

STACK = np.random.default_rng(2).integers(0, 60000, (2, 3, 40, 50), np.uint16)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_axes_sizes_and_steps_are_those_of_the_metadata(tmp_path: Path, version: str) -> None:
    path = write_zarr(tmp_path / "a.zarr", STACK, "CZ", version, ("BF", "GFP"), pixel_um=0.25)
    header = file_header(path)
    assert header.pixel_size_um == 0.25
    assert header.axes.sizes == {"P": 1, "T": 1, "C": 2, "Z": 3}
    assert header.axes.channels == ("BF", "GFP") and header.axes.z_step_um == 1.0
    (frame,) = open_sample(path, planes=PlaneChoice(z="2", channel="gfp")).frames
    assert_array_equal(read_frame(frame), STACK[1, 1])


def test_channels_called_red_green_and_blue_are_colours(tmp_path: Path) -> None:
    colour = STACK[0].astype(np.uint8)
    path = write_zarr(tmp_path / "a.zarr", colour, "C", channels=("Red", "Green", "Blue"))
    (frame,) = open_sample(path).frames
    assert_array_equal(read_frame(frame), np.moveaxis(colour, 0, -1))


def test_wells_of_a_plate_and_images_of_a_series_are_fields(tmp_path: Path) -> None:
    fields = list(STACK.reshape(-1, 40, 50)[:4])
    path = write_plate(tmp_path / "plate.zarr", fields)
    found = [read_frame(frame) for frame in open_sample(path).frames]
    assert_array_equal(np.stack(found), np.stack(fields))
    series = tmp_path / "series.zarr"
    for number in range(2):
        write_zarr(series / str(number), fields[number], "")
    (series / "zarr.json").write_text(
        '{"attributes": {"ome": {"bioformats2raw.layout": 3}}, "zarr_format": 3, '
        '"node_type": "group"}'
    )
    found = [read_frame(frame) for frame in open_sample(series).frames]
    assert_array_equal(np.stack(found), np.stack(fields[:2]))


def test_a_folder_of_images_holds_them_beside_files_and_not_their_chunks(tmp_path: Path) -> None:
    for name in ("a.zarr", "b.ome.zarr"):
        write_zarr(tmp_path / name, STACK[0, 0], "", levels=3)
    (tmp_path / "other.zarr" / "0").mkdir(parents=True)
    cohort = open_cohort(tmp_path)
    assert [sample.name for sample in cohort.samples] == ["a", "b.ome"]
    assert [sample.name for sample in open_samples([tmp_path / "a.zarr"])] == ["a"]
    assert folder_reader(str(tmp_path / "a.zarr")) is None


def test_its_fingerprint_follows_its_pixels(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", STACK[0, 0], "")
    (frame,) = open_sample(path).frames
    before = frame_digest(frame)
    path.rename(tmp_path / "moved")
    (tmp_path / "moved").rename(path)
    assert frame_digest(frame) == before
    write_zarr(path, STACK[0, 1], "")
    assert frame_digest(frame) != before


def test_its_files_are_looked_through_once_for_all_its_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_plate(tmp_path / "plate.zarr", list(STACK.reshape(-1, 40, 50)))
    frames = open_sample(path).frames
    one_by_one = [frame_digest(frame) for frame in frames]
    looked: list[Path] = []

    def noted(folder: Path) -> list[Path]:
        looked.append(folder)
        return ome_zarr.files_of(folder)

    monkeypatch.setattr(reading, "files_of", noted)
    assert frame_digests(frames) == one_by_one
    assert len(set(one_by_one)) == len(frames) == 6
    assert looked == [path]


def test_a_large_one_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_content, "LARGE_PX", 100)
    path = write_zarr(tmp_path / "a.zarr", STACK, "CZ", levels=2)
    image: Any = open_frame(open_sample(path, planes=PlaneChoice("3", channel="1")).frames[0])
    assert isinstance(image, LargeImage) and image.shape == (40, 50)
    assert_array_equal(image[3:20:2, 10:31], STACK[0, 2, 3:20:2, 10:31])
    assert image.levels[1].shape == (20, 25)


def test_without_the_package_its_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zarr(tmp_path / "a.zarr", STACK[0, 0], "")

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(ome_zarr, "import_module", missing)
    with pytest.raises(UserError, match=r"napari-attmil\[zarr\]"):
        open_sample(path)


def test_other_axes_are_refused(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", STACK, "ZZ")
    with pytest.raises(UserError, match="its axes are ZZYX"):
        open_sample(path)
