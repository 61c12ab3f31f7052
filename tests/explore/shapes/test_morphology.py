from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pytest
from skimage.measure import label, regionprops

from napari_attmil.cells.boxes import Boxes
from napari_attmil.core import StageRun
from napari_attmil.explore.shapes.morphology import (
    FEATURES,
    measure_shapes,
    outline_measures,
    shape_columns,
    shapes_of_image,
)
from napari_attmil.simulation.appearance import draw_appearance
from napari_attmil.simulation.cohort import simulate_image
from napari_attmil.simulation.settings import SimulationSettings

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

SIZE = 160
Y, X = np.mgrid[:SIZE, :SIZE] + 0.5
GROUND, BODY = 200, 120
PALLOR = list(FEATURES).index("central_pallor")


def measured(body: npt.NDArray[np.bool_], image: Array | None = None) -> dict[str, float]:
    """Return the features of one cell drawn on an empty ground."""
    painted = np.where(body, BODY, GROUND).astype(np.float64) if image is None else image
    rows, columns = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
    box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    values = shapes_of_image(painted.astype(np.uint8), [box])
    return dict(zip(FEATURES, values[0].tolist(), strict=True))


def ellipse(half_width: float, half_height: float, turn: float = 0.0) -> npt.NDArray[np.bool_]:
    x, y = X - SIZE / 2, Y - SIZE / 2
    x, y = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    return np.asarray((x / half_width) ** 2 + (y / half_height) ** 2 <= 1)


def test_disc_has_the_measures_of_a_disc() -> None:
    disc = measured(ellipse(40, 40))
    assert disc["area"] == pytest.approx(np.pi * 40**2, rel=0.03)
    assert disc["equivalent_diameter"] == pytest.approx(80, rel=0.015)
    assert disc["circularity"] == pytest.approx(1, abs=0.04)
    assert disc["elongation"] == pytest.approx(1, abs=0.03)
    assert disc["solidity"] == pytest.approx(1, abs=0.02)
    assert disc["spikiness"] < 0.02


@pytest.mark.parametrize("turn", [0, 0.5, 1.2])
def test_ellipse_is_as_long_as_it_was_drawn_however_it_lies(turn: float) -> None:
    found = measured(ellipse(45, 18, turn))
    assert found["area"] == pytest.approx(np.pi * 45 * 18, rel=0.06)
    assert found["elongation"] == pytest.approx(45 / 18, rel=0.06)
    assert found["spikiness"] < 0.02


def test_bitten_cell_is_less_solid_than_a_disc() -> None:
    bite = (X - SIZE / 2 - 45) ** 2 + (Y - SIZE / 2) ** 2 <= 25**2
    body = ellipse(40, 40) & ~bite
    truth = regionprops(label(body))[0]
    found = measured(body)
    assert found["solidity"] == pytest.approx(truth.solidity, abs=0.05)
    assert found["solidity"] < 0.95
    assert found["elongation"] == pytest.approx(
        truth.axis_major_length / truth.axis_minor_length, rel=0.06
    )
    assert found["area"] == pytest.approx(truth.area, rel=0.06)


@pytest.mark.parametrize(("height", "waves"), [(0.05, 10), (0.1, 10), (0.08, 13)])
def test_spikiness_of_a_waved_outline_is_its_root_mean_square(height: float, waves: int) -> None:
    theta = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    radius = 30 * (1 + height * np.cos(waves * theta))
    outline = np.column_stack([radius * np.sin(theta), radius * np.cos(theta)])
    assert outline_measures(outline)[3] == pytest.approx(height / np.sqrt(2), rel=0.15)


def test_outline_of_a_square_has_its_area_perimeter_and_hull() -> None:
    area, circularity, solidity, _ = outline_measures([(0, 0), (0, 2), (2, 2), (2, 0)])
    assert area == pytest.approx(4)
    assert circularity == pytest.approx(np.pi / 4)
    assert solidity == pytest.approx(1)


def test_outline_of_an_l_fills_six_sevenths_of_its_hull() -> None:
    corners = [(0, 0), (0, 2), (1, 2), (1, 1), (2, 1), (2, 0)]
    area, _, solidity, _ = outline_measures(corners)
    assert area == pytest.approx(3)
    assert solidity == pytest.approx(3 / 3.5)


def test_pale_centre_and_dark_rim_are_measured_as_shares_of_the_ground() -> None:
    image = np.where(ellipse(40, 40), BODY, GROUND).astype(np.float64)
    image[ellipse(16, 16)] = 180
    found = measured(ellipse(40, 40), image)
    assert found["rim_contrast"] == pytest.approx((GROUND - BODY) / GROUND, abs=0.04)
    assert found["central_pallor"] == pytest.approx((180 - BODY) / GROUND, abs=0.06)


def test_unstained_cell_of_which_only_the_rim_shows_is_measured_whole() -> None:
    image = np.where(ellipse(40, 40) & ~ellipse(35, 35), 160, GROUND).astype(np.float64)
    found = measured(ellipse(40, 40), image)
    assert found["area"] == pytest.approx(np.pi * 40**2, rel=0.07)


def test_measures_do_not_depend_on_light_or_colour() -> None:
    image = np.where(ellipse(30, 20), BODY, GROUND).astype(np.float64)
    slope = image * np.linspace(0.8, 1, SIZE)
    plain, tilted = measured(ellipse(30, 20), image), measured(ellipse(30, 20), slope)
    assert tilted == pytest.approx(plain, rel=0.08, abs=0.02)
    colour = np.repeat(image[..., None], 3, axis=2)
    assert measured(ellipse(30, 20), colour) == pytest.approx(plain)


