from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from napari_attmil.cells.boxes import Boxes
from napari_attmil.core import finished
from napari_attmil.explore.shapes import measure_shapes, shape_columns
from napari_attmil.explore.shapes.cell_masks import cell_windows
from napari_attmil.explore.shapes.focus import focus_of_cells
from napari_attmil.simulation import SimulationSettings, draw_appearance, simulate_image

if TYPE_CHECKING:
    import numpy.typing as npt

SETTINGS = SimulationSettings(cells_per_image=12)
DEFOCUS_UM = (1.5, 3.0, 6.0, 12.0, 24.0)


def focus_at(defocus_um: float, microscope: int) -> npt.NDArray[np.float64]:
    """Return the focus of the same cells under one of several microscopes."""
    look = draw_appearance(SETTINGS.look, SETTINGS.variety, np.random.default_rng(microscope))
    at = replace(look, defocus_um=np.copysign(defocus_um, look.defocus_um), defocus_spread_um=0.0)
    image = simulate_image(SETTINGS, np.random.default_rng(50), ["discocyte"] * 12, at)
    return focus_of_cells(cell_windows(image.image, image.xyxy))


@pytest.fixture(scope="module")
def focus() -> dict[float, list[npt.NDArray[np.float64]]]:
    """Return the focus of cells by their defocus, one array a microscope."""
    return {away: [focus_at(away, seed) for seed in range(4)] for away in DEFOCUS_UM}


@pytest.mark.parametrize("microscope", range(4))
def test_focus_falls_with_simulated_defocus(focus: dict[float, Any], microscope: int) -> None:
    pairs = [(away, value) for away in DEFOCUS_UM for value in focus[away][microscope]]
    assert spearmanr(*zip(*pairs, strict=True)).statistic < -0.85


def test_one_threshold_tells_ghosts_under_all_microscopes(focus: dict[float, Any]) -> None:
    sharp = np.concatenate([*focus[1.5], *focus[3.0]])
    ghosts = np.concatenate([*focus[12.0], *focus[24.0]])
    is_sharp = np.repeat([True, False], [len(sharp), len(ghosts)])
    assert roc_auc_score(is_sharp, np.concatenate([sharp, ghosts])) > 0.98


def disc(contrast: float = 0.4, ground: float = 150.0, side: int = 120) -> npt.NDArray[np.float64]:
    y, x = np.indices((side, side)) - (side - 1) / 2
    return ground * (1 - contrast * (np.hypot(x, y) < side / 4))


def focus_of(image: npt.NDArray[Any]) -> float:
    quarter = len(image) / 4
    return float(
        focus_of_cells(cell_windows(image, [[quarter, quarter, 3 * quarter, 3 * quarter]]))[0]
    )


def test_focus_depends_neither_on_contrast_nor_on_light_nor_on_size() -> None:
    sharp = focus_of(disc())
    assert focus_of(disc(contrast=0.1)) == pytest.approx(sharp, rel=0.01)
    assert focus_of(2 * disc()) == pytest.approx(sharp, rel=0.01)
    assert focus_of(disc(side=240)) == pytest.approx(sharp, rel=0.05)
    assert focus_of(ndimage.gaussian_filter(disc(), 8)) < 0.5 * sharp


def test_noise_alone_is_not_sharp_and_nothing_has_no_focus() -> None:
    noise = np.random.default_rng(0).normal(150, 5, (120, 120))
    assert focus_of(noise) < 0.3 * focus_of(disc())
    assert np.isnan(focus_of(np.full((120, 120), 150.0)))
    assert focus_of_cells(cell_windows(noise, np.empty((0, 4)))).shape == (0,)


def test_focus_is_measured_with_the_shapes_but_is_none() -> None:
    boxes = Boxes.from_detections([0], [[30, 30, 90, 90]], [1])
    table = finished(measure_shapes([disc()], boxes))
    assert table["focus"][0] == pytest.approx(focus_of(disc()))
    assert "focus" not in shape_columns(table)
