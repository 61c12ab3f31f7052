"""Make the pictures of the panel "Explore cells" in docs/images, from simulated data.

xvfb-run -a -s "-screen 0 3840x2160x24" python scripts/explorer_screenshots.py

A small simulated cohort is drawn, a classifier trained on it, every sample classified through the
panel, and a picture taken of each tab.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from screenshots import settle, wait

OUT = Path(__file__).resolve().parents[1] / "docs" / "images"
LOOKS = (("dark", 1280, 800), ("light", 1280, 800))
LARGE = (("dark", 3840, 2160), ("light", 3840, 2160))
SAMPLE = "sickle-02-1"
TABS = ("colours", "gallery", "table", "sample", "map", "shape", "cohort", "teaching")
COHORT_TABS = ("gallery", "map", "shape")


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=OUT, help="where the pictures go")
    parser.add_argument("--epochs", type=int, default=40, help="of the training")
    parser.add_argument("--tabs", nargs="*", choices=TABS, default=TABS, help="what is shown")
    parser.add_argument("--large", nargs="*", choices=TABS, default=["shape"], help="also in 4K")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        # The pictures must neither show nor change this person's own settings and data.
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "napari.yaml")
        os.environ["XDG_DATA_HOME"] = scratch
        options.out.mkdir(parents=True, exist_ok=True)
        take_pictures(options.out, options.epochs, options.tabs, options.large)


def take_pictures(folder: Path, epochs: int, tabs: list[str], large: list[str]) -> None:
    """Work through both panels, and take a picture of each tab."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(1280, 800)
    _, panel = viewer.window.add_plugin_dock_widget("napari-attmil", "Attention MIL")
    prepare(panel, epochs)
    panel.show_step("result")
    _, explorer = viewer.window.add_plugin_dock_widget("napari-attmil", "Explore cells")
    explorer.cohort.classify()
    wait(lambda: not explorer.cohort._runner.busy)
    panel.context.image_choice.show_sample(SAMPLE)
    if "sample" in tabs:
        explorer.sample.prepare()
        wait(lambda: not explorer.sample._runner.busy)
    for tab in tabs:
        looks = (*LOOKS, *LARGE) if tab in large else LOOKS
        shoot(viewer, explorer, tab, folder, looks)
    explorer.close_panel()
    panel.close_panel()
    viewer.close()


def prepare(panel: Any, epochs: int) -> None:
    """Draw a cohort, find its cells, and train two models on all of it."""
    from napari_attmil.settings import DetectionSettings, EnsembleSettings, MILSettings
    from napari_attmil.widgets import tasks

    panel.images_step.open_simulated_cohort()
    wait(lambda: not panel.context.runner.busy)
    panel.context.image_choice.show_sample(SAMPLE)
    session = panel.context.session
    settings = MILSettings(epochs=epochs)
    ensemble = EnsembleSettings(members=2, calibrate=False)
    panel.context.runner.start(
        tasks.train_classifier,
        session.cohort,
        {},
        DetectionSettings(),
        settings,
        ensemble,
        "cpu",
        on_done=session.use_classifier,
    )
    wait(lambda: not panel.context.runner.busy)


def fill_shape_tab(explorer: Any) -> None:
    """Measure all cells, and compare those of a high contribution with the others."""
    explorer.context.exploration.set_scope("*")
    explorer.show_tab(explorer.shape)
    settle(1)
    explorer.shape.measure()
    wait(lambda: not explorer.shape._runner.busy)
    settle(1)
    explorer.shape._score.setCurrentIndex(explorer.shape._score.findData("contribution_sickle"))
    explorer.shape.compare()


def shoot(
    viewer: Any, explorer: Any, name: str, folder: Path, looks: tuple[tuple[str, int, int], ...]
) -> None:
    """Take pictures of the whole window with one tab in front."""
    tab = getattr(explorer, name)
    explorer.show_tab(tab)
    explorer.context.exploration.set_scope("*" if name in COHORT_TABS else "")
    if name == "shape":
        fill_shape_tab(explorer)
    if name == "gallery":
        tab._shown.setCurrentIndex(1)
        tab.invalidate()
    for theme, width, height in looks:
        viewer.theme = theme
        viewer.window.resize(width, height)
        settle(1)
        explorer._go_below()  # as high as in a window that is opened in this size
        settle(1)
        viewer.reset_view()
        explorer.context.session.select(explorer.context.session.boxes.cell_id[:1])
        settle(2)
        path = folder / f"7-explore-{name}-{theme}-{width}x{height}.png"
        viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)


if __name__ == "__main__":
    main()
