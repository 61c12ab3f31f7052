"""What plots show, and how values show themselves in a notebook."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from support.predictions import FakeClassifier, prediction

import napari_attmil as attmil
from napari_attmil.bags.training import EnsembleProgress, EpochProgress

BOXES = attmil.Boxes.from_detections(
    [0, 0, 1], [[2, 3, 12, 23], [5, 5, 9, 9], [1, 1, 4, 4]], [0.9, 0.8, 0.7]
)
IMAGE = np.arange(1200, dtype=np.uint8).reshape(30, 40)


@pytest.fixture(autouse=True)
def without_a_window() -> None:
    matplotlib.use("agg")


def test_boxes_lie_on_the_edges_of_their_pixels() -> None:
    axes = attmil.plot_cells(IMAGE, BOXES)
    (drawn,) = axes.collections
    corners: Any = [np.asarray(path.vertices) for path in drawn.get_paths()]
    np.testing.assert_allclose(corners[0].min(0), np.array([1.5, 2.5]))
    np.testing.assert_allclose(corners[0].max(0), np.array([11.5, 22.5]))
    assert len(corners) == 2
    assert len(attmil.plot_cells([IMAGE, IMAGE], BOXES, 1).collections[0].get_paths()) == 1


def test_boxes_have_the_colours_of_their_attention() -> None:
    said = replace(prediction(BOXES.cell_id, [0.1, 0.6, 0.3]), boxes=BOXES)
    (drawn,) = attmil.plot_cells(IMAGE, said).collections
    seen: Any = drawn.get_edgecolor()
    np.testing.assert_allclose(seen, attmil.attention_colours([0.1, 0.6, 0.3])[:2])
    with pytest.raises(attmil.UserError, match="has no boxes"):
        attmil.plot_cells(IMAGE, prediction([1], [1.0]))


def test_a_bar_tells_which_colour_is_which_attention() -> None:
    said = replace(prediction(BOXES.cell_id, [0.1, 0.6, 0.3]), boxes=BOXES)
    figure: Any = attmil.plot_cells(IMAGE, said).figure
    _, bar = figure.axes
    assert bar.get_ylabel() == "Attention, coloured by rank"
    values = [float(tick.get_text()) for tick in bar.get_yticklabels()]
    assert (values[0], values[-1]) == (0.1, 0.6) and values == sorted(values)
    alone: Any = attmil.plot_cells(IMAGE, BOXES).figure
    assert len(alone.axes) == 1


def test_losses_have_a_line_a_training() -> None:
    def step(training: int, loss: float) -> attmil.Progress:
        epoch = EpochProgress(1, 2, loss, loss, None, 0.5)
        return attmil.Progress(1, 4, "", EnsembleProgress(1, 4, "model", training, 2, epoch))

    steps = [attmil.Progress(0, 0), step(1, 0.9), step(1, 0.4), step(2, 0.8)]
    lines: Any = attmil.plot_losses(steps).lines
    assert [[*line.get_ydata()] for line in lines] == [[0.9, 0.4], [0.8]]
    with pytest.raises(attmil.UserError, match="pass of a training"):
        attmil.plot_losses(steps[:1])


def test_confusion_counts_held_out_patients() -> None:
    classifier = FakeClassifier().holding_out(("s", "p", 0, 0.9), ("t", "q", 1, 0.2))
    axes = attmil.plot_confusion(classifier)  # type: ignore[arg-type]
    counts = np.reshape([float(text.get_text()) for text in axes.texts], (3, 3))
    np.testing.assert_array_equal(counts, [[0, 1, 0], [0, 1, 0], [0, 0, 0]])
    with pytest.raises(attmil.UserError, match="No patient was held out"):
        attmil.plot_confusion(FakeClassifier())  # type: ignore[arg-type]


def test_tables_in_a_notebook_escape_what_names_hold() -> None:
    sample = attmil.Sample("<b>s", "p & q", None, (attmil.Frame(Path("a.tif")),))
    cohort = attmil.Cohort((sample,), Path("study"), notes=("1 < 2",))
    for value in (sample, cohort):
        html = value._repr_html_()
        assert "&lt;b&gt;s" in html and "<b>" not in html and "p &amp; q" in html
    assert "1 &lt; 2" in cohort._repr_html_()
    said = FakeClassifier().predict("<i>", np.array([1, 2]))._repr_html_()
    assert said.index("sickle") < said.index("healthy")  # the more probable first
    assert "70%" in said and "not a diagnosis" in said and "<i>" not in said


def test_a_cohort_iterates_and_indexes_by_number_part_and_name() -> None:
    samples = [attmil.Sample(name, "p", None, ()) for name in "abc"]
    cohort = attmil.Cohort(tuple(samples), Path())
    assert [*cohort] == samples and cohort[-1] is samples[2] and cohort["b"] is samples[1]
    part = cohort[:2]
    assert isinstance(part, attmil.Cohort) and [*part] == samples[:2]
    with pytest.raises(KeyError, match="no sample 'd'"):
        cohort["d"]
