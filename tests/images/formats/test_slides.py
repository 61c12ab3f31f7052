"""Scans that openslide reads: in parts, with their levels, without label and overview."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from napari_attmil.core import UserError
from napari_attmil.images.formats import LargeImage, by_content, file_header, slides
from napari_attmil.images.reading import open_frame, open_sample, read_frame

if TYPE_CHECKING:
    from pathlib import Path

SCAN = np.random.default_rng(1).integers(1, 255, (700, 1100, 4), np.uint8)
SCAN[..., 3] = 255
SCAN[:40, :50, 3] = 0


class OpenSlide:
    """What openslide gives of a scan at two resolutions."""

    def __init__(self, path: str) -> None:
        self.levels = [SCAN, SCAN[::4, ::4]]
        self.dimensions = (1100, 700)
        self.level_count, self.level_downsamples = 2, (1.0, 4.0)
        self.level_dimensions = [(1100, 700), (275, 175)]
        self.associated_images = {"label": None, "macro": None}
        self.properties = {"openslide.mpp-x": "0.243"}

    def read_region(self, corner: tuple[int, int], level: int, size: tuple[int, int]) -> Any:
        left, top = (round(side / self.level_downsamples[level]) for side in corner)
        part = self.levels[level][top : top + size[1], left : left + size[0]]
        return Image.fromarray(part, "RGBA")


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(sys.modules, "openslide", SimpleNamespace(OpenSlide=OpenSlide))
    monkeypatch.setattr(by_content, "LARGE_PX", 100)
    path = tmp_path / "smear.mrxs"
    path.write_bytes(b"MIRAX")
    return path


def test_a_scan_is_one_field_with_its_pixel_size(scan: Path) -> None:
    header = file_header(scan)
    assert header.pixel_size_um == 0.243 and header.pages[0].shape == (700, 1100, 3)
    assert header.axes.left_out == ("a label", "a macro")
    assert len(open_sample(scan)) == 1


def test_its_parts_and_levels_are_read_and_what_was_not_scanned_is_white(scan: Path) -> None:
    image: Any = open_frame(open_sample(scan).frames[0])
    assert isinstance(image, LargeImage)
    assert_array_equal(image[500:530, 505:600], SCAN[500:530, 505:600, :3])
    assert_array_equal(image.levels[1][100:150, 20:60], SCAN[400:600:4, 80:240:4, :3])
    assert (image[:40, :50] == 255).all()
    assert_array_equal(read_frame(open_sample(scan).frames[0]), np.asarray(image))


def test_without_openslide_its_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(slides, "import_module", missing)
    path = tmp_path / "other.mrxs"
    path.write_bytes(b"MIRAX")
    with pytest.raises(UserError, match=r"napari-attmil\[slides\]"):
        open_sample(path)
