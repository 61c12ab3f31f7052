from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from support.pages.annotate import AnnotatePage, HistoryPage
from support.pages.page import Page

from napari_attmil import workflows
from napari_attmil.cells.boxes import Boxes, Source
from napari_attmil.images.cohort import Cohort
from napari_attmil.images.reading import open_sample
from napari_attmil.session.review_queue import QueueOrder, ReviewState
from napari_attmil.widgets.annotate import box_tools
from napari_attmil.widgets.annotate.panel import AnnotateWidget
from napari_attmil.widgets.viewer.key_registry import ACTIONS
from napari_attmil.workflows import NEVER, Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from threading import Event

    from napari.components import ViewerModel
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

DETECTED = Boxes.from_detections(
    [0, 0, 0], [[10, 10, 30, 30], [50, 20, 70, 40], [20, 60, 40, 80]], [0.9, 0.5, 0.7]
)


@pytest.fixture
def make_bench(fakes: None, qtbot: QtBot) -> Iterator[Callable[[Any], AnnotateWidget]]:
    """Open the panel "Annotate cells" in a viewer; closed at the end of the test."""
    benches = []

    def make(viewer: Any) -> AnnotateWidget:
        bench = AnnotateWidget(viewer)
        bench.show()
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.close_panel()
        bench.deleteLater()


