"""Make the film at the top of README, docs/images/film.gif: from images to the cells that decided.

xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/film.py [--epochs 20] [--out film.gif]

A GIF, as GitHub, PyPI and napari's hub play no other film from a repository. It is at most 3 MB:
colours are taken away until it is.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from screenshots import OUT, scratch_folder, settle, wait

from napari_attmil.core import finished
from napari_attmil.simulation import SimulationSettings, simulate_cohort

WINDOW: Final = (1280, 800)
SHOWN_WIDTH: Final = 960
STRIP_PX: Final = 34
MOST_BYTES: Final = 3_000_000
CLASSES: Final = ("healthy", "sickle", "spherocytosis")
SAMPLE: Final = "sickle-02-1"
EDGE_PX: Final = 20
MEMBERS: Final = 3
"""Few models, and no calibration, so that the film is made in a few minutes."""


class Film:
    """Pictures of a window, each with a caption and a time."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._pictures: list[Image.Image] = []
        self._times_ms: list[int] = []

    def shoot(self, caption: str, seconds: float) -> None:
        """Add the window as it is now."""
        settle(0.4)
        picture = grabbed(self._viewer)
        height = round(SHOWN_WIDTH * picture.height / picture.width)
        frame = Image.new("RGB", (SHOWN_WIDTH, height + STRIP_PX), "#20242c")
        frame.paste(picture.resize((SHOWN_WIDTH, height), Image.Resampling.LANCZOS), (0, STRIP_PX))
        font = ImageFont.load_default(size=19)
        ImageDraw.Draw(frame).text((12, STRIP_PX / 2), caption, "white", font, anchor="lm")
        self._pictures.append(frame)
        self._times_ms.append(round(1000 * seconds))
        print(caption, flush=True)

    def save(self, path: Path) -> None:
        """Write the film with as many colours as its size allows."""
        for colours in (255, 192, 128, 96, 64, 48, 32):
            palette = self._palette(colours)
            frames = [
                one.quantize(palette=palette, dither=Image.Dither.NONE) for one in self._pictures
            ]
            path.parent.mkdir(parents=True, exist_ok=True)
            frames[0].save(
                path,
                save_all=True,
                append_images=frames[1:],
                duration=self._times_ms,
                loop=0,
                optimize=False,
            )
            if path.stat().st_size <= MOST_BYTES:
                break
        seconds = sum(self._times_ms) / 1000
        size = path.stat().st_size / 1e6
        print(f"{path}: {len(frames)} pictures, {seconds:.0f} s, {colours} colours, {size:.2f} MB")

    def _palette(self, colours: int) -> Image.Image:
        """Return one palette for all pictures: what stays the same is then stored once."""
        small = [one.resize((one.width // 2, one.height // 2)) for one in self._pictures]
        sheet = Image.new("RGB", (small[0].width, sum(one.height for one in small)))
        for place, one in enumerate(small):
            sheet.paste(one, (0, place * one.height))
        return sheet.quantize(colours, Image.Quantize.MEDIANCUT)


def grabbed(viewer: Any) -> Image.Image:
    """Return the window with what floats over it."""
    from qtpy.QtCore import QBuffer
    from qtpy.QtGui import QGuiApplication

    screen: Any = QGuiApplication.primaryScreen()
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    screen.grabWindow(0, *viewer.window.geometry()).save(buffer, "PNG")
    return Image.open(BytesIO(bytes(buffer.data().data()))).convert("RGB")


def main() -> None:
    """Work through the demo study, and write the film."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--epochs", type=int, default=20, help="of the training that is shown")
    arguments.add_argument("--out", type=Path, default=OUT / "film.gif", help="where it goes")
    asked = arguments.parse_args()
    with scratch_folder() as scratch:
        shot(scratch / "study", asked.epochs).save(asked.out)


def shot(study: Path, epochs: int) -> Film:
    """Open the study, find cells, train, look at a result, ask a cell, explore."""
    import napari

    settings = SimulationSettings(
        classes=CLASSES, patients_per_class=3, samples_per_patient=1, images_per_sample=1
    )
    finished(simulate_cohort(study, settings))

    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW)
    _, panel = viewer.window.add_plugin_dock_widget("napari-attmil", "Classify samples")
    film = Film(viewer)
    open_and_detect(film, viewer, panel, study)
    train(film, panel, epochs)
    look(film, viewer, panel)
    explore(film, viewer)
    panel.close_panel()
    viewer.close()
    return film


def open_and_detect(film: Film, viewer: Any, panel: Any, study: Path) -> None:
    """Open a study, and find the cells of a sample."""
    film.shoot("Images of blood samples; only the samples have a class", 2)
    panel.context.opening.open([study])
    wait(lambda: not panel.context.opening.busy)
    panel.context.image_choice.show_sample(SAMPLE)
    viewer.reset_view()
    panel.show_step("cells")
    film.shoot("1  Open a study: here a simulated one, unstained", 2.5)
    panel.cells_step.detect()
    wait(lambda: not panel.context.runner.busy)
    settle(1)
    film.shoot("2  Find the cells", 3)


def train(film: Film, panel: Any, epochs: int) -> None:
    """Train a classifier, with a picture now and then."""
    panel.show_step("classifier")
    form = panel.classifier_step._form
    form.field("epochs").setValue(epochs)
    form.field("members").setValue(MEMBERS)
    form.field("calibrate").setChecked(False)
    panel.classifier_step.train()
    caption = "3  Train from the samples' classes; no cell has a label"
    runner, shown = panel.context.runner, 0
    while runner.busy:
        settle(1)
        curve = panel.classifier_step._curve
        losses = [] if curve is None else curve.value()["loss"]
        if len(losses) >= epochs // 4 and shown < 4:
            film.shoot(caption, 0.7)
            shown += 1
    film.shoot(caption, 2.5)


def look(film: Film, viewer: Any, panel: Any) -> None:
    """Classify the sample, and ask a cell why it counted."""
    panel.show_step("result")
    panel.result_step.classify()
    wait(lambda: not panel.context.runner.busy and bool(panel.result_step._top_cells.value()))
    settle(1)
    film.shoot("4  Which cells decided? White ones most, dark blue ones least", 4)
    cell = deciding_cell(panel.context.session)
    panel.context.cells.show_cell(cell)
    panel.context.exploration.ask_about((SAMPLE, cell))
    host = panel.card_host
    wait(lambda: host.card is not None and host.card.facts is not None)
    settle(3)
    film.shoot("5  Click a cell: what it speaks for, and the result without it", 4)
    host.close_card()
    viewer.reset_view()


def deciding_cell(session: Any) -> int:
    """Return the cell of the highest attention that no edge of the image cuts off."""
    prediction, boxes = session.state.prediction, session.boxes
    size_px = SimulationSettings().image_size_px
    is_whole = (boxes.xyxy.min(axis=1) > EDGE_PX) & (boxes.xyxy.max(axis=1) < size_px - EDGE_PX)
    whole = np.isin(prediction.cell_id, boxes.cell_id[is_whole])
    return int(prediction.cell_id[np.where(whole, prediction.attention, -1).argmax()])


def explore(film: Film, viewer: Any) -> None:
    """Show the gallery, the table and the map of all cells."""
    _, explorer = viewer.window.add_plugin_dock_widget("napari-attmil", "Explore cells")
    settle(1)
    for tab, caption in (
        (explorer.gallery, "6  Explore: all cells by attention"),
        (explorer.table, "6  Explore: every cell in a table"),
        (explorer.map, "6  Explore: any measure against any other"),
    ):
        explorer.show_tab(tab)
        settle(2)
        film.shoot(caption, 2.5)
    explorer.close_panel()


if __name__ == "__main__":
    main()
