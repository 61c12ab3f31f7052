"""The cell diameter as a circle over the image, beside its field in step 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.pages.attention_mil import AttentionMILPage

from napari_attmil import workflows
from napari_attmil.cells import Boxes
from napari_attmil.cells.detection import CellSize
from napari_attmil.workflows import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget


def circle_px(panel: AttentionMILWidget) -> float | None:
    """Return the diameter of the circle in the viewer; None if there is none."""
    layers = [layer for layer in panel.context.viewer.layers if layer.name == "Cell size"]
    return float(np.ptp(np.asarray(layers[0].data[0]), axis=0)[0]) if layers else None


def drag_to(panel: AttentionMILWidget, side: float) -> None:
    layer = panel.context.viewer.layers["Cell size"]
    layer.data = [np.array([[5, 5], [5, 5 + side], [5 + side, 5 + side], [5 + side, 5]], float)]


def test_the_circle_that_is_dragged_sets_the_cell_diameter(
    docked_panel: AttentionMILWidget,
) -> None:
    page = AttentionMILPage(docked_panel).cells
    assert circle_px(docked_panel) is None
    page.press("◯")
    assert circle_px(docked_panel) == pytest.approx(50)
    assert docked_panel.context.detection_settings.cell_diameter_px is None
    drag_to(docked_panel, 31.5)
    assert docked_panel.context.detection_settings.cell_diameter_px == 31.5
    page.set("cell_diameter_px", 24)
    assert circle_px(docked_panel) == pytest.approx(24)
    page.press("◯")
    assert circle_px(docked_panel) is None
    assert docked_panel.context.detection_settings.cell_diameter_px == 24


def test_the_button_is_up_again_when_the_layer_is_removed(docked_panel: AttentionMILWidget) -> None:
    page = AttentionMILPage(docked_panel).cells
    page.press("◯")
    docked_panel.context.viewer.layers.remove("Cell size")
    assert not page.button("◯").isChecked()


def test_a_size_that_is_a_guess_is_told_with_what_to_do(
    docked_panel: AttentionMILWidget,
    wait_idle: Callable[[AttentionMILWidget], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guess = CellSize(31.4, confidence=0.2)

    def detect(images: Any, places: Any, *_: Any, **__: Any) -> Any:
        yield Progress(1, 1, "1 cell")
        boxes = Boxes.from_detections([0], [[10, 10, 41.4, 41.4]], [0.9])
        return workflows.Detection(boxes, tuple(places), cell_size=guess)

    monkeypatch.setattr(workflows, "detect_cells", detect)
    docked_panel.cells_step.detect()
    wait_idle(docked_panel)
    assert workflows.guess_in_words(guess) in AttentionMILPage(docked_panel).messages()
    AttentionMILPage(docked_panel).cells.press("◯")
    assert circle_px(docked_panel) == pytest.approx(31.4)
