"""The same cells are found in a z-stack's file, whatever its format and order of axes."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from support.czi_files import CziPlane, channels_xml, write_czi
from support.zarr_folders import write_zarr

from napari_attmil.cells.detection import Detector
from napari_attmil.cells.settings import DetectionSettings
from napari_attmil.core.device import choose_device
from napari_attmil.images.reading import open_sample, read_images
from napari_attmil.simulation import SimulationSettings, draw_appearance, simulate_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SETTINGS = DetectionSettings(cell_diameter_px=40)
SHARPEST, BRIGHT_FIELD = 3, 1


@pytest.fixture(scope="module")
def stack() -> NDArray[np.uint8]:
    """(T 3, Z 5, C 2, Y, X) of a simulated field; plane 3 of channel 1 is as it was drawn."""
    rng = np.random.default_rng(4)
    settings = SimulationSettings(image_size_px=224, cells_per_image=14, cell_diameter_px=40)
    look = draw_appearance(settings.look, 0.0, rng)
    stack = np.zeros((3, 5, 2, 224, 224), np.uint8)
    for time in range(3):
        drawn = simulate_image(settings, rng, ["discocyte"] * 14, look).image.astype(float)
        for z in range(5):
            plane = ndimage.gaussian_filter(drawn, 1.5 * abs(z - SHARPEST))
            stack[time, z, 1] = plane
            stack[time, z, 0] = 10 + 0.5 * (plane.max() - plane)
    return stack


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(None, choose_device("cpu"))


def write_imagej(path: Path, stack: NDArray[Any], order: str) -> None:
    counts = dict(zip(order, stack.shape, strict=False))
    description = (
        f"ImageJ=1.54f\nimages=30\nchannels={counts['C']}\nslices={counts['Z']}\n"
        f"frames={counts['T']}\nhyperstack=true\nmode=grayscale\norder={order[::-1].lower()}\n"
    )
    pages = stack.reshape(-1, *stack.shape[-2:])
    tifffile.imwrite(path, pages, description=description, metadata=None, photometric="minisblack")


def write_ome(path: Path, stack: NDArray[Any], order: str) -> None:
    tifffile.imwrite(path, stack, ome=True, metadata={"axes": f"{order}YX"})


def write_zeiss(path: Path, stack: NDArray[Any], order: str) -> None:
    planes = [
        CziPlane(stack[index], dict(zip(order, index, strict=True)))
        for index in np.ndindex(*stack.shape[:3])
    ]
    write_czi(path, planes, channels_xml(("DAPI", "Fluorescence"), ("Cam", "Brightfield")))


def write_ome_zarr(path: Path, stack: NDArray[Any], order: str) -> None:
    write_zarr(path, stack, order)


@pytest.mark.parametrize("order", ["".join(letters) for letters in permutations("TZC")])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.tif", write_imagej),
        ("a.ome.tif", write_ome),
        ("a.ome.zarr", write_ome_zarr),
        ("a.czi", write_zeiss),
    ],
)
def test_the_cells_are_those_of_the_plain_sharpest_plane(
    tmp_path: Path,
    stack: NDArray[np.uint8],
    detector: Detector,
    order: str,
    name: str,
    write: Callable[[Path, NDArray[Any], str], None],
) -> None:
    write(tmp_path / name, np.transpose(stack, [*map("TZC".index, order), 3, 4]), order)
    images = read_images(open_sample(tmp_path / name))
    assert len(images) == 1
    expected = detector.detect(stack[0, SHARPEST, BRIGHT_FIELD], SETTINGS)
    assert len(expected) > 8
    assert detector.detect(images, SETTINGS).digest() == expected.digest()
