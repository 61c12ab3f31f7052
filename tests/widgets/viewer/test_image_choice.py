"""Which of several image layers is worked on, and whether the person sees that one."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from napari.layers import Image
from qtpy.QtCore import QTimer
from skimage.io import imsave
from support.pages.attention_mil import ImagesPage
from support.pages.page import Page

from napari_attmil.cells.annotations.annotation_file import AnnotationFile
from napari_attmil.cells.annotations.storage import connection
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.images.reading import open_sample
from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
from napari_attmil.widgets.contributions import folder_reader
from napari_attmil.widgets.viewer import image_choice
from napari_attmil.widgets.viewer.keeping import Answer, ask_about_unsaved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari.components import ViewerModel
    from qtpy.QtWidgets import QApplication


Unsaved = tuple[AttentionMILWidget, list[Cohort], pytest.MonkeyPatch]


class FileImage(Image):
    """A layer that was opened from a file."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        super().__init__(grey(), name=path.stem)

    @property
    def source(self) -> Any:
        return SimpleNamespace(path=self._path)


def grey(seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (40, 60), dtype=np.uint8)


@pytest.fixture
def open_file(
    viewer: ViewerModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Image]:
    """Return a function that opens an image file as napari does when it is dropped."""
    monkeypatch.setattr(AnnotationFile, "of_user", lambda: AnnotationFile(tmp_path / "own.sqlite"))

    def open_one(name: str) -> Any:
        path = tmp_path / f"{name}.png"
        imsave(path, grey(), check_contrast=False)
        return viewer.add_layer(FileImage(path))

    return open_one


def test_image_dropped_over_an_untouched_one_is_the_one_in_use(
    panel: AttentionMILWidget, viewer: ViewerModel, open_file: Callable[[str], Image]
) -> None:
    choice = panel.context.image_choice
    viewer.layers.clear()
    open_file("first")
    open_file("second")
    assert choice.chosen.name == "second" and choice.cover is None


def test_image_with_boxes_stays_in_use_and_a_cover_is_told_of(
    panel: AttentionMILWidget, viewer: ViewerModel
) -> None:
    choice, page = panel.context.image_choice, ImagesPage(panel.images_step)
    viewer.layers.clear()
    viewer.add_image(grey(), name="mine")
    panel.context.session.editor.add(0, [5, 5, 25, 25])
    upper = viewer.add_image(grey(1), name="upper")
    assert choice.chosen.name == "mine"
    assert "'upper' lies over it" in page.text("info") and page.warns("info")
    upper.visible = False
    assert "upper" not in page.text("info") and not page.warns("info")


@pytest.mark.parametrize(
    "how", [{"blending": "additive"}, {"opacity": 0.5}, {"translate": [25, 9]}]
)
def test_layers_that_leave_the_image_visible_are_no_cover(
    panel: AttentionMILWidget, viewer: ViewerModel, how: dict[str, Any]
) -> None:
    viewer.layers.clear()
    lower = viewer.add_image(grey(), name="lower")
    viewer.add_image(grey(1), name="upper", **how)
    assert panel.context.image_choice.chosen == lower and panel.context.image_choice.cover is None


def test_layer_chosen_in_the_panel_comes_to_the_top_of_the_images(
    panel: AttentionMILWidget, viewer: ViewerModel
) -> None:
    viewer.layers.clear()
    lower = viewer.add_image(grey(), name="lower", visible=False)
    panel.context.image_choice.choose(lower)
    panel.context.session.editor.add(0, [5, 5, 25, 25])
    viewer.add_image(grey(1), name="upper")
    ImagesPage(panel.images_step).choose_layer("lower")
    assert lower.visible and panel.context.image_choice.cover is None
    names = [layer.name for layer in viewer.layers]
    assert names.index("lower") > names.index("upper")


