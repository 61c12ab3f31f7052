"""Exploring only: somebody else's classifier, whose reasons are looked into and written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QLineEdit
from support.hand import MOUSE
from support.pages.card import CardPage
from support.pages.explorer import ExplorerPage
from support.smears import write_smears
from support.walk import CLASSIFY

from napari_attmil import workflows
from napari_attmil.bags import EnsembleSettings, MILSettings
from napari_attmil.cells import DetectionSettings
from napari_attmil.core import finished
from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
from napari_attmil.widgets.explorer.panel import ExploreWidget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.walk import Walk

TYPES = {"healthy": ["discocyte"] * 8, "sickle": ["discocyte"] * 5 + ["sickle"] * 3}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a study of four patients in folders of their classes, and a classifier of it."""
    cells = {
        f"{label}/{label}-{number}/field.tif": types
        for label, types in TYPES.items()
        for number in (1, 2)
    }
    folder, model = write_smears(tmp_path / "study", cells), tmp_path / "given.safetensors"
    study = workflows.Study.of(workflows.open_cohort(folder))
    settings, ensemble = MILSettings(epochs=15), EnsembleSettings(members=2, calibrate=False)
    training = workflows.train_classifier(study, settings, ensemble, DetectionSettings(), "cpu")
    trained = finished(training)
    assert trained is not None
    trained.classifier.model.save(model)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(folder))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(model), ""))
    return folder


def type_filter(desk: Walk, text: str) -> None:
    """Type a condition into the line above the tabs."""
    fields = desk.panel(ExploreWidget).findChildren(QLineEdit)
    (field,) = (
        each for each in fields if each.isVisible() and "all cells" in each.placeholderText()
    )
    MOUSE.mouseClick(field, Qt.MouseButton.LeftButton)
    MOUSE.keyClicks(field, text)
    MOUSE.keyClick(field, Qt.Key.Key_Return)
    desk.settle()


def close(card: CardPage, desk: Walk) -> None:
    """Close a card by Escape."""
    desk.until(lambda: card.is_open)
    card.window.activateWindow()  # Without a window manager, a click does not.
    desk.until(card.window.isActiveWindow)
    card.press_escape()
    desk.until(lambda: not card.is_open)


def test_from_a_classifier_to_the_cells_that_decided_and_a_report(
    walk: Callable[[str], Walk], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "report.html"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(report), ""))
    desk = walk(CLASSIFY)
    session, mouse = desk.session, desk.mouse
    mouse.choose("Open images or folder…", "Folder…")
    desk.until(lambda: session.cohort is not None)
    desk.settle()
    assert session.cohort.classes == ("healthy", "sickle")

    mouse.press("Classifier")
    mouse.press("Load model…")
    desk.settle()
    mouse.press("Explore cells…")
    desk.settle()
    explorer = desk.panel(ExploreWidget)
    page = ExplorerPage(explorer, desk.qtbot)
    mouse.turn_to("Cohort")
    mouse.press("Classify all samples")
    desk.settle()
    states = session.states_of_samples()
    assert len(states) == 4 and all(state.prediction is not None for state in states.values())

    # A click on a cell in the image: the card says why it is white.
    card = CardPage(desk.panel(AttentionMILWidget), desk.qtbot)
    x_min, y_min, x_max, y_max = session.boxes.xyxy[1].tolist()
    desk.hand.click((x_min + x_max) / 2, (y_min + y_max) / 2)
    sample, cell = session.sample.name, int(session.boxes.cell_id[1])
    desk.until(lambda: card.key() == (sample, cell))
    card.wait_complete()
    assert "attention" in card.text("attention")
    assert set(card.contributions()) == {"healthy", "sickle"}
    assert len(card.measures()) > 3
    mouse.press("Not altered", card.widget)
    desk.settle()
    assert session.notes.of(cell).tags == ("not altered",)
    close(card, desk)

    # The tag is a condition like any other, in gallery, table and map.
    mouse.turn_to("Gallery")
    page.gallery.settle()
    everything = page.gallery.keys()
    assert len(everything) == sum(len(state.boxes) for state in states.values())
    type_filter(desk, "tags = not altered")
    page.gallery.settle()
    assert page.gallery.keys() == [(sample, cell)]
    type_filter(desk, "\b" * 30)
    page.gallery.settle()
    assert page.gallery.keys() == everything

    # What is selected in one view is selected in all, and in the image.
    row, picked = next(pair for pair in enumerate(everything) if pair[1][0] == sample)
    page.gallery.click(row)
    close(card, desk)
    mouse.turn_to("Table")
    page.table.settle()
    assert [page.table.keys()[row] for row in page.table.selected_rows()] == [picked]
    mouse.turn_to("Map")
    page.map.settle()
    assert page.map.ringed() == 1 and page.map.is_ringed(page.map.keys().index(picked))
    assert session.selection == (picked[1],)
    desk.settle()  # The axes take their place when the map is drawn.
    row, other = next(
        pair for pair in enumerate(page.map.keys()) if pair[1][0] == sample and pair[1] != picked
    )
    plot, place = page.map.plot, page.map.scene_place(row)
    MOUSE.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=plot.mapFromScene(place))
    desk.until(lambda: session.selection == (other[1],))
    close(card, desk)
    mouse.turn_to("Gallery")
    page.gallery.settle()
    assert [everything[row] for row in page.gallery.selected_rows()] == [other]

    mouse.turn_to("Cohort")
    mouse.press("Write report…")
    desk.settle()
    text = report.read_text("utf-8")
    assert all(name in text for name in states)
