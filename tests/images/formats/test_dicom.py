"""DICOM files as pydicom writes them: grey either way round, colour, films, what is refused."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless, generate_uid

from napari_attmil.core import UserError
from napari_attmil.images.formats import Axes, PlanePosition, file_header
from napari_attmil.images.reading import open_sample, read_frame

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GREY = np.random.default_rng(1).integers(0, 4096, (3, 20, 30), np.uint16)
COLOUR = np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8)


def write(path: Path, pixels: NDArray[Any], bits: int = 0, rle: bool = False, **more: Any) -> Path:
    """Write an image, or frames of one; `more` are attributes by name."""
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.77.1.2")
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    is_colour = pixels.shape[-1] == 3
    data.Rows, data.Columns = pixels.shape[-3:-1] if is_colour else pixels.shape[-2:]
    data.SamplesPerPixel = 3 if is_colour else 1
    data.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        data.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    data.BitsAllocated = 8 * pixels.itemsize
    data.BitsStored = bits or data.BitsAllocated
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in more.items():
        setattr(data, name, value)
    if rle:
        data.compress(RLELossless, generate_instance_uid=False)
    data.save_as(path, enforce_file_format=True)
    return path


def pixels_of(path: Path) -> list[NDArray[Any]]:
    return [read_frame(frame) for frame in open_sample(path).frames]


@pytest.mark.parametrize("rle", [False, True])
def test_grey_keeps_its_values_and_pixel_size(tmp_path: Path, rle: bool) -> None:
    path = write(tmp_path / "a.dcm", GREY[0], 12, rle, PixelSpacing=[0.0005, 0.00025])
    (found,) = pixels_of(path)
    assert_array_equal(found, GREY[0])
    assert found.dtype == np.uint16
    assert file_header(path).pixel_size_um == 0.25


def test_colour_is_read_also_without_the_ending(tmp_path: Path) -> None:
    (found,) = pixels_of(write(tmp_path / "IM000001", COLOUR))
    assert_array_equal(found, COLOUR)


def test_grey_that_is_darker_the_higher_is_turned_over(tmp_path: Path) -> None:
    inverted: Any = {"PhotometricInterpretation": "MONOCHROME1"}
    (found,) = pixels_of(write(tmp_path / "a.dcm", GREY[0], 12, **inverted))
    assert_array_equal(found, 4095 - GREY[0])
    signed = (GREY[0].astype(np.int16) - 2048).astype(np.int16)
    (found,) = pixels_of(write(tmp_path / "b.dcm", signed, 12, **inverted))
    # From -2048 to 2047 turned over is -1 less the value; negative numbers are shifted by 32768.
    assert_array_equal(found, 32768 - 1 - signed.astype(int))


def test_frames_are_fields_and_those_with_times_one_film(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", GREY, 12)
    assert_array_equal(pixels_of(path), GREY)
    film = write(tmp_path / "b.dcm", GREY, 12, FrameTime=40, FrameIncrementPointer=0x00181063)
    assert_array_equal(pixels_of(film), GREY[:1])
    positions = tuple(PlanePosition(time=time) for time in range(3))
    assert file_header(film).axes == Axes(positions)


def test_the_pixel_size_of_an_enhanced_image_is_that_of_all_its_frames(tmp_path: Path) -> None:
    measures, shared = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing = [0.0001, 0.0001]
    shared.PixelMeasuresSequence = [measures]
    path = write(tmp_path / "a.dcm", GREY, 12, SharedFunctionalGroupsSequence=[shared])
    assert file_header(path).pixel_size_um == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"TotalPixelMatrixColumns": 4000}, "it is a part of a scanned slide"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "its colours are a palette"),
    ],
)
def test_slides_and_palettes_are_refused(tmp_path: Path, more: Any, reason: str) -> None:
    with pytest.raises(UserError, match=f"{reason}; .*TIFF"):
        open_sample(write(tmp_path / "a.dcm", GREY[0], 12, **more))


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", GREY[0], 12)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"cannot be read"):
        pixels_of(path)


def test_without_pydicom_its_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.dcm", GREY[0], 12)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UserError, match=r"napari-attmil\[dicom\]"):
        open_sample(path)