def test_next_file_is_used_when_the_former_was_closed_as_its_boxes_are_kept(
    panel: AttentionMILWidget, viewer: ViewerModel, open_file: Callable[[str], Image]
) -> None:
    session = panel.context.session
    viewer.layers.clear()
    first = open_file("first")
    session.editor.add(0, [5, 5, 25, 25])
    viewer.layers.remove(first)
    open_file("second")
    assert panel.context.image_choice.chosen.name == "second" and not len(session.boxes)
    panel.context.image_choice.choose(open_file("first"))
    assert len(session.boxes) == 1


def test_the_list_of_images_keeps_its_order_when_one_is_chosen(
    panel: AttentionMILWidget, viewer: ViewerModel
) -> None:
    page = ImagesPage(panel.images_step)
    viewer.layers.clear()
    for name in ("a", "b", "c"):
        viewer.add_image(grey(), name=name)
    for name in ("a", "c", "b"):
        page.choose_layer(name)
        assert panel.context.image_choice.cover is None
        assert page.entries() == ["a", "b", "c"]
    viewer.layers.remove("a")
    assert page.entries() == ["b", "c"]


def test_layer_of_four_axes_says_what_they_hold(
    panel: AttentionMILWidget, viewer: ViewerModel
) -> None:
    viewer.layers.clear()
    viewer.add_image(np.zeros((2, 3, 20, 30)), name="movie")
    assert ImagesPage(panel.images_step).text("info") == (
        "2 images of 30 × 20 px, grey. 'axis -4' holds the 2 images. Along 'axis -3' the same "
        "cells are shown; what the slider shows is searched."
    )


def test_layers_of_one_file_keep_their_own_boxes(
    panel: AttentionMILWidget, viewer: ViewerModel, open_file: Callable[[str], Image]
) -> None:
    session, choice = panel.context.session, panel.context.image_choice
    viewer.layers.clear()
    first = open_file("a")
    session.editor.add(0, [1, 2, 9, 8])
    second = open_file("a")
    choice.choose(second)
    assert len(session.boxes) == 0 and session.records.is_saved(session.key)
    session.editor.add(0, [20, 20, 30, 30])
    choice.choose(first)
    assert session.boxes.xyxy.tolist() == [[1, 2, 9, 8]] and session.records.is_saved(session.key)
    viewer.layers.remove(first)
    choice.choose(second)
    assert session.boxes.xyxy.tolist() == [[20, 20, 30, 30]]


@pytest.mark.parametrize("drawn_before", [True, False])
def test_a_file_of_the_study_shows_the_sample_that_has_it(
    panel: AttentionMILWidget,
    viewer: ViewerModel,
    open_file: Callable[[str], Image],
    tmp_path: Path,
    drawn_before: bool,
) -> None:
    session, choice = panel.context.session, panel.context.image_choice
    viewer.layers.clear()
    open_file("a")
    layer = open_file("b")
    choice.choose(layer)
    if drawn_before:
        session.editor.add(0, [1, 2, 9, 8])
    frames = (Frame(tmp_path / "a.png"), Frame(tmp_path / "b.png"))
    study = Sample("both", "p", None, frames, None)
    assert choice.use_cohort(Cohort((study,), tmp_path))
    choice.choose(layer)
    assert session.sample == study and choice.chosen is not layer and choice.cover is None
    assert panel.context.cells.camera.image_index() == 1
    assert Page(panel).messages() == ["b is image 2 of both in the open study; it is shown there."]
    session.editor.add(1, [20, 20, 30, 30])
    session.editor.add(0, [30, 20, 39, 30])
    for _ in range(2):
        session.editor.undo()
    assert len(session.boxes) == drawn_before
    session.editor.undo()
    assert len(session.boxes) == 0 and not session.records.has_pending
    for _ in range(2 + drawn_before):
        session.editor.redo()
    drawn = [[1, 2, 9, 8]] * drawn_before + [[20, 20, 30, 30]]
    kept = AnnotationFile(tmp_path / "annotations.sqlite").read(study)
    assert kept is not None and kept.boxes.of_image(1).xyxy.tolist() == drawn
    viewer.layers.remove(choice.chosen)
    assert choice.chosen is None and session.sample == study


