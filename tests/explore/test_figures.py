from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from napari_attmil.core.errors import UserError
from napari_attmil.explore.class_curves import class_curves_of
from napari_attmil.explore.figures import CurveKind, class_curves_plot, forest_plot, severity_plot
from napari_attmil.reports import figures

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

EFFECTS = pd.DataFrame(
    {
        "feature": ["area_um2", "solidity"],
        "effect": [0.5, 0.1],
        "low": [0.3, -0.2],
        "high": [0.7, 0.4],
        "healthy": [0.05, np.nan],
        "is_found": [True, False],
    }
)
SEVERITY = pd.DataFrame(
    {
        "class": ["sickle", "sickle", "healthy", "sickle"],
        "patient": ["b", "b", "a", "c"],
        "share": [0.2, 0.6, 0.05, 0.4],
        "low": [0.1, 0.5, 0.0, 0.3],
        "high": [0.3, 0.7, 0.1, 0.5],
    }
)


def drawn(drawing: figures.Drawing) -> tuple[Figure, Axes]:
    figure = Figure(layout="constrained")
    drawing(figure, "#123456")
    return figure, figure.axes[0]


def test_forest_shows_each_effect_with_its_interval_and_fills_what_is_significant() -> None:
    _, axes = drawn(forest_plot(EFFECTS, "attention"))
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [np.asarray(line.get_xydata()).tolist() for line in dots] == [[[0.5, 0]], [[0.1, 1]]]
    assert [line.get_markerfacecolor() != "none" for line in dots] == [True, False]
    bars = [
        np.asarray(line.get_xydata()).tolist() for line in axes.lines if line.get_marker() == "|"
    ]
    assert bars[0] == [[0.05, 0]] and np.isnan(bars[1][0][0])
    ends = [np.asarray(line.get_xdata(), float).tolist() for line in axes.lines]
    assert [each for each in ends if len(each) == 2][1:] == [[0.3, 0.7], [-0.2, 0.4]]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["area (µm²)", "solidity"]


def test_samples_of_a_patient_are_joined_in_their_order() -> None:
    _, axes = drawn(severity_plot(SEVERITY, "sickle"))
    shares = [np.asarray(container[0].get_ydata()).tolist() for container in axes.containers]
    assert shares == [[0.05], [0.2, 0.6], [0.4]]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in axes.texts] == ["healthy", "sickle"]


def test_curves_name_their_areas() -> None:
    table = pd.DataFrame({"class": ["a", "a", "b", "b"], "probability_a": [0.9, 0.4, 0.6, 0.1]})
    curves = class_curves_of(table.assign(probability_b=1 - table["probability_a"]))
    areas: dict[CurveKind, str] = {"roc": "a 0.75", "precision_recall": "a 0.83"}
    for kind, first in areas.items():
        _, axes = drawn(class_curves_plot(curves, kind))
        legend = axes.get_legend()
        assert legend is not None and legend.get_texts()[0].get_text() == first


def test_screen_has_the_pixels_asked_for_and_no_ground() -> None:
    pixels = figures.rendered(forest_plot(EFFECTS, "x"), (300, 200), "red", 1.5)
    assert pixels.shape == (300, 450, 4) and pixels[0, 0, 3] == 0


def test_report_has_a_figure_on_white() -> None:
    picture = figures.figure_picture(forest_plot(EFFECTS, "x"), (300, 200), "Forest.")
    shown = np.asarray(Image.open(io.BytesIO(picture.data)))
    assert shown.shape == (400, 600, 3) and shown[0, 0].tolist() == [255, 255, 255]
    assert picture.size_px == (300, 200)


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_figure_is_saved_as_its_name_says(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"figure.{suffix}"
    figures.save_figure(path, severity_plot(SEVERITY, "sickle"), (300, 200))
    assert path.read_bytes().startswith(start)


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"cannot be saved as 'figure\.bmp'.* ends in \.png, \.svg, \.pdf"
    ):
        figures.save_figure(tmp_path / "figure.bmp", forest_plot(EFFECTS, "x"), (300, 200))