def shapes(images: Any, boxes: Boxes, pixel_size_um: float | None = None) -> pd.DataFrame:
    run = StageRun(measure_shapes(images, boxes, pixel_size_um))
    *_, last = run
    assert last.done == last.total
    return run.result


def test_sizes_are_in_micrometres_where_the_pixel_size_is_known() -> None:
    image = np.where(ellipse(40, 40), BODY, GROUND).astype(np.uint8)
    boxes = Boxes.from_detections([0], [[40, 40, 120, 120]], [1])
    in_px, in_um = shapes([image], boxes), shapes([image], boxes, 0.1)
    assert in_px["equivalent_diameter_px"][0] == pytest.approx(80, rel=0.02)
    assert in_um["equivalent_diameter_um"][0] == pytest.approx(8, rel=0.02)
    assert in_um["area_um2"][0] == pytest.approx(0.01 * in_px["area_px2"][0])


def test_a_box_without_a_cell_and_a_cell_that_the_edge_cuts_have_no_shape() -> None:
    image = np.random.default_rng(0).normal(GROUND, 2, (SIZE, SIZE)).astype(np.uint8)
    image[60:100, :30] = BODY
    boxes = Boxes.from_detections([0, 0], [[90, 90, 130, 130], [0, 60, 30, 100]], [1, 1])
    measured = shapes([image], boxes)
    assert measured[shape_columns(measured)].isna().all(axis=None)


def test_an_image_without_boxes_has_no_shapes() -> None:
    assert shapes_of_image(np.full((40, 50), 9, np.uint8), np.empty((0, 4))).shape == (0, 8)


def test_rows_are_in_the_order_of_the_boxes_over_several_images() -> None:
    large = np.where(ellipse(40, 40), BODY, GROUND).astype(np.uint8)
    small = np.where(ellipse(20, 20), BODY, GROUND).astype(np.uint8)
    xyxy = [[60, 60, 100, 100], [40, 40, 120, 120], [60, 60, 100, 100]]
    found = shapes([large, small], Boxes.from_detections([1, 0, 1], xyxy, [1, 1, 1]))
    assert found["equivalent_diameter_px"].tolist() == pytest.approx([40, 80, 40], rel=0.04)
    assert shapes([large], Boxes.empty()).shape == (0, len(FEATURES) + 1), "with the focus"


@pytest.mark.parametrize("look", ["unstained", "stained"])
def test_simulated_types_differ_in_the_measures_that_define_them(look: str) -> None:
    settings = SimulationSettings.checked(image_size_px=900, look=look, cells_per_image=60)
    kinds = ["discocyte", "spherocyte", "sickle", "echinocyte"] * 15
    drawn = simulate_image(settings, np.random.default_rng(3), kinds)
    boxes = Boxes.from_detections(np.zeros(len(drawn.xyxy)), drawn.xyxy, np.ones(len(drawn.xyxy)))
    found = shapes([drawn.image], boxes, drawn.pixel_size_um)
    median = found.groupby(drawn.cell_type).median()
    assert median["equivalent_diameter_um"]["spherocyte"] == pytest.approx(6, abs=0.7)
    assert median["equivalent_diameter_um"]["discocyte"] == pytest.approx(7.82, abs=0.9)
    assert median["elongation"]["sickle"] > 2 > 1.3 > median["elongation"]["discocyte"]
    assert median["spikiness"]["echinocyte"] > 2 * median["spikiness"]["discocyte"]
    assert found["area_um2"].notna().mean() > 0.7


@pytest.mark.parametrize("look", ["unstained", "stained"])
@pytest.mark.parametrize("defocus_um", [-4.0, 4.0])
def test_central_pallor_is_less_in_types_without_it_on_either_side_of_the_focus(
    look: Literal["unstained", "stained"], defocus_um: float
) -> None:
    rng = np.random.default_rng(0)
    settings = SimulationSettings.checked(image_size_px=640, look=look, variety=0.2)
    appearance = replace(draw_appearance(look, 0.2, rng), defocus_um=defocus_um)
    kinds = ["discocyte"] * 24 + ["target", "spherocyte", "stomatocyte"] * 4
    drawn = simulate_image(settings, rng, kinds, appearance)
    pallor = pd.Series(shapes_of_image(drawn.image, drawn.xyxy)[:, PALLOR])
    median = pallor.groupby(drawn.cell_type).median()
    assert (median.drop("discocyte") < median["discocyte"]).all() and median["discocyte"] > 0


def test_a_cell_too_thin_to_have_a_centre_does_not_turn_the_pallor_of_the_others() -> None:
    rng = np.random.default_rng(0)
    settings = SimulationSettings.checked(image_size_px=640, look="unstained", variety=0.2)
    appearance = replace(draw_appearance("unstained", 0.2, rng), defocus_um=4.0)
    drawn = simulate_image(settings, rng, ["discocyte"] * 24, appearance)
    thin = drawn.image.copy()
    thin[3:5, 10:50] = 0
    found = shapes_of_image(thin, np.vstack([drawn.xyxy, [10, 2.5, 50, 5.5]]))
    assert np.isnan(found[-1, PALLOR]) and found[-1, 0] > 0
    assert np.nanmedian(found[:, PALLOR]) > 0.3
