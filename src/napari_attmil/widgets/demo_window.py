"""napari, opened on the result of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QTimer

from napari_attmil.cells.annotations import AnnotationFile
from napari_attmil.session import LoadedClassifier
from napari_attmil.widgets.attention_mil import AttentionMILWidget
from napari_attmil.workflows import DemoResult

WINDOW_PX = (1600, 1000)
SETTLED_MS = 3000
"""Thumbnails are cut in the background; a picture taken at once would lack them."""


def show_demo(result: DemoResult, screenshot: Path | None = None) -> None:
    """Open napari on the demo's sample, and stay open until the window is closed.

    Parameters
    ----------
    result
        The result of the demo.
    screenshot
        Save a picture of the window here and close it instead.
    """
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_PX)
    show_result(viewer, result)
    # The panel has taken its width from the canvas by then.
    QTimer.singleShot(SETTLED_MS // 2, viewer.reset_view)
    if screenshot is not None:
        QTimer.singleShot(SETTLED_MS, lambda: _save_picture(viewer, screenshot))
    napari.run()


def show_result(viewer: Any, result: DemoResult) -> AttentionMILWidget:
    """Add the panel to a viewer and show the demo's sample, cells and classification in it."""
    panel = AttentionMILWidget(viewer)
    viewer.window.add_dock_widget(panel, name="Classify samples", area="right")
    session = panel.context.session
    session.open_cohort(result.cohort, AnnotationFile.beside(result.cohort.folder))
    panel.context.image_choice.show_sample(result.sample.name)
    assert result.bag.boxes is not None  # bags of images always have them
    if not len(session.boxes):
        session.editor.merge(result.bag.boxes)
    panel.show_step("cells")
    if result.classifier is not None and result.prediction is not None:
        name = result.classifier_path.name if result.classifier_path is not None else "demo"
        session.predictions.use(LoadedClassifier(result.classifier, name, result.classifier_path))
        session.predictions.set(result.prediction, result.bag.boxes)
        panel.show_step("result")
    return panel


def _save_picture(viewer: napari.Viewer, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    viewer.close()
