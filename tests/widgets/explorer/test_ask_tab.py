"""The tab "Ask": one cell after the other, a key each, and what the answers changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QMenu
from support.pages.explorer import AskPage, ExplorerPage
from support.predictions import FakeClassifier

from napari_attmil import workflows
from napari_attmil.bags import Bag, Question
from napari_attmil.cells.boxes import Boxes
from napari_attmil.core import Workers
from napari_attmil.explore import CellToAsk
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.predictions import LoadedClassifier
from napari_attmil.widgets.notes_menu import add_note_actions
from napari_attmil.widgets.thumbnails import Cutout
from napari_attmil.workflows import Progress, Renamed, Stage, Training, Update

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from napari.components import ViewerModel
    from pytestqt.qtbot import QtBot

    from napari_attmil.widgets.explorer.panel import ExploreWidget

CLASSES = ("healthy", "malaria", "sickle")
CORNERS = [[5, 5, 25, 25], [30, 10, 50, 30], [10, 35, 30, 55]]
BOXES = Boxes.from_detections([0, 0, 0], CORNERS, [0.9, 0.8, 0.7])


def fake_ask(
    study: workflows.Study,
    classifier: Any,
    count: int,
    strategy: str,
    detection: Any,
    device_name: str,
    stop: Event,
) -> Stage[list[CellToAsk]]:
    """Find three cells in "sickle" and ask about them, the last one first."""
    sample = next(sample for sample in study.cohort.samples if sample.label == "sickle")
    features, drawn = np.zeros((1, 256, 11, 1), np.float16), BOXES[:1]
    bag = Bag(features, drawn.cell_id, sample.name, sample.patient, boxes=drawn, sample_boxes=BOXES)
    yield Progress(1, 1, "Reading", bag)
    asked = []
    # As after another detection: the ids are others than the session's.
    for number, corners in enumerate(CORNERS[::-1]):
        x_min, y_min, x_max, y_max = map(float, corners)
        question = Question(sample.name, 7 + number, 0.9 - number / 10, 0.1)
        asked.append(CellToAsk(sample, 0, (x_min, y_min, x_max, y_max), question))
    return asked


def fake_update(
    study: workflows.Study,
    former: Any,
    detection: Any,
    device_name: str,
    workers: Workers | None,
    stop: Event,
) -> Stage[Update]:
    assert workers == Workers(2)
    yield Progress(1, 1, "Training")
    path = study.cohort.folder / "new.safetensors"
    training = Training(LoadedClassifier(FakeClassifier(CLASSES), "new", path), True)
    return Update(training, 3, (Renamed("s", "healthy", "sickle", "sickle"),), (1, 2), 3)


@pytest.fixture
def explorer(
    viewer: ViewerModel,
    make_explorer: Callable[[Any], ExploreWidget],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ExploreWidget:
    monkeypatch.setattr(workflows, "ask_study", fake_ask)
    monkeypatch.setattr(workflows, "update_classifier", fake_update)
    samples = []
    for label in CLASSES:
        path = tmp_path / f"{label}.tif"
        tifffile.imwrite(path, np.full((60, 70), 50, dtype=np.uint8))
        samples.append(Sample(label, f"patient of {label}", label, (Frame(path),), 0.25))
    explorer = make_explorer(viewer)
    explorer.context.image_choice.use_cohort(Cohort(tuple(samples), tmp_path))
    return explorer


@pytest.fixture
def tab(explorer: ExploreWidget, qtbot: QtBot) -> AskPage:
    explorer.context.session.predictions.use(LoadedClassifier(FakeClassifier(CLASSES), "fake"))
    page = ExplorerPage(explorer, qtbot).asking
    page.open()
    page.find()
    return page


def tags(explorer: ExploreWidget) -> dict[int, tuple[str, ...]]:
    """Return the tags of the cells of the sample that is asked about."""
    state = explorer.context.session.states_of_samples()["sickle"]
    return {cell: note.tags for cell, note in sorted(state.notes.items())}


def test_without_a_classifier_it_says_what_is_missing(
    explorer: ExploreWidget, qtbot: QtBot
) -> None:
    page = ExplorerPage(explorer, qtbot).asking
    page.open()
    assert "Train or load a classifier first" in page.text("why")
    assert not page.can_press("Find cells") and not page.can_press("Altered")


def test_each_key_answers_and_brings_the_next_cell(explorer: ExploreWidget, tab: AskPage) -> None:
    assert "sickle · sickle: is this cell altered?" in tab.text("whose")
    assert "cell 3" in tab.text("why") and "90%" in tab.text("why")
    assert tab.text("count") == "0 of 3 answered."
    tab.press_key("A")
    assert "cell 2" in tab.text("why")
    tab.press_key("N")
    tab.press_key("?")
    assert tags(explorer) == {1: ("cannot tell",), 2: ("not altered",), 3: ("altered",)}
    assert "3 of 3 answered" in tab.text("count") and "1 cannot tell" in tab.text("count")
    assert "All of these have answers" in tab.text("why")


def test_undo_brings_the_cell_back(explorer: ExploreWidget, tab: AskPage) -> None:
    tab.press_key("X")
    tab.press_key("A")
    tab.press_key("Ctrl+Z")
    assert tags(explorer) == {3: ("not a cell",)}
    assert "cell 2" in tab.text("why")


def test_skipped_cell_comes_back_at_the_end(tab: AskPage) -> None:
    tab.press_key("S")
    assert "cell 2" in tab.text("why")
    tab.press_key("A")
    tab.press_key("A")
    assert "cell 3" in tab.text("why")


def test_another_disease_of_the_study_can_be_named(explorer: ExploreWidget, tab: AskPage) -> None:
    assert tab.other_classes() == ["malaria"]
    tab.name_class("malaria")
    assert tags(explorer) == {3: ("altered: malaria",)}


def test_answer_given_elsewhere_counts_too(explorer: ExploreWidget, tab: AskPage) -> None:
    session = explorer.context.session
    session.notes.tag({session.key_of("sickle"): [3]}, "altered")
    tab.settle()
    assert "cell 2" in tab.text("why") and "1 of 3 answered" in tab.text("count")


def test_pictures_show_the_cell_and_its_field(tab: AskPage) -> None:
    tab.wait(lambda: not tab.label("cell").pixmap().isNull())
    tab.wait(lambda: not tab.label("field").pixmap().isNull())
    # All 60 px of the height lie on 184; a frame of 22 px lies around x 20, y 45.
    field = tab.label("field").pixmap().toImage()
    row = [field.pixelColor(x, 138).lightness() for x in range(184)]
    assert [x for x in range(184) if row[x] == 255] == [27, 95] and row[61] == 50
    tab.press_key("A")
    tab.wait(lambda: not tab.label("cell").pixmap().isNull())


@pytest.mark.parametrize(
    ("centre", "corner"),
    [
        ((80, 50), (60, 30)),
        ((4, 50), (0, 30)),  # at the left edge
        ((150, 98), (120, 60)),  # in the lower right corner, partly beyond it
    ],
)
def test_a_field_at_the_edge_is_moved_into_the_image(
    centre: tuple[int, int], corner: tuple[int, int]
) -> None:
    image = np.random.default_rng(3).integers(0, 200, (100, 160), np.uint8)
    (x, y), (left, top) = centre, corner
    field = Cutout("s", 1, 0, x, y, 40, 40, framed_px=10).cut(image)
    part = image[top : top + 40, left : left + 40]
    rows, columns = np.ogrid[:40, :40]
    far = np.maximum(abs(columns - (x - left)), abs(rows - (y - top)))
    assert np.array_equal(field[far > 6], np.stack([part[far > 6]] * 3, axis=-1))
    assert np.array_equal(field[far < 4], np.stack([part[far < 4]] * 3, axis=-1))
    assert (field[far == 5] == 255).all()


def test_a_field_larger_than_the_image_shows_no_more_than_the_image() -> None:
    image = np.random.default_rng(3).integers(0, 200, (30, 30, 3), np.uint8)
    field = Cutout("s", 1, 0, 10, 20, 60, 30, framed_px=6).cut(image)
    assert np.array_equal(field[:, 20:], image[:, 20:])
    assert (field[20, [7, 13]] == 255).all()


def test_updated_classifier_is_used_and_its_changes_are_told(
    explorer: ExploreWidget, tab: AskPage
) -> None:
    assert not tab.can_press("Update"), "there is no answer yet"
    tab.press_key("A")
    explorer.context.set_workers(Workers(2))
    tab.press_when_ready("Update the classifier")
    tab.wait(lambda: bool(tab.text("outcome")))
    assert tab.text("outcome") == (
        "1 of 3 samples is named differently while held out: s (sickle): sickle, was healthy. "
        "Held-out patients: 2 of 3 right, 1 before."
    )
    used = explorer.context.session.predictions.classifier
    assert used is not None and used.name == "new"


def test_update_in_words_names_a_few_samples() -> None:
    training = Training(LoadedClassifier(FakeClassifier(CLASSES), "new", Path("new")), True)
    assert Update(training, 4, ()).in_words() == "None of 4 samples are named differently."
    renamed = tuple(Renamed(name, "a", "b", "b") for name in "pqrst")
    assert Update(training, 9, renamed).in_words() == (
        "5 of 9 samples are named differently: p (b): b, was a; q (b): b, was a; r (b): b, was a; "
        "2 more."
    )


def test_menu_of_a_cell_offers_the_diseases_of_the_study(
    explorer: ExploreWidget, tab: AskPage
) -> None:
    session = explorer.context.session
    menu = QMenu()
    add_note_actions(menu, session, {session.key_of("sickle"): [2]}, explorer)
    (submenu,) = (action.menu() for action in menu.actions() if action.menu() is not None)
    assert [action.text() for action in submenu.actions()] == ["malaria", "sickle"]
    submenu.actions()[0].trigger()
    assert tags(explorer) == {2: ("altered: malaria",)}
    again = QMenu()
    add_note_actions(again, session, {session.key_of("sickle"): [2]}, explorer)
    assert "Altered: malaria" not in [action.text() for action in again.actions()]
