"""A study comes back in another viewer as it was left in the one before."""

from __future__ import annotations

from threading import Event, current_thread, main_thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from skimage.io import imsave
from support.pages.samples import SamplesPage
from support.predictions import FakeClassifier

from napari_attmil import workflows
from napari_attmil.cells.annotations import AnnotationFile
from napari_attmil.session import LoadedClassifier
from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget
from napari_attmil.widgets.dock_panel import DockPanel
from napari_attmil.workflows import Progress, Stage, read_state, recent_studies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot

PANELS = ("Classify samples", "Annotate cells")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a study of a sample with two images and one with a single image, and a model file."""
    own = tmp_path / "own.sqlite"
    monkeypatch.setattr(AnnotationFile, "of_user", lambda: AnnotationFile(own, one_writer=False))
    folder = tmp_path / "smears"
    folder.mkdir()
    for name in ("a1", "a2", "b"):
        image = np.random.default_rng(0).integers(1, 255, (40, 60), np.uint8)
        imsave(folder / f"{name}.png", image, check_contrast=False)
    rows = "a1.png,a,p,\na2.png,a,p,\nb.png,b,q,\n"
    (folder / "cohort.csv").write_text(f"image,sample,patient,label\n{rows}")
    (folder / "c.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def viewers(
    make_napari_viewer_proxy: Callable[..., Any], fakes: None, qtbot: QtBot
) -> Iterator[Callable[[Path], AttentionMILWidget]]:
    """Return a function that opens a study in a panel of a new viewer; closed at the end."""
    opened: list[Any] = []

    def open_in_new(path: Path) -> AttentionMILWidget:
        viewer = make_napari_viewer_proxy()
        opened.append(viewer)
        _, panel = viewer.window.add_plugin_dock_widget("napari-attmil", PANELS[0])
        assert isinstance(panel, AttentionMILWidget)
        panel.context.opening.open([path])
        qtbot.waitUntil(lambda: panel.context.session.sample is not None, timeout=20_000)
        return panel

    yield open_in_new
    for viewer in opened:
        close(viewer)


def close(viewer: Any) -> None:
    """Close all panels of a viewer, as its window does."""
    for panel in panels_of(viewer):
        viewer.window.remove_dock_widget(panel.dock())


def panels_of(viewer: Any) -> list[DockPanel]:
    docks = viewer.window.dock_widgets.values()
    return [widget for widget in docks if isinstance(widget, DockPanel)]


def work(panel: AttentionMILWidget, folder: Path) -> None:
    """Draw a box in each sample, classify both, and go to the second image of the first."""
    context = panel.context
    session, choice = context.session, context.image_choice
    path = folder / "c.safetensors"
    session.predictions.use(LoadedClassifier(FakeClassifier(), path.name, path))
    for name in ("b", "a"):
        choice.show_sample(name)
        session.editor.add(0, [1, 2, 20, 30])
        said = FakeClassifier().predict(name, session.boxes.cell_id)
        session.predictions.set(said, session.boxes)
    choice.show_sample("a", 1)


def test_image_panels_classifier_and_results_come_back(
    viewers: Callable[[Path], AttentionMILWidget], folder: Path, qtbot: QtBot
) -> None:
    first = viewers(folder)
    first._viewer.window.add_plugin_dock_widget("napari-attmil", PANELS[1])
    work(first, folder)
    qtbot.waitUntil(lambda: read_state(folder).image_index == 1, timeout=10_000)
    states = first.context.session.states_of_samples()
    close(first._viewer)
    again = viewers(folder)
    session = again.context.session
    qtbot.waitUntil(lambda: session.predictions.classifier is not None, timeout=20_000)
    assert session.predictions.classifier.path == folder / "c.safetensors"
    assert session.sample.name == "a" and again.context.cells.camera.image_index() == 1
    assert sorted(panel.title for panel in panels_of(again._viewer)) == sorted(PANELS)
    for name, state in session.states_of_samples().items():
        assert_array_equal(state.prediction.attention, states[name].prediction.attention)
        assert_array_equal(state.boxes.xyxy, [[1, 2, 20, 30]])
        assert not state.is_stale


def test_frequencies_of_the_classes_come_back_and_are_those_of_one_study(
    viewers: Callable[[Path], AttentionMILWidget], folder: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    first = viewers(folder)
    work(first, folder)
    prior = {"healthy": 0.9, "sickle": 0.05, "spherocytosis": 0.05}
    first.result_step.use_frequencies(prior)
    close(first._viewer)
    again = viewers(folder)
    session = again.context.session
    qtbot.waitUntil(lambda: session.predictions.classifier is not None, timeout=20_000)
    assert session.predictions.prior == prior
    assert session.state.prediction.predicted == "healthy"
    other = tmp_path / "other"
    other.mkdir()
    imsave(other / "d.png", np.full((40, 60), 9, np.uint8), check_contrast=False)
    again.context.opening.open([other])
    qtbot.waitUntil(lambda: session.sample.name != "a", timeout=20_000)
    qtbot.waitUntil(lambda: session.predictions.prior is None, timeout=20_000)


def test_a_classifier_that_is_still_loading_at_the_end_is_not_forgotten(
    viewers: Callable[[Path], AttentionMILWidget],
    folder: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, never = viewers(folder), Event()
    work(first, folder)
    close(first._viewer)

    def load_slowly(path: Path, device_name: str, stop: Event) -> Stage[None]:
        yield Progress(0, 0, "Loading")
        never.wait(20)

    monkeypatch.setattr(workflows, "load_classifier", load_slowly)
    again = viewers(folder)
    again.context.image_choice.show_sample("b")
    qtbot.waitUntil(lambda: read_state(folder).sample == "b", timeout=10_000)
    close(again._viewer)
    never.set()
    assert read_state(folder).classifier == str(folder / "c.safetensors")
    assert len(workflows.read_results(folder, folder / "c.safetensors")) == 2


def test_turning_a_page_does_not_write_the_results_again(
    viewers: Callable[[Path], AttentionMILWidget],
    folder: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[list[str]] = []
    monkeypatch.setattr(
        workflows, "write_results", lambda _, __, results: written.append([*results])
    )
    panel = viewers(folder)
    work(panel, folder)
    qtbot.waitUntil(lambda: read_state(folder).image_index == 1, timeout=10_000)
    panel.context.image_choice.show_sample("b")
    qtbot.waitUntil(lambda: read_state(folder).sample == "b", timeout=10_000)
    assert [sorted(names) for names in written] == [["a", "b"]]
    session = panel.context.session
    session.predictions.set(FakeClassifier().predict("b", session.boxes.cell_id), session.boxes)
    close(panel._viewer)
    assert len(written) == 2


def test_results_are_read_and_written_off_the_main_thread_while_people_work(
    viewers: Callable[[Path], AttentionMILWidget],
    folder: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_main: dict[str, bool] = {}

    def note(name: str) -> None:
        real = getattr(workflows, name)

        def noted(*args: Any) -> Any:
            on_main.setdefault(name, current_thread() is main_thread())
            return real(*args)

        monkeypatch.setattr(workflows, name, noted)

    note("write_results")
    note("read_results")
    first = viewers(folder)
    work(first, folder)
    qtbot.waitUntil(lambda: "write_results" in on_main, timeout=10_000)
    close(first._viewer)
    predictions = viewers(folder).context.session.predictions
    qtbot.waitUntil(lambda: predictions.classifier is not None, timeout=20_000)
    assert on_main == {"write_results": False, "read_results": False}


def test_loose_files_that_got_classes_are_opened_with_their_table_from_then_on(
    viewers: Callable[[Path], AttentionMILWidget], folder: Path, qtbot: QtBot
) -> None:
    (folder / "cohort.csv").unlink()
    panel = viewers(folder / "b.png")
    before = len(recent_studies())
    assert recent_studies()[0].paths == (folder / "b.png",)
    panel.classifier_step.samples.open()
    dialog = panel.classifier_step.samples.dialog
    assert dialog is not None
    table = SamplesPage(dialog)
    table.paste("Image\tSample\tPatient\tClass\nb.png\tanna\tp\tsickle\n")
    table.press("Save")
    qtbot.waitUntil(lambda: panel.context.session.cohort.classes == ("sickle",), timeout=20_000)
    assert recent_studies()[0].paths == (folder / "cohort.csv",)
    assert recent_studies()[0].title == "1 image of 1 sample in smears"
    assert len(recent_studies()) == before
    close(panel._viewer)
    (path,) = recent_studies()[0].paths
    samples = viewers(path).context.session.cohort.samples
    # The table has the other images of the folder, too, as it was opened without one.
    assert [(s.name, s.patient, s.label) for s in samples] == [
        ("anna", "p", "sickle"),
        ("a1", "a1", None),
        ("a2", "a2", None),
    ]
