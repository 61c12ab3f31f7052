from __future__ import annotations

import pandas as pd
import pytest

from napari_attmil.images.cohort import Sample
from napari_attmil.reports.cell_scale import GalleryScale, gallery_scale


def table(sides: list[float], sample: str = "a") -> pd.DataFrame:
    return pd.DataFrame(
        {"sample": sample, "x_min": 10.0, "y_min": 5.0, "x_max": 10.0 + pd.Series(sides)}
    ).assign(y_max=6.0)


def test_side_holds_the_cells_with_their_margin_in_pixels() -> None:
    scale = gallery_scale(table([20.0, 20.0]), [Sample("a", "p", None, ())], margin=1.5)
    assert (scale.side, scale.unit, scale.side_px("a")) == (30, "px", 30)


def test_samples_of_other_magnification_are_shown_at_one_scale() -> None:
    cells = pd.concat([table([20.0], "a"), table([40.0], "b")])
    samples = [Sample("a", "p", None, (), 0.5), Sample("b", "p", None, (), 0.25)]
    scale = gallery_scale(cells, samples, margin=1.0)
    assert (scale.side, scale.unit) == (10, "µm")
    assert (scale.side_px("a"), scale.side_px("b")) == (20, 40)


def test_one_sample_of_unknown_magnification_makes_it_pixels() -> None:
    samples = [Sample("a", "p", None, (), 0.5), Sample("b", "p", None, ())]
    cells = pd.concat([table([20.0], "a"), table([40.0], "b")])
    assert gallery_scale(cells, samples, margin=1).unit == "px"


def test_a_giant_box_does_not_make_all_cells_tiny() -> None:
    scale = gallery_scale(table([20.0] * 99 + [500]), [Sample("a", "p", None, ())], margin=1.0)
    assert scale.side < 40


@pytest.mark.parametrize(("side", "bar"), [(10, 2), (12.5, 5), (30, 10), (0.7, 0.2), (64, 20)])
def test_bar_is_a_round_number_within_two_fifths(side: float, bar: float) -> None:
    assert GalleryScale(side, "µm").bar == pytest.approx(bar)
    assert GalleryScale(10, "µm").bar_text == "2 µm"


def test_no_cells_have_a_scale_too() -> None:
    assert gallery_scale(table([]), []).side > 0


def test_a_box_without_a_size_has_a_scale_with_a_bar() -> None:
    flat = table([0.0]).assign(y_max=5.0)
    scale = gallery_scale(flat, [Sample("a", "p", None, ())])
    assert scale.side >= 1 and scale.bar > 0
