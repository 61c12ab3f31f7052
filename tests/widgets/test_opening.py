"""One front door: files, folders and layers become one study, in whichever panel."""

from __future__ import annotations

from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QMimeData, QPoint, Qt, QUrl
from qtpy.QtGui import QAction, QDropEvent
from qtpy.QtWidgets import QFileDialog
from skimage.io import imsave
from support.pages.page import Page

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.boxes import Boxes
from napari_attmil.widgets.annotate.panel import AnnotateWidget
from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
from napari_attmil.widgets.detector.panel import DetectorPanel
from napari_attmil.widgets.explorer.panel import ExploreWidget
from napari_attmil.workflows import Detection, Progress, detect_many, read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QMenu, QPushButton

    from napari_attmil.widgets.dock_panel import DockPanel

SIZES = {"a.png": (40, 60), "b.png": (41, 59), "c.png": (80, 50, 3)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of images of different sizes, one in colour."""
    own = tmp_path / "own.sqlite"
    monkeypatch.setattr(AnnotationFile, "of_user", lambda: AnnotationFile(own, one_writer=False))
    folder = tmp_path / "mine"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in SIZES.items():
        imsave(folder / name, rng.integers(1, 255, shape, np.uint8), check_contrast=False)
    return folder


def drop(panel: DockPanel, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    button, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QDropEvent(QPoint(5, 5).toPointF(), Qt.DropAction.CopyAction, data, button, keys)
    panel.dropEvent(event)


def names(panel: DockPanel) -> list[str]:
    cohort = panel.context.session.cohort
    return [] if cohort is None else [sample.name for sample in cohort.samples]


@pytest.mark.parametrize("kind", [AttentionMILWidget, AnnotateWidget, DetectorPanel, ExploreWidget])
def test_every_panel_begins_with_the_button_that_opens_images(
    kind: type[DockPanel], window_viewer: Any, qtbot: Any, folder: Path
) -> None:
    panel = kind(window_viewer)
    qtbot.addWidget(panel)
    page = Page(panel)
    button = page.button("Open images or folder…")
    assert page.offers("Open images or folder…") and button.property("primary")
    assert panel.layout().itemAt(0).widget().isAncestorOf(button)
    drop(panel, folder)
    qtbot.waitUntil(lambda: not page.busy, timeout=20_000)
    assert names(panel) == ["a", "b", "c"]
    assert page.text("study") == "3 images in mine"
    assert page.can_press("Open images or folder…") and not button.property("primary")


def test_files_dropped_on_a_panel_are_a_study_beside_them(
    panel: AttentionMILWidget, wait_idle: Callable[[Any], None], folder: Path
) -> None:
    drop(panel, folder / "a.png", folder / "c.png")
    wait_idle(panel)
    assert names(panel) == ["a", "c"]
    panel.context.session.editor.add(0, [1, 2, 20, 30])
    page = Page(panel.images_step)
    assert page.text("kept") == f"Boxes are kept in {folder / 'annotations.sqlite'}"
    assert page.text("cohort_label") == "In the study: 2 images, each a sample of its own"
    assert (folder / "annotations.sqlite").exists()


@pytest.mark.parametrize("kind", [AttentionMILWidget, AnnotateWidget, DetectorPanel, ExploreWidget])
def test_every_panel_says_once_that_boxes_are_kept_elsewhere_and_are_brought_back(
    kind: type[DockPanel],
    window_viewer: Any,
    qtbot: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = folder.parent / "user" / "annotations.sqlite"
    monkeypatch.setattr(AnnotationFile, "of_user", lambda: AnnotationFile(own, one_writer=False))
    panel = kind(window_viewer)
    qtbot.addWidget(panel)
    page = Page(panel)

    def opened() -> list[str]:
        drop(panel, folder)
        qtbot.waitUntil(lambda: not page.busy, timeout=20_000)
        return page.messages()

    with monkeypatch.context() as patched:
        patched.setattr(AnnotationFile, "beside", lambda folder: AnnotationFile.of_user())
        kept = (
            f"{folder} cannot be written, so boxes of its images are kept in {own}; they are "
            "brought to it when it is opened and can be written."
        )
        assert opened() == [kept]
        panel.context.session.editor.add(0, [1, 2, 20, 30])
        assert page.messages() == [kept]
    assert opened() == [
        f"1 box was brought from {own}, where they were kept while {folder} could not be written."
    ]
    assert panel.context.session.boxes.xyxy.tolist() == [[1, 2, 20, 30]]
    assert opened() == []


def test_cells_of_a_whole_study_are_found_with_three_presses_after_the_folder_was_chosen(
    panel: AttentionMILWidget,
    wait_idle: Callable[[Any], None],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    context, page = panel.context, Page(panel)
    monkeypatch.setattr(detect_many, "detect_cells", found_in_each_image)
    menu = open_menu(panel)
    (entry,) = (action for action in menu.actions() if action.text() == "Folder…")
    entry.trigger()
    wait_idle(panel)
    context.image_choice.show_sample("b")
    context.session.editor.set_reviewed(0)
    context.image_choice.show_sample("a")
    page.press("Detect in all 3 images of the study")
    wait_idle(panel)
    states = context.session.states_of_samples()
    assert {name: len(state.boxes) for name, state in states.items()} == {"a": 1, "b": 0, "c": 1}
    assert page.messages() == ["2 cells found in the study."]
    context.undo()
    assert [len(state.boxes) for state in context.session.states_of_samples().values()] == [0]


def test_stopped_within_an_image_the_boxes_of_its_other_parts_stay(
    panel: AttentionMILWidget,
    wait_idle: Callable[[Any], None],
    folder: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = Event()
    monkeypatch.setattr(detect_many, "detect_cells", partial(stopped_in_the_first_image, begun))
    drop(panel, folder)
    wait_idle(panel)
    session = panel.context.session
    session.editor.merge(boxes_in(0, [5, 5, 15, 15], [40, 25, 55, 35]), [0])
    page = Page(panel)
    page.press("Detect in all 3 images of the study")
    qtbot.waitUntil(begun.is_set, timeout=20_000)
    panel.context.runner.stop()
    wait_idle(panel)
    # Of the two earlier boxes, the one in the searched left half was found again elsewhere.
    assert session.state.boxes.xyxy.tolist() == [[40, 25, 55, 35], [2, 20, 12, 30]]
    assert session.state.searched == {0} and page.messages() == [
        "Stopped: 1 cell found in 0 of 3 images."
    ]


def test_cells_of_a_study_that_was_closed_meanwhile_are_not_counted_as_found(
    panel: AttentionMILWidget,
    wait_idle: Callable[[Any], None],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detect_many, "detect_cells", found_in_each_image)
    drop(panel, folder)
    wait_idle(panel)
    session, page = panel.context.session, Page(panel)
    page.press("Detect in all 3 images of the study")
    assert session.cohort is not None
    session.open_cohort(session.cohort)
    wait_idle(panel)
    assert sum(len(state.boxes) for state in session.states_of_samples().values()) == 0
    assert page.messages() == [
        "0 cells found in the study. 3 cells were not taken over, since the study was closed "
        "meanwhile; detect again."
    ]


def boxes_in(image: int, *xyxy: list[int]) -> Boxes:
    return Boxes.from_detections([image] * len(xyxy), xyxy, [0.9] * len(xyxy))


def stopped_in_the_first_image(
    begun: Event, *arguments: Any
) -> Generator[Progress, None, Detection]:
    """Find a cell in the left half of an image, and look no further until somebody stops it."""
    *_, stop = arguments
    begun.set()
    while not stop.wait(0.01):
        yield Progress(1, 2, "1 cell so far, part 1 of 2")
    left_half = np.array([[0, 0, 30, 40]], np.float32)
    return Detection(boxes_in(0, [2, 20, 12, 30]), (0,), {0: left_half})


def found_in_each_image(
    images: Any, places: list[int], *_: Any, **__: Any
) -> Generator[Progress, None, Detection]:
    yield Progress(1, len(places), "1 cell")
    boxes = Boxes.from_detections(places, [[5, 5, 20, 20]] * len(places), [0.9] * len(places))
    return Detection(boxes, tuple(places))


def test_nothing_to_open_is_told_with_what_to_do(
    panel: AttentionMILWidget, wait_idle: Callable[[Any], None], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    drop(panel, tmp_path / "empty")
    wait_idle(panel)
    (told,) = Page(panel).messages()
    assert "holds no images" in told and "choose one that does" in told


def test_layers_that_were_dropped_together_become_one_study(
    docked_panel: AttentionMILWidget, window_viewer: Any, qtbot: Any, folder: Path
) -> None:
    window_viewer.open(sorted(folder.glob("*.png")), plugin="napari")
    assert len(window_viewer.layers) == 4
    qtbot.waitUntil(lambda: names(docked_panel) == ["a", "b", "c"], timeout=20_000)
    images = [layer.name for layer in window_viewer.layers if isinstance(layer, Image)]
    assert images == ["blood", "a"]
    page = Page(docked_panel)
    assert page.messages() == ["3 layers lay above one another; they are one study now."]
    page.press("Show them as layers too")
    assert len(window_viewer.layers) == 5 and names(docked_panel) == ["a", "b", "c"]


def test_a_folder_dropped_on_napari_becomes_a_study(
    docked_panel: AttentionMILWidget, window_viewer: Any, qtbot: Any, folder: Path
) -> None:
    window_viewer.open(folder, plugin="napari-attmil")
    qtbot.waitUntil(lambda: names(docked_panel) == ["a", "b", "c"], timeout=20_000)
    assert docked_panel.context.session.cohort.folder == folder


def test_a_single_image_stays_a_layer_with_its_boxes_beside_it(
    docked_panel: AttentionMILWidget, window_viewer: Any, folder: Path
) -> None:
    (layer,) = window_viewer.open(folder / "a.png", plugin="napari")
    docked_panel.context.image_choice.choose(layer)
    docked_panel.context.session.editor.add(0, [1, 2, 20, 30])
    assert names(docked_panel) == []
    kept = Page(docked_panel.images_step).text("kept")
    assert kept == f"Boxes are kept in {folder / 'annotations.sqlite'}"


def test_layers_without_a_file_are_no_study_and_it_is_said(
    docked_panel: AttentionMILWidget, window_viewer: Any
) -> None:
    docked_panel.context.opening.open_layers([window_viewer.layers["blood"]])
    (told,) = Page(docked_panel).messages()
    assert "'blood' has no file" in told and "save it" in told


@pytest.fixture
def mixed(
    panel: AttentionMILWidget, wait_idle: Callable[[Any], None], folder: Path
) -> AttentionMILWidget:
    """Return the panel on a sample whose images are of different sizes."""
    table = folder / "cohort.csv"
    rows = "".join(f"{name},s,p,\n" for name in SIZES)
    table.write_text(f"image,sample,patient,label\n{rows}")
    panel.context.opening.open([folder])
    wait_idle(panel)
    return panel


def test_images_of_different_sizes_are_one_layer_and_each_keeps_its_size(
    mixed: AttentionMILWidget, folder: Path
) -> None:
    layer, images = mixed.context.image_choice.chosen, mixed.context.images
    assert layer.data.shape == (3, 80, 60, 3) and layer.rgb
    assert [image.shape for image in images] == [(40, 60, 3), (41, 59, 3), (80, 50, 3)]
    assert not np.asarray(layer.data[1])[41:].any()
    assert Page(mixed.images_step).text("info") == "3 images of 60 × 40 to 50 × 80 px, colour"


def test_a_box_is_cut_at_the_border_of_its_own_image(mixed: AttentionMILWidget) -> None:
    session, cells = mixed.context.session, mixed.context.cells
    cells.start_drawing()
    cells.layer.add_rectangles(np.array([[1, 30, 40], [1, 30, 70], [1, 60, 70], [1, 60, 40]]))
    assert session.boxes.xyxy.tolist() == [[40, 30, 59, 41]]
    cells.layer.add_rectangles(np.array([[0, 50, 5], [0, 50, 30], [0, 70, 30], [0, 70, 5]]))
    assert len(session.boxes) == 1
    (told,) = Page(mixed).messages()
    assert told == "A box was drawn outside the image, so it was left out; draw it over the image."


def test_a_box_that_is_moved_out_of_its_image_stays(mixed: AttentionMILWidget) -> None:
    session, layer = mixed.context.session, None
    session.editor.merge(Boxes.from_detections([0], [[5, 5, 20, 20]], [0.9]))
    layer = mixed.context.cells.layer
    moved = np.array(layer.data[0])
    moved[:, 1] += 50
    layer.data = [moved]
    assert session.boxes.xyxy.tolist() == [[5, 5, 20, 20]]
    assert session.editor.undo_title == "Detect cells"


def test_a_study_that_is_opened_again_shows_what_was_shown_with_its_panels(
    docked_panel: AttentionMILWidget, window_viewer: Any, qtbot: Any, folder: Path
) -> None:
    session = docked_panel.context.session
    drop(docked_panel, folder)
    qtbot.waitUntil(lambda: names(docked_panel) == ["a", "b", "c"], timeout=20_000)
    session.editor.add(0, [1, 2, 20, 30])
    dock, _ = window_viewer.window.add_plugin_dock_widget("napari-attmil", "Annotate cells")
    docked_panel.context.image_choice.show_sample("c")
    qtbot.waitUntil(lambda: read_state(folder).sample == "c", timeout=5_000)
    assert read_state(folder).panels == ("Classify samples", "Annotate cells")
    window_viewer.window.remove_dock_widget(dock)
    drop(docked_panel, folder / "a.png")
    qtbot.waitUntil(lambda: names(docked_panel) == ["a"], timeout=20_000)
    drop(docked_panel, folder)
    qtbot.waitUntil(lambda: names(docked_panel) == ["a", "b", "c"], timeout=20_000)
    assert session.sample.name == "c"
    titles = [panel.title for panel in find_panels(docked_panel)]
    assert sorted(titles) == ["Annotate cells", "Classify samples"]


def test_recent_studies_open_with_one_entry_and_those_gone_can_be_removed(
    panel: AttentionMILWidget, wait_idle: Callable[[Any], None], folder: Path
) -> None:
    other = folder.with_name("other")
    other.mkdir()
    (folder / "a.png").rename(other / "a.png")
    for path in (other, folder):
        drop(panel, path)
        wait_idle(panel)
    assert recent(panel)[:2] == [("2 images in mine", True), ("1 image in other", True)]
    menu_entry(panel, "1 image in other").trigger()
    wait_idle(panel)
    assert names(panel) == ["a"]
    other.rename(other.with_name("moved"))
    assert ("1 image in other (not there now)", False) in recent(panel)
    menu_entry(panel, "Remove those not there").trigger()
    assert not any("other" in title for title, _ in recent(panel))


def find_panels(panel: DockPanel) -> list[DockPanel]:
    from napari_attmil.widgets.dock_panel import DockPanel

    return panel.window().findChildren(DockPanel)


def open_menu(panel: DockPanel) -> QMenu:
    """Return the menu of the button as a person sees it who has just opened it."""
    button = cast("QPushButton", Page(panel.open_bar).button("Open images or folder…"))
    menu = cast("QMenu", button.menu())
    menu.aboutToShow.emit()
    return menu


def recent_menu(panel: DockPanel) -> QMenu:
    menu = open_menu(panel)
    (studies,) = (action for action in menu.actions() if action.text() == "Recent studies")
    return cast("QMenu", studies.menu())


def recent(panel: DockPanel) -> list[tuple[str, bool]]:
    return [(action.text(), action.isEnabled()) for action in recent_menu(panel).actions()]


def menu_entry(panel: DockPanel, text: str) -> QAction:
    (action,) = (action for action in recent_menu(panel).actions() if action.text() == text)
    return action
