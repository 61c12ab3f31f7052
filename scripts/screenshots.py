"""Make the pictures of the interface in docs/images, from simulated data.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/screenshots.py

A small simulated cohort is opened, its cells are found with the shipped detector, a classifier is
trained and a sample classified, all through the panel; a picture is taken after each step.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

OUT = Path(__file__).resolve().parents[1] / "docs" / "images"
LOOKS = (("dark", 1600, 1000), ("light", 1280, 800))
ALL_LOOKS = (*LOOKS, ("light", 1600, 1000), ("dark", 1280, 800))
PATIENCE_S = 1200
SAMPLE = "sickle-02-1"


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=OUT, help="where the pictures go")
    parser.add_argument("--epochs", type=int, default=40, help="of the training that is shown")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        # The pictures must neither show nor change this person's own settings and data.
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "napari.yaml")
        os.environ["XDG_DATA_HOME"] = scratch
        options.out.mkdir(parents=True, exist_ok=True)
        take_pictures(options.out, options.epochs)


def take_pictures(folder: Path, epochs: int) -> None:
    """Go through the four steps of the panel, and take a picture after each."""
    import napari

    viewer = napari.Viewer()
    _, panel = viewer.window.add_plugin_dock_widget("napari-attmil", "Attention MIL")
    shoot(panel, "images", folder / "1-start", LOOKS)
    panel.images_step.open_simulated_cohort()
    wait(lambda: not panel.context.runner.busy)
    panel.context.image_choice.show_sample(SAMPLE)
    panel.cells_step.detect()
    wait(lambda: not panel.context.runner.busy)
    viewer.dims.set_point(0, 0)
    shoot(panel, "cells", folder / "2-cells", LOOKS)
    panel.classifier_step._form.field("epochs").setValue(epochs)
    panel.classifier_step.train()
    wait(lambda: panel.context.runner.busy and halfway(panel, epochs))
    shoot(panel, "classifier", folder / "3-training", LOOKS)
    wait(lambda: not panel.context.runner.busy)
    panel.result_step.classify()
    wait(lambda: not panel.context.runner.busy and bool(panel.result_step._top_cells.value()))
    shoot(panel, "result", folder / "4-result", ALL_LOOKS)
    panel.result_step._slider.setValue(75)
    panel.result_step._top_cells.button(0).click()
    shoot(panel, "result", folder / "5-top-cell", LOOKS, keep_view=True)
    panel.close_panel()
    viewer.close()


def halfway(panel: Any, epochs: int) -> bool:
    """Return whether the second model's training has come far enough to show a curve."""
    curve = panel.classifier_step._curve
    if curve is None or not curve._training.startswith("Model 2"):
        return False
    return len(curve.value()["loss"]) >= min(epochs // 2, 12)


def shoot(
    panel: Any,
    step: str,
    stem: Path,
    looks: tuple[tuple[str, int, int], ...],
    keep_view: bool = False,
) -> None:
    """Take a picture of the whole window, with one step in view, in several themes and sizes."""
    viewer = panel.context.viewer
    for theme, width, height in looks:
        viewer.theme = theme
        viewer.window.resize(width, height)
        settle(0.6)
        panel.show_step(step)
        if not keep_view:
            viewer.reset_view()
        settle(1)
        path = stem.with_name(f"{stem.name}-{theme}-{width}x{height}.png")
        viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)


def wait(is_done: Callable[[], bool]) -> None:
    """Let Qt work until something is done."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError("The panel did not finish in time.")
        settle(0.05)


def settle(seconds: float) -> None:
    """Let Qt work for a while."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    main()
