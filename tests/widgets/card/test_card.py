"""Why is this cell white? The card about one cell, opened from every view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt
from support.pages.attention_mil import ResultPage
from support.pages.card import CardPage, choose_in_menu, menus_of
from support.pages.explorer import ExplorerPage
from support.predictions import FakeClassifier, find_and_classify

from napari_attmil.cells import Boxes
from napari_attmil.cells.annotations import ALTERED, NOT_ALTERED
from napari_attmil.images import open_cohort
from napari_attmil.session import WHOLE_COHORT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.layers import Image
    from pytestqt.qtbot import QtBot
    from support.hand import Hand

    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
    from napari_attmil.widgets.explorer.panel import ExploreWidget


@pytest.fixture
def page(explored: ExploreWidget, qtbot: QtBot) -> ExplorerPage:
    return ExplorerPage(explored, qtbot)


@pytest.fixture
def card(explored: ExploreWidget, qtbot: QtBot) -> CardPage:
    return CardPage(explored, qtbot)


def test_card_says_what_is_known_at_once_and_the_rest_as_it_comes(
    page: ExplorerPage, card: CardPage
) -> None:
    page.gallery.open()
    page.gallery.click(1)
    assert card.key() == ("blood", 8)
    assert card.text("sample") == "blood"
    assert "2nd of 9 in attention" in card.text("attention")
    assert list(card.contributions()) == ["sickle", "spherocytosis", "healthy"]
    assert not card.shows("without") and card.shows("state")
    card.wait_complete()
    assert card.text("without") == "Without it the sample is 50.0% sickle, with it 70.0%."
    assert [measure.value for measure in card.measures()] == [48]
    card.qtbot.waitUntil(card.widget.has_picture, timeout=10_000)


@pytest.mark.parametrize("view", ["gallery", "table", "map"])
def test_click_in_every_view_opens_the_card_and_it_follows_the_selection(
    page: ExplorerPage, card: CardPage, explored: ExploreWidget, view: str
) -> None:
    tab = getattr(page, view)
    tab.open()
    tab.click(tab.ids().index(4))
    assert card.key() == ("blood", 4)
    explored.context.session.select([6])
    assert card.key() == ("blood", 6)
    explored.context.session.select([1, 2])
    assert card.key() == ("blood", 6), "of several cells none is meant"


def test_escape_closes_the_card_and_a_selection_does_not_open_it(
    page: ExplorerPage, card: CardPage, explored: ExploreWidget, qtbot: QtBot
) -> None:
    page.gallery.open()
    page.gallery.click(0)
    card.window.activateWindow()
    with qtbot.waitActive(card.window, timeout=5000):
        card.window.raise_()
    card.press_escape()
    qtbot.waitUntil(lambda: not card.is_open, timeout=5000)
    explored.context.session.select([3])
    assert not card.is_open


def test_clicks_that_come_fast_end_with_the_last_cell(
    explored: ExploreWidget, card: CardPage
) -> None:
    for cell in (1, 2, 3, 4, 5):
        explored.context.exploration.ask_about(("blood", cell))
    card.wait_complete()
    assert card.key() == ("blood", 5)
    assert [measure.value for measure in card.measures()] == [45]


def test_a_new_box_has_no_attention_and_one_click_classifies_again(
    explored: ExploreWidget, card: CardPage
) -> None:
    context = explored.context
    new = context.session.editor.add(0, [80, 50, 100, 70])
    context.exploration.ask_about(("blood", 10))
    assert "newer than the classification" in card.text("missing"), new
    assert card.contributions() == {} and card.offers("Classify sample")
    card.press("Classify sample")
    card.qtbot.waitUntil(lambda: "1st of 10" in card.text("attention"), timeout=10_000)
    assert not card.offers("Classify sample")


def test_card_says_what_to_do_before_there_is_a_classifier(
    explored: ExploreWidget, card: CardPage
) -> None:
    explored.context.session.predictions.use(None)
    explored.context.exploration.ask_about(("blood", 1))
    assert "load or train a classifier (step 3)" in card.text("missing")
    card.wait_complete()
    assert [measure.value for measure in card.measures()] == [41], "measures need no classifier"


def test_card_closes_with_its_cell_and_when_teaching_begins(
    explored: ExploreWidget, card: CardPage
) -> None:
    context = explored.context
    context.exploration.ask_about(("blood", 2))
    context.session.editor.delete([2])
    assert not card.is_open
    context.exploration.ask_about(("blood", 3))
    context.exploration.set_blind(True)
    assert not card.is_open
    context.exploration.ask_about(("blood", 3))
    assert not card.is_open and context.session.selection == (3,)


def test_right_click_offers_the_card(page: ExplorerPage, card: CardPage, qtbot: QtBot) -> None:
    page.gallery.open()
    view = page.gallery.view
    view.customContextMenuRequested.emit(page.gallery.place(2))
    assert menus_of(card.panel)[:2] == ["About cell 7 of blood…", "Go to it"]
    choose_in_menu(card.panel, "About")
    assert card.key() == ("blood", 7)
    view.customContextMenuRequested.emit(page.gallery.place(2))
    choose_in_menu(card.panel, "Not altered")
    assert card.panel.context.session.notes.of(7).tags == ("not altered",)


def test_answer_tags_the_cell_and_undo_takes_it_back(
    explored: ExploreWidget, card: CardPage
) -> None:
    context = explored.context
    context.exploration.ask_about(("blood", 3))
    assert card.offers("Not a cell") and card.offers("Not altered")
    card.answer(NOT_ALTERED)
    assert context.session.notes.of(3).tags == (NOT_ALTERED,)
    assert card.tags() == {NOT_ALTERED}
    card.answer(ALTERED)
    assert context.session.notes.of(3).tags == (ALTERED,) and card.tags() == {ALTERED}
    context.undo()
    assert card.tags() == {NOT_ALTERED}
    context.exploration.ask_about(("blood", 4))
    assert card.tags() == frozenset()
    context.undo()
    assert context.session.notes.of(3).tags == ()
    context.session.notes.tag([3], "ghost")
    context.exploration.ask_about(("blood", 3))
    assert card.tags() == {"ghost"}, "tags of one's own are offered too"
    card.answer("ghost")
    assert card.tags() == frozenset() and context.session.notes.of(3).tags == ()


@pytest.fixture
def cohort_cards(explored: ExploreWidget, tmp_path: Path, qtbot: QtBot) -> CardPage:
    """Return the card where two samples are classified."""
    context, noise = explored.context, np.random.default_rng(0)
    for name in ("sickle/p1/s1", "healthy/p2/s2"):
        (tmp_path / name).mkdir(parents=True)
        image = noise.integers(0, 255, (100, 120), dtype=np.uint8)
        tifffile.imwrite(tmp_path / name / "field.tif", image)
    cohort = open_cohort(tmp_path)
    context.image_choice.use_cohort(cohort)
    for sample in cohort.samples:
        key = context.session.key_of(sample.name)
        found = Boxes.from_detections([0, 0], [[10, 10, 30, 30], [40, 10, 60, 30]], [0.9, 0.8])
        context.session.editor.merge(found, key=key)
        said = FakeClassifier().predict(sample.name, found.cell_id)
        context.session.predictions.set(said, found, key)
    context.exploration.set_scope(WHOLE_COHORT)
    return CardPage(explored, qtbot)


def test_similar_cells_are_of_other_samples_and_a_click_goes_there(cohort_cards: CardPage) -> None:
    context = cohort_cards.panel.context
    first, second = (sample.name for sample in context.session.cohort.samples[:2])
    context.image_choice.show_sample(first)
    context.exploration.ask_about((first, 2))
    cohort_cards.wait_complete()
    assert (second, 1) in cohort_cards.similar() and (first, 1) not in cohort_cards.similar()
    cohort_cards.press_similar(cohort_cards.similar().index((second, 1)))
    assert context.session.sample.name == second and context.session.selection == (1,)
    assert cohort_cards.key() == (second, 1)


def test_card_of_a_cell_in_a_sample_that_is_not_shown(cohort_cards: CardPage) -> None:
    context = cohort_cards.panel.context
    first, second = (sample.name for sample in context.session.cohort.samples[:2])
    context.image_choice.show_sample(first)
    context.exploration.ask_about((second, 2))
    cohort_cards.answer(NOT_ALTERED)
    assert context.session.notes.of(2, context.session.key_of(second)).tags == (NOT_ALTERED,)
    assert context.session.notes.of(2).tags == (), "not of the sample that is shown"
    assert second in cohort_cards.text("sample") and "1st of 2" in cohort_cards.text("attention")
    cohort_cards.press("Go to it")
    assert context.session.sample.name == second and context.session.selection == (2,)


@pytest.fixture
def classified_window(
    window_viewer: Any, stack: Image, make_panel: Callable[[Any], AttentionMILWidget]
) -> AttentionMILWidget:
    """Return the main panel in a window, with nine classified cells."""
    window_viewer.window.resize(1280, 800)
    window_viewer.window.show()
    window_viewer.add_layer(stack)
    panel = make_panel(window_viewer)
    find_and_classify(panel.context.session)
    return panel


def test_click_on_a_box_opens_the_card_beside_the_cell_and_the_menu_offers_it(
    classified_window: AttentionMILWidget, window_viewer: Any, make_hand: type[Hand], qtbot: QtBot
) -> None:
    card, context = CardPage(classified_window, qtbot), classified_window.context
    context.cells.camera.turn_to(1)
    window_viewer.reset_view()
    qtbot.wait(50)
    window_viewer.layers.selection.active = context.cells.camera.image
    hand = make_hand(window_viewer)
    hand.click(20 + 60 / 2, 10 + 30 / 2)
    assert card.key() == ("blood", 5)
    corners = context.cells.offsets_of(5)
    assert corners is not None
    (left, top), _, (right, bottom), _ = corners
    canvas = classified_window.window().centralWidget()
    middle = canvas.mapToGlobal(canvas.rect().center())
    for x, y in ((left, top), (right, bottom)):
        assert not card.window.frameGeometry().contains(middle + QPoint(int(x), int(y)))
    hand.click(20 + 20 / 2, 10 + 20 / 2, button=Qt.MouseButton.RightButton)
    choose_in_menu(classified_window, "About cell 4")
    assert card.key() == ("blood", 4)


def test_click_on_a_box_before_the_classification_only_selects_it(
    classified_window: AttentionMILWidget, window_viewer: Any, make_hand: type[Hand], qtbot: QtBot
) -> None:
    card, context = CardPage(classified_window, qtbot), classified_window.context
    context.session.predictions.use(None)
    context.cells.camera.turn_to(0)
    window_viewer.reset_view()
    qtbot.wait(50)
    window_viewer.layers.selection.active = context.cells.camera.image
    make_hand(window_viewer).click(20 + 20 / 2, 10 + 20 / 2)
    assert context.session.selection == (1,) and not card.is_open


def test_top_cell_of_the_result_opens_the_card(
    classified_window: AttentionMILWidget, qtbot: QtBot
) -> None:
    result, card = ResultPage(classified_window.result_step), CardPage(classified_window, qtbot)
    qtbot.waitUntil(lambda: len(result.top_cells()) > 0, timeout=10_000)
    result.press_top_cell(0)
    assert card.key() == ("blood", 9)


def test_closed_panel_takes_its_card_along_and_another_panel_answers(
    classified_window: AttentionMILWidget,
    window_viewer: Any,
    make_explorer: Callable[[Any], ExploreWidget],
    qtbot: QtBot,
) -> None:
    explorer = make_explorer(window_viewer)
    first, second = CardPage(classified_window, qtbot), CardPage(explorer, qtbot)
    explorer.context.exploration.ask_about(("blood", 1))
    assert first.is_open and not second.is_open, "one card a viewer"
    classified_window.close_panel()
    assert not first.is_open
    explorer.context.exploration.ask_about(("blood", 2))
    assert second.key() == ("blood", 2)
