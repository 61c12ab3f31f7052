"""Make the pictures of the panel "Annotate" in docs/images, from simulated data.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/screenshots_annotate.py
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from screenshots import ALL_LOOKS, OUT, settle, wait


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=OUT, help="where the pictures go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        # The pictures must neither show nor change this person's own settings and data.
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "napari.yaml")
        os.environ["XDG_DATA_HOME"] = os.environ["XDG_CONFIG_HOME"] = scratch
        take_pictures(options.out, Path(scratch) / "study")


def take_pictures(folder: Path, study: Path) -> None:
    """Correct some boxes of a study, and show the panel and the sheet of keys."""
    import napari
    from qtpy.QtWidgets import QDialog

    from napari_attmil.images.reading import open_cohort
    from napari_attmil.images.simulation import SimulationSettings, simulate_cohort

    settings = SimulationSettings(
        patients_per_class=3, samples_per_patient=1, images_per_sample=2, cells_per_image=24
    )
    list(simulate_cohort(study, settings))
    viewer = napari.Viewer()
    _, bench = viewer.window.add_plugin_dock_widget("napari-attmil", "Annotate")
    bench.context.image_choice.use_cohort(open_cohort(study))
    bench._ahead.setChecked(True)
    wait(lambda: len(bench.context.session.boxes) > 0)
    for _ in range(3):
        bench.reviewing.mark_and_go_on()
        wait(lambda: bench.reviewing.entry.box_count > 0)
        settle(2)
    bench._ahead.setChecked(False)
    wait(lambda: not bench.look_ahead.busy)
    correct(bench)
    shoot(bench, folder / "6-annotate")
    bench.show_keys()
    settle(1)
    sheet = bench.findChild(QDialog)
    sheet.grab().save(str(folder / "6-annotate-keys.png"))
    sheet.close()
    bench.close_panel()
    viewer.close()


def correct(bench: Any) -> None:
    """Do a little of everything to the image shown."""
    session = bench.context.session
    ids = session.boxes.of_image(bench.context.cells.current_image_index()).cell_id
    session.accept(ids[:6])
    for cell in ids[6:9]:
        session.move(cell, session.boxes.xyxy[session.boxes.index_of(cell)[0]] + 3)
    session.select([ids[10]])


def shoot(bench: Any, stem: Path) -> None:
    """Take a picture of the whole window in several themes and sizes."""
    viewer = bench.context.viewer
    for theme, width, height in ALL_LOOKS:
        viewer.theme = theme
        viewer.window.resize(width, height)
        settle(0.6)
        viewer.reset_view()
        settle(1.5)
        path = stem.with_name(f"{stem.name}-{theme}-{width}x{height}.png")
        viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)


if __name__ == "__main__":
    main()