@pytest.fixture
def bench(
    viewer: ViewerModel, stack: Image, make_bench: Callable[[Any], AnnotateWidget]
) -> AnnotateWidget:
    viewer.add_layer(stack)
    viewer.dims.set_point(0, 0)
    bench = make_bench(viewer)
    bench.context.session.editor.merge(DETECTED)
    return bench


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Five samples of one image each."""
    import tifffile

    images = np.random.default_rng(1).integers(0, 255, (5, 90, 100), dtype=np.uint8)
    for index, image in enumerate(images):
        tifffile.imwrite(tmp_path / f"s{index}.tif", image)
    samples = tuple(open_sample(path) for path in sorted(tmp_path.glob("*.tif")))
    return Cohort(samples, tmp_path)


@pytest.fixture
def study(
    viewer: ViewerModel, cohort: Cohort, make_bench: Callable[[Any], AnnotateWidget]
) -> AnnotateWidget:
    bench = make_bench(viewer)
    bench.context.image_choice.use_cohort(cohort)
    return bench


def press(viewer: ViewerModel, key: str) -> None:
    """Press a key of the viewer, as napari does."""
    from app_model.types import KeyBinding

    viewer.keymap[KeyBinding.from_str(key)](viewer)


def shown_states(bench: AnnotateWidget) -> list[ReviewState]:
    return [entry.state for entry in bench.reviewing.queue]


def test_reviewed_next_marks_the_image_and_shows_the_one_after(
    study: AnnotateWidget, viewer: ViewerModel
) -> None:
    press(viewer, "N")
    assert study.reviewing.place == ("s1", 0)
    assert shown_states(study)[0] == ReviewState.REVIEWED
    assert study.review_bar.text().startswith("1 of 5 reviewed")


def test_reviewed_images_are_passed_over_and_the_last_one_stays(
    study: AnnotateWidget, viewer: ViewerModel
) -> None:
    for _ in range(5):
        press(viewer, "N")
    assert study.review_bar.text() == "5 of 5 reviewed"
    assert study.reviewing.place == ("s4", 0)
    page = Page(study)
    assert page.messages() == ["All images are reviewed; a detector can learn from them."]
    assert page.offers("Train detector")


def test_images_that_the_list_hides_are_not_called_reviewed(
    study: AnnotateWidget, viewer: ViewerModel
) -> None:
    study.reviewing.arrange(QueueOrder.STUDY, frozenset({ReviewState.IN_WORK}))
    press(viewer, "N")
    assert study.review_bar.text().startswith("1 of 5")
    assert Page(study).messages() == [
        "No image of the list is left to review. 4 more images are not reviewed: let the list "
        "show all images."
    ]


def test_skip_and_previous_leave_images_as_they_are(
    study: AnnotateWidget, viewer: ViewerModel
) -> None:
    press(viewer, "PageDown")
    press(viewer, "PageDown")
    press(viewer, "PageUp")
    assert study.reviewing.place == ("s1", 0)
    assert set(shown_states(study)) == {ReviewState.NEW}


@pytest.fixture
def broken_study(
    viewer: ViewerModel, tmp_path: Path, make_bench: Callable[[Any], AnnotateWidget]
) -> AnnotateWidget:
    """A stack of three images, a sample that cannot be read, and one of an image."""
    import tifffile

    images = np.random.default_rng(1).integers(0, 255, (3, 90, 100), dtype=np.uint8)
    for name, data in (("a", images), ("b", images[0]), ("c", images[1])):
        tifffile.imwrite(tmp_path / f"{name}.tif", data, photometric="minisblack")
    samples = tuple(open_sample(tmp_path / f"{name}.tif") for name in "abc")
    (tmp_path / "b.tif").write_bytes(b"II*\0cut short")
    bench = make_bench(viewer)
    bench.context.image_choice.use_cohort(Cohort(samples, tmp_path))
    return bench


@pytest.mark.parametrize("key", ["N", "PageDown"])
def test_an_image_that_cannot_be_read_is_told_once_and_passed_over(
    broken_study: AnnotateWidget,
    viewer: ViewerModel,
    notifications: list[tuple[str, str]],
    key: str,
) -> None:
    page, places, errors, told = Page(broken_study), [], [], []
    for _ in range(5):
        press(viewer, key)
        places.append(broken_study.reviewing.place)
        errors += page.errors()
        told += page.messages()
        page.close_messages()
    assert places == [("a", 1), ("a", 2), ("a", 2), ("c", 0), ("c", 0)]
    hints = [text for severity, text in notifications if severity == "info"]
    assert len(errors) == 1 and "b.tif" in errors[0]
    end = "No image of the list is left to review. 1 image cannot be read."
    last = "This is the last image that can be read."
    assert (told[-1] == end) if key == "N" else (hints[-1] == last)


@pytest.mark.parametrize("key", ["N", "PageDown"])
def test_a_study_whose_first_image_cannot_be_read_is_gone_through(
    broken_study: AnnotateWidget, viewer: ViewerModel, key: str
) -> None:
    cohort = broken_study.context.session.cohort
    assert cohort is not None
    broken_study.context.image_choice.use_cohort(replace(cohort, samples=cohort.samples[1:]))
    assert broken_study.reviewing.place is None and broken_study.reviewing.can_go
    press(viewer, key)
    press(viewer, key)
    assert broken_study.reviewing.place == ("c", 0)
    (told,) = Page(broken_study).messages()
    assert "b.tif" in told


def test_an_image_that_can_be_read_again_is_no_longer_passed_over(
    broken_study: AnnotateWidget,
    viewer: ViewerModel,
    tmp_path: Path,
    notifications: list[tuple[str, str]],
) -> None:
    reviewing = broken_study.reviewing
    reviewing.show(("b", 0))
    assert reviewing.place == ("a", 0)
    (tmp_path / "b.tif").write_bytes((tmp_path / "c.tif").read_bytes())
    reviewing.show(("b", 0))
    press(viewer, "PageDown")
    press(viewer, "PageUp")
    assert reviewing.place == ("b", 0)


def test_the_marks_are_there_after_reopening(
    study: AnnotateWidget, viewer: ViewerModel, cohort: Cohort
) -> None:
    press(viewer, "N")
    study.context.image_choice.use_cohort(cohort)
    assert shown_states(study) == [ReviewState.REVIEWED, *[ReviewState.NEW] * 4]


def test_a_stack_without_a_cohort_is_a_queue_too(
    bench: AnnotateWidget, viewer: ViewerModel
) -> None:
    assert [entry.image_index for entry in bench.reviewing.queue] == [0, 1, 2]
    press(viewer, "N")
    assert bench.reviewing.place == ("blood", 1)
    assert bench.context.session.state.reviewed == {0}
    assert set(bench.context.session.boxes.source) == {Source.ACCEPTED}


def test_queue_can_be_filtered_and_ordered(bench: AnnotateWidget) -> None:
    bench.reviewing.arrange(QueueOrder.DOUBT, frozenset({ReviewState.PREDICTED}))
    assert next(iter(bench.queue_panel.model.entries)).doubtful_count == 2


def test_doubtful_boxes_come_one_after_the_other(
    bench: AnnotateWidget, viewer: ViewerModel
) -> None:
    session = bench.context.session
    seen: list[int] = []
    for _ in range(3):
        press(viewer, "U")
        seen += session.selection
    assert seen == [2, 3, 2]


def test_arrow_keys_move_the_selected_box_by_a_pixel(
    bench: AnnotateWidget, viewer: ViewerModel
) -> None:
    session = bench.context.session
    session.select([1])
    press(viewer, "Right")
    press(viewer, "Shift+Down")
    assert session.boxes.xyxy[0].tolist() == [11, 20, 31, 40]
    press(viewer, "Alt+Right")
    press(viewer, "Alt+Shift+Up")
    assert session.boxes.xyxy[0].tolist() == [11, 19, 32, 40]
    session.editor.undo()
    assert session.boxes.xyxy[0].tolist() == [11, 20, 32, 40]


def test_arrow_keys_turn_the_images_while_no_box_is_selected(
    bench: AnnotateWidget, viewer: ViewerModel
) -> None:
    press(viewer, "Right")
    assert viewer.dims.current_step[0] == 1


def test_a_box_is_never_made_too_small_to_be_a_cell(
    bench: AnnotateWidget, viewer: ViewerModel
) -> None:
    session = bench.context.session
    session.select([1])
    for _ in range(30):
        press(viewer, "Alt+Left")
    assert len(session.boxes) == 3
    assert session.boxes.xyxy[0].tolist() == [10, 10, 13, 30]


def point_at(bench: AnnotateWidget, viewer: ViewerModel, x: float, y: float) -> None:
    world = bench.context.image_choice.chosen.data_to_world((0, y, x))
    viewer.cursor.position = tuple(world)


def test_box_under_the_pointer_is_deleted_whatever_the_scale(
    bench: AnnotateWidget, viewer: ViewerModel
) -> None:
    point_at(bench, viewer, 60, 30)
    press(viewer, "K")
    assert bench.context.session.boxes.cell_id.tolist() == [1, 3]


def test_box_under_the_pointer_is_accepted(bench: AnnotateWidget, viewer: ViewerModel) -> None:
    point_at(bench, viewer, 60, 30)
    press(viewer, "J")
    source = bench.context.session.boxes.source.tolist()
    assert source == [Source.MODEL, Source.ACCEPTED, Source.MODEL]


def test_a_key_over_one_of_several_selected_boxes_means_all_of_them(
    bench: AnnotateWidget, viewer: ViewerModel
) -> None:
    session = bench.context.session
    session.select([1, 3])
    point_at(bench, viewer, 60, 30)
    press(viewer, "J")
    assert session.boxes.source.tolist() == [Source.MODEL, Source.ACCEPTED, Source.MODEL]
    point_at(bench, viewer, 20, 20)
    press(viewer, "K")
    assert session.boxes.cell_id.tolist() == [2]
    press(viewer, "K")
    assert session.boxes.cell_id.tolist() == [2]


def test_keyboard_alone_adds_and_selects_a_box(bench: AnnotateWidget, viewer: ViewerModel) -> None:
    press(viewer, "Shift+Q")
    session = bench.context.session
    assert len(session.boxes) == 4 and session.selection == (4,)
    press(viewer, ".")
    assert session.selection != (4,)


def test_a_clear_cell_gets_its_box_from_one_key(
    viewer: ViewerModel, make_bench: Callable[[Any], AnnotateWidget]
) -> None:
    rows, columns = np.mgrid[:100, :100]
    cell = (np.hypot(rows - 50, columns - 40) < 15).astype(np.float32)
    layer = viewer.add_image(200 - 100 * cell)
    bench = make_bench(viewer)
    viewer.cursor.position = (48, 42)
    press(viewer, "Q")
    np.testing.assert_allclose(bench.context.session.boxes.xyxy, [[25, 35, 55, 65]], atol=2.5)
    assert layer in viewer.layers


def test_a_cell_that_has_a_box_gets_no_second_one_but_is_selected(
    viewer: ViewerModel, make_bench: Callable[[Any], AnnotateWidget]
) -> None:
    rows, columns = np.mgrid[:100, :100]
    cell = (np.hypot(rows - 50, columns - 40) < 15).astype(np.float32)
    viewer.add_image(200 - 100 * cell)
    session = make_bench(viewer).context.session
    viewer.cursor.position = (48, 42)
    press(viewer, "Q")
    (box,) = session.selection
    for corners in (session.boxes.xyxy[0], [20, 30, 48, 55], [0, 0, 90, 90]):
        session.editor.move(box, corners)
        session.select([])
        press(viewer, "Q")
        assert (session.boxes.cell_id.tolist(), session.selection) == ([box], (box,))


def test_a_click_takes_the_box_that_the_detector_thinks_possible(
    viewer: ViewerModel,
    stack: Image,
    make_bench: Callable[[Any], AnnotateWidget],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def detect(
        images: Any,
        places: Sequence[int],
        settings: Any,
        device_name: str,
        weights: Path | None = None,
        stop: Event = NEVER,
    ) -> Stage[workflows.Detection]:
        yield Progress(0, 1, "")
        asked.append((places, settings.min_score))
        return workflows.Detection(Boxes.from_detections([1], [[51, 22, 69, 41]], [0.2]), (1,))

    monkeypatch.setattr(workflows, "detect_cells", detect)
    viewer.add_layer(stack)
    bench = make_bench(viewer)
    session, page = bench.context.session, AnnotatePage(bench)
    viewer.dims.set_point(0, 1)
    press(viewer, "W")
    qtbot.waitUntil(lambda: len(page.candidates()) > 0)
    point_at(bench, viewer, 60, 30)
    press(viewer, "Q")
    assert session.boxes.xyxy.tolist() == [[51, 22, 69, 41]]
    assert session.boxes.source.tolist() == [Source.PERSON]
    session.editor.move(1, [46, 25, 64, 44])
    press(viewer, "G")
    assert session.boxes.xyxy.tolist() == [[51, 22, 69, 41]]
    assert len(asked) == 1 and asked[0][0] == [1] and asked[0][1] < 0.2


def test_button_snaps_the_selected_box_and_the_key_the_one_pointed_at(
    bench: AnnotateWidget, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box_tools, "snap_to_outline", lambda image, xyxy: xyxy + 1)
    session = bench.context.session
    session.select([1])
    point_at(bench, viewer, 60, 30)
    AnnotatePage(bench).boxes.press("Snap")
    assert session.boxes.xyxy[:, 0].tolist() == [11, 50, 20]
    press(viewer, "G")
    assert session.boxes.xyxy[:, 0].tolist() == [11, 51, 20]


def test_boxes_hide_and_come_back(bench: AnnotateWidget, viewer: ViewerModel) -> None:
    press(viewer, "H")
    assert not bench.context.cells.layer.visible
    press(viewer, "H")
    assert bench.context.cells.layer.visible


def test_brighter_means_that_lower_levels_are_white(
    bench: AnnotateWidget, viewer: ViewerModel
) -> None:
    layer = bench.context.image_choice.chosen
    layer.contrast_limits = (0, 100)
    press(viewer, "]")
    assert layer.contrast_limits == [-10, 90]
    press(viewer, "[")
    assert layer.contrast_limits == [0, 100]
    press(viewer, "=")
    assert layer.contrast_limits == [5, 95]


def test_slider_deletes_weak_boxes_as_one_step_of_undo(bench: AnnotateWidget) -> None:
    cut, session = AnnotatePage(bench).score_cut, bench.context.session
    cut.set(80)
    cut.press("Delete 2 boxes below")
    assert session.boxes.cell_id.tolist() == [1]
    session.editor.undo()
    assert len(session.boxes) == 3
    cut.press("Accept")
    assert session.boxes.source.tolist() == [Source.ACCEPTED, Source.MODEL, Source.MODEL]


def test_predicted_accepted_and_own_boxes_differ_in_width_and_colour(bench: AnnotateWidget) -> None:
    session = bench.context.session
    session.editor.accept([1])
    session.editor.move(2, [52, 20, 72, 40])
    layer = bench.context.cells.layer
    assert len(set(np.round(layer.edge_width, 3))) == 3
    assert len({tuple(colour) for colour in np.round(layer.edge_color, 3)}) == 3


def test_images_ahead_are_detected_but_reviewed_ones_never(
    study: AnnotateWidget, viewer: ViewerModel, qtbot: QtBot
) -> None:
    study.context.session.editor.set_reviewed(0)
    study.look_ahead.set_on(True)
    predicted = [ReviewState.REVIEWED, *[ReviewState.PREDICTED] * 3, ReviewState.NEW]
    qtbot.waitUntil(lambda: shown_states(study) == predicted, timeout=20_000)
    assert len(study.context.session.boxes) == 0


def test_look_ahead_stays_away_from_images_that_a_person_has_begun(study: AnnotateWidget) -> None:
    study.context.session.editor.add(0, [10, 10, 30, 30])
    assert study.look_ahead.next_place() == ("s1", 0)


def test_pictures_come_for_images_that_are_looked_at(study: AnnotateWidget, qtbot: QtBot) -> None:
    model = study.queue_panel.model
    role = Qt.ItemDataRole.DecorationRole
    qtbot.waitUntil(lambda: model.data(model.index(0), role) is not None, timeout=20_000)
    assert "new" in model.data(model.index(0))


def test_all_keys_are_free_again_when_the_panel_closes(
    bench: AnnotateWidget, viewer: ViewerModel
) -> None:
    assert len(viewer.keymap) == len(ACTIONS)
    bench.close_panel()
    assert not viewer.keymap


def test_every_control_has_a_tooltip_and_a_name(bench: AnnotateWidget) -> None:
    from qtpy.QtWidgets import QAbstractButton, QAbstractSlider, QComboBox, QScrollBar

    from napari_attmil.widgets.annotate.queue_view import QueueView

    kinds = (QAbstractButton, QAbstractSlider, QComboBox, QueueView)
    controls: list[Any] = [control for kind in kinds for control in bench.findChildren(kind)]
    controls = [control for control in controls if not isinstance(control, QScrollBar)]
    assert len(controls) > 15
    for control in controls:
        assert control.toolTip()
        assert control.accessibleName() or control.text()


def test_key_pressed_in_the_panel_works_as_in_the_image(
    study: AnnotateWidget, qtbot: QtBot
) -> None:
    qtbot.keyClick(study.queue_panel.view, Qt.Key.Key_N)
    assert study.reviewing.place == ("s1", 0)


def test_drawing_tool_takes_a_still_click_for_a_question_and_a_drag_for_a_box(
    bench: AnnotateWidget, viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.context.cells.start_drawing()
    asked: list[object] = []
    monkeypatch.setattr(bench.tools, "add_at", asked.append)
    for far in (0, 40):
        event = SimpleNamespace(
            button=1, pos=(5, 5), position=(0.0, 20.0, 30.0), type="mouse_press"
        )
        gesture = viewer.mouse_drag_callbacks[-1](viewer, event)
        next(gesture)
        event.type, event.pos = "mouse_move", (5 + far, 5)
        next(gesture)
        event.type = "mouse_release"
        assert next(gesture, None) is None
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    assert asked == [(0.0, 20.0, 30.0)]


def test_boxes_that_are_no_cells_are_not_counted_among_the_cells(bench: AnnotateWidget) -> None:
    session, counts = bench.context.session, AnnotatePage(bench).boxes
    session.editor.clear()
    cells = [session.editor.add(0, [10 + 20 * k, 10, 26 + 20 * k, 26]) for k in range(2)]
    session.notes.tag(cells[:1], "not a cell")
    assert counts.text("counts") == (
        "1 box in this image: 1 yours, 0 accepted, 0 detected, 0 doubtful; "
        "1 more is tagged “not a cell”."
    )
    session.notes.tag(cells, "not a cell")
    assert counts.text("counts") == "No cells in this image; 2 boxes are tagged “not a cell”."


def test_an_image_without_boxes_says_so(bench: AnnotateWidget) -> None:
    bench.context.session.editor.clear()
    assert AnnotatePage(bench).boxes.text("counts") == "No boxes in this image."


def test_undo_after_reviewed_next_goes_back_and_takes_the_review_back(
    study: AnnotateWidget, viewer: ViewerModel
) -> None:
    session = study.context.session
    session.editor.merge(DETECTED[:1])
    session.editor.merge(DETECTED, key=session.key_of("s1"))
    press(viewer, "N")
    assert study.reviewing.place == ("s1", 0) and len(session.boxes) == 3
    press(viewer, "Ctrl+Z")
    assert study.reviewing.place == ("s0", 0) and session.state.reviewed == frozenset()
    assert shown_states(study)[:2] == [ReviewState.PREDICTED, ReviewState.PREDICTED]
    assert len(session.states_of_samples()["s1"].boxes) == 3
    press(viewer, "Ctrl+Shift+Z")
    assert study.reviewing.place == ("s0", 0) and shown_states(study)[0] == ReviewState.REVIEWED


def test_undo_works_while_a_button_of_the_panel_has_the_focus_but_not_in_a_text_field(
    study: AnnotateWidget, qtbot: QtBot
) -> None:
    from qtpy.QtWidgets import QLineEdit, QPushButton

    session = study.context.session
    session.editor.merge(DETECTED)
    field, button = QLineEdit(study), QPushButton(study)
    qtbot.keyClicks(field, "abc")
    qtbot.keyClick(field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert field.text() == "" and len(session.boxes) == 3
    qtbot.keyClick(button, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert len(session.boxes) == 0


def test_history_lists_what_was_done_goes_there_and_back_to_a_step(
    study: AnnotateWidget, viewer: ViewerModel
) -> None:
    session = study.context.session
    session.editor.merge(DETECTED)
    press(viewer, "N")
    session.editor.add(0, [10, 10, 30, 30])
    AnnotatePage(study).boxes.press("History…")
    history = HistoryPage(study)
    assert [row[1:] for row in history.rows()] == [
        ("Draw 1 box", "s1"),
        ("Reviewed", "s0"),
        ("Detect cells", "s0"),
    ]
    history.click(2)
    assert study.reviewing.place == ("s0", 0)
    history.press("Undo to here (2 changes)")
    assert session.state.reviewed == frozenset() and len(session.boxes) == 3
    assert "s1" not in session.states_of_samples()
    assert history.taken_back() == [True, True, False]
    history.press("Redo")
    assert session.states_of_samples()["s0"].reviewed == {0}
    assert len(session.states_of_samples()["s1"].boxes) == 1
    history.click(1)
    history.press("Take back only this")
    assert session.states_of_samples()["s0"].reviewed == frozenset()
    assert len(session.states_of_samples()["s1"].boxes) == 1


def test_key_tags_the_selected_box_as_no_cell_and_takes_the_tag_off_again(
    bench: AnnotateWidget, viewer: ViewerModel
) -> None:
    session = bench.context.session
    session.select([2])
    viewer.cursor.position = (0, -1, -1)
    press(viewer, "X")
    assert session.notes.of(2).tags == ("not a cell",) and len(session.state.cells) == 2
    assert session.editor.undo_title == "Tag “not a cell”, 1 cell"
    press(viewer, "X")
    assert session.notes.of(2).tags == () and len(session.state.cells) == 3


def test_the_tools_need_no_bar_in_a_high_window(
    window_viewer: Any, make_bench: Callable[[Any], AnnotateWidget], qtbot: QtBot
) -> None:
    bench = make_bench(window_viewer)
    window_viewer.window.add_dock_widget(bench, area="right")
    window_viewer.window.show()
    window_viewer.window.resize(1280, 800)
    qtbot.wait(200)
    assert bench.height() > 600
    assert AnnotatePage(bench).tools_bar().maximum() == 0
