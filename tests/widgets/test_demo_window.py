from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from support.pages.attention_mil import ResultPage
from support.predictions import FakeClassifier

from napari_attmil.bags.bag import Bag
from napari_attmil.bags.prediction import Prediction
from napari_attmil.cells.boxes import Boxes
from napari_attmil.images.reading import open_cohort
from napari_attmil.widgets.demo_window import show_result
from napari_attmil.workflows import DemoResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytestqt.qtbot import QtBot


def demo_result(folder: Path, *, classified: bool) -> DemoResult:
    for label in ("healthy", "sickle"):
        path = folder / label / f"{label}-1" / "1.tif"
        path.parent.mkdir(parents=True)
        tifffile.imwrite(path, np.full((64, 64), 120, dtype=np.uint8))
    cohort = open_cohort(folder)
    boxes = Boxes.from_detections([0, 0], [[2, 2, 20, 20], [30, 30, 50, 52]], [0.9, 0.8])
    sample = cohort.samples[1]
    bag = Bag(
        np.zeros((2, 4, 2, 2), dtype=np.float16),
        boxes.cell_id,
        sample.name,
        sample.patient,
        boxes=boxes,
    )
    prediction = Prediction(
        sample.name,
        ("healthy", "sickle"),
        np.array([0.2, 0.8], dtype=np.float32),
        boxes.cell_id,
        np.array([0.7, 0.3], dtype=np.float32),
        np.zeros((2, 2), dtype=np.float32),
    )
    stand_in = FakeClassifier(("healthy", "sickle"))
    return DemoResult(
        cohort,
        sample,
        bag,
        prediction if classified else None,
        stand_in if classified else None,  # type: ignore[arg-type]
        None,
    )


def test_the_window_shows_cells_and_classification(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer()
    result = demo_result(tmp_path, classified=True)
    panel = show_result(viewer, result)
    assert viewer.layers["Cells"].nshapes == 2
    assert panel.context.session.state.prediction is result.prediction
    assert not panel.context.session.state.is_stale
    # Neither a set nor several models: nothing is said of certainty that nobody knows.
    page = ResultPage(panel.result_step)
    assert not page.shows("certainty") and not page.shows("note")
    panel.close_panel()


def test_without_classes_the_window_shows_the_cells(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer()
    panel = show_result(viewer, demo_result(tmp_path, classified=False))
    assert viewer.layers["Cells"].nshapes == 2
    assert panel.context.session.state.prediction is None
    panel.close_panel()
