"""A scan of a whole slide in the viewer: at several resolutions, of which parts are read."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal
from qtpy.QtWidgets import QApplication
from support.slides import write_pyramid

from napari_attmil.core import finished
from napari_attmil.images import LargeImage, open_cohort, open_sample
from napari_attmil.images.formats import by_content
from napari_attmil.widgets.thumbnails import Cutout, ImageShelf, cut_all
from napari_attmil.widgets.viewer import LayerImages, image_layers, sample_layer_data

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget

SLIDE = np.random.default_rng(5).integers(0, 255, (300, 400, 3), np.uint8)


@pytest.fixture(autouse=True)
def hundred_pixels_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_content, "LARGE_PX", 100)
    monkeypatch.setattr(image_layers, "SMALLEST_LEVEL_PX", 60)


def test_its_levels_are_its_file_s_and_smaller_ones(tmp_path: Path) -> None:
    (sample,) = open_cohort(write_pyramid(tmp_path / "a.tif", SLIDE)).samples
    data, settings = sample_layer_data(sample)
    assert settings["multiscale"] and settings["rgb"]
    sizes = [(300, 400), (150, 200), (75, 100), (38, 50)]
    assert [level.shape for level in data] == [(1, *size, 3) for size in sizes]
    assert_array_equal(np.asarray(data[2])[0], SLIDE[::4, ::4])
    assert isinstance(data[-1], np.ndarray)


def test_one_among_smaller_images_is_read_in_parts_wherever_it_stands(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SLIDE[:8, :10], photometric="rgb")
    write_pyramid(tmp_path / "b.tif", SLIDE)
    data, settings = sample_layer_data(open_sample(tmp_path))
    assert settings["multiscale"]
    assert [level.shape[:3] for level in data][:2] == [(2, 300, 400), (2, 150, 200)]
    assert isinstance(data[0][1], LargeImage)
    assert_array_equal(data[0][0, :8, :10], SLIDE[:8, :10])
    assert_array_equal(data[0][1, 20:50, 70:99], SLIDE[20:50, 70:99])


def test_cells_are_cut_out_of_it_without_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sample,) = open_cohort(write_pyramid(tmp_path / "a.tif", SLIDE)).samples

    def refuse(*_: Any) -> None:
        raise AssertionError("all of it is decoded")

    monkeypatch.setattr(LargeImage, "__array__", refuse)
    cutout = Cutout("a", 1, 0, 100, 80, 32, 32)
    cut = finished(cut_all([cutout], {"a": sample}, ImageShelf(), Event()))
    assert_array_equal(cut[cutout], SLIDE[64:96, 84:116])


def test_it_is_shown_and_its_parts_are_handed_to_the_stages(
    window_viewer: Any, tmp_path: Path, make_panel: Any
) -> None:
    panel: AttentionMILWidget = make_panel(window_viewer)
    choice, camera = panel.context.image_choice, panel.context.cells.camera
    choice.use_cohort(open_cohort(write_pyramid(tmp_path / "a.tif", SLIDE)))
    layer = choice.chosen
    assert layer.multiscale and isinstance(choice.images, LayerImages)
    image = choice.images[0]
    assert isinstance(image, LargeImage)
    assert_array_equal(image[20:50, 70:99], SLIDE[20:50, 70:99])
    window_viewer.scene.camera.center = (0, 150, 200)
    window_viewer.scene.camera.zoom = 8
    for _ in range(3):
        QApplication.processEvents()
    height, width = np.array(window_viewer.canvas.size) / 8
    seen = camera.view_xyxy((300, 400))
    assert seen is not None
    expected = np.array([200 - width / 2, 150 - height / 2, 200 + width / 2, 150 + height / 2])
    np.testing.assert_allclose(seen, np.clip(expected, 0, [400, 300, 400, 300]), atol=1)


def test_the_next_sample_takes_its_place(
    window_viewer: Any, tmp_path: Path, make_panel: Any
) -> None:
    panel: AttentionMILWidget = make_panel(window_viewer)
    for name in ("a.tif", "b.tif"):
        write_pyramid(tmp_path / name, SLIDE)
    choice = panel.context.image_choice
    choice.use_cohort(open_cohort(tmp_path))
    choice.show_sample("b")
    assert [layer.name for layer in window_viewer.layers if layer in choice.layers] == ["b"]