def test_boxes_of_a_folder_s_images_stay_with_them_when_another_image_comes(
    panel: AttentionMILWidget,
    viewer: ViewerModel,
    open_file: Callable[[str], Image],
    tmp_path: Path,
) -> None:
    folder, session = tmp_path / "images", panel.context.session
    folder.mkdir()

    def open_folder() -> None:
        viewer.layers.clear()
        read = folder_reader(str(folder))
        assert read is not None
        ((data, settings, _),) = read(str(folder))
        viewer.add_image(data, **settings)
        panel.context.image_choice.choose(viewer.layers[0])

    for name in "bc":
        imsave(folder / f"{name}.png", grey(), check_contrast=False)
    open_folder()
    assert session.sample is not None and session.key is not None
    frames = [frame.path.name for frame in session.sample.frames]
    assert frames == ["b.png", "c.png"]
    session.records.attach({session.key: session.sample}, AnnotationFile.of_user())
    session.editor.add(0, [1, 2, 9, 8])
    imsave(folder / "a.png", grey(), check_contrast=False)
    open_folder()
    kept = AnnotationFile.of_user().read(session.sample)
    assert kept.boxes.image_index.tolist() == [1]


@pytest.fixture
def unsaved(
    panel: AttentionMILWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Unsaved]:
    """Return the panel on a study with a box in memory only, two studies, and what was asked."""
    cohorts = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        imsave(tmp_path / name / "a.png", grey(), check_contrast=False)
        cohorts.append(Cohort((open_sample(tmp_path / name / "a.png"),), tmp_path / name))
    panel.context.image_choice.use_cohort(cohorts[0])
    with monkeypatch.context() as patched:
        patched.setattr(connection, "open_for_writing", on_full_disk)
        panel.context.session.editor.add(0, [1, 2, 9, 8])
        (message,) = Page(panel).messages()
        assert "disk is full" in message
        yield panel, cohorts, patched


@pytest.mark.parametrize(("answer", "opened"), [(Answer.LOSE, 1), (Answer.STAY, 0)])
def test_a_person_is_asked_before_changes_are_lost(
    unsaved: Unsaved, monkeypatch: pytest.MonkeyPatch, answer: Answer, opened: int
) -> None:
    panel, cohorts, _ = unsaved
    asked = []
    monkeypatch.setattr(
        image_choice, "ask_about_unsaved", lambda why_not: asked.append(why_not) or answer
    )
    panel.context.image_choice.use_cohort(cohorts[1])
    assert len(asked) == 1 and "memory only" in asked[0]
    assert panel.context.session.cohort is cohorts[opened]


def test_once_there_is_room_trying_again_saves_the_changes_and_opens_the_other(
    unsaved: Unsaved, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, cohorts, full_disk = unsaved

    def make_room(why_not: str) -> Answer:
        full_disk.undo()
        return Answer.AGAIN

    monkeypatch.setattr(image_choice, "ask_about_unsaved", make_room)
    panel.context.image_choice.use_cohort(cohorts[1])
    assert panel.context.session.cohort is cohorts[1]
    kept = AnnotationFile.beside(cohorts[0].folder).read(cohorts[0].samples[0])
    assert kept.boxes.xyxy.tolist() == [[1, 2, 9, 8]]


@pytest.mark.parametrize("answer", list(Answer))
def test_the_question_has_a_button_for_each_answer(qapp: QApplication, answer: Answer) -> None:
    def press() -> None:
        box = qapp.activeModalWidget()
        next(each for each in box.buttons() if each.text() == answer.value).click()

    QTimer.singleShot(0, press)
    assert ask_about_unsaved("Changes would be lost.") is answer


def on_full_disk(path: Path) -> None:
    raise sqlite3.OperationalError("database or disk is full")
