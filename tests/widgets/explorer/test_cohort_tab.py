from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from support.pages.explorer import CohortPage, ExplorerPage, is_drawn
from support.predictions import FakeClassifier

from napari_attmil import workflows
from napari_attmil.bags.prediction import Prediction
from napari_attmil.cells.boxes import Boxes
from napari_attmil.core import finished
from napari_attmil.explore.teaching import FILE_NAME, read_rounds
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.session.predictions import LoadedClassifier
from napari_attmil.widgets.explorer.cells_at_hand import cells_in_scope
from napari_attmil.workflows import ClassifiedSample, Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path
    from threading import Event

    from napari.components import ViewerModel
    from pytestqt.qtbot import QtBot

    from napari_attmil.widgets.explorer.panel import ExploreWidget

CLASSES = ("healthy", "sickle")
BOXES = Boxes.from_detections([0, 1], [[5, 5, 25, 25], [30, 10, 50, 30]], [0.9, 0.8])


def said(sample: str, sickle: float) -> Prediction:
    return Prediction(
        sample,
        CLASSES,
        np.array([1 - sickle, sickle], dtype=np.float32),
        BOXES.cell_id,
        np.array([0.2, 0.8]),
        np.array([[0.1, -0.1], [-0.5, 0.5]]),
        np.array([[1 - sickle, sickle]]),
        note="Learnt from.",
    )


def fake_classify_cohort(
    study: workflows.Study,
    classifier: Any,
    detection: Any,
    device_name: str,
    stop: Event,
) -> Stage[None]:
    cohort = study.cohort
    yield Progress(0, len(cohort), "Loading")
    for done, sample in enumerate(cohort.samples):
        yield Progress(
            done,
            len(cohort),
            "Reading",
            ClassifiedSample(sample, BOXES, said(sample.name, 0.9)),
        )
        if stop.is_set():
            break


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Two samples of two images each; the second is brighter."""
    samples = []
    for place, label in enumerate(CLASSES):
        frames = []
        for number in range(2):
            path = tmp_path / f"{label}-{number}.tif"
            tifffile.imwrite(path, np.full((60, 70), 50 + 100 * place, dtype=np.uint8))
            frames.append(Frame(path))
        samples.append(Sample(f"{label}-1", f"patient {place}", label, tuple(frames), 0.25))
    return Cohort(tuple(samples), tmp_path)


@pytest.fixture
def explorer(
    viewer: ViewerModel,
    make_explorer: Callable[[Any], ExploreWidget],
    cohort: Cohort,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> ExploreWidget:
    monkeypatch.setattr(workflows, "classify_study", fake_classify_cohort)
    explorer = make_explorer(viewer)
    explorer.context.image_choice.use_cohort(cohort)
    explorer.context.session.predictions.use(LoadedClassifier(FakeClassifier(CLASSES), "fake"))
    return explorer


@pytest.fixture
def page(explorer: ExploreWidget, qtbot: QtBot) -> ExplorerPage:
    return ExplorerPage(explorer, qtbot)


@pytest.fixture
def tab(page: ExplorerPage) -> CohortPage:
    page.cohort.open()
    return page.cohort


@pytest.fixture
def classified(explorer: ExploreWidget, tab: CohortPage) -> ExploreWidget:
    tab.classify_all()
    return explorer


def test_all_samples_are_classified_and_counted(classified: ExploreWidget, tab: CohortPage) -> None:
    assert tab.table["result"].tolist() == ["wrong", "right"]
    assert tab.confusion.counts.to_numpy().tolist() == [[0, 1], [0, 1]]
    told = tab.text("hint")
    assert told.startswith("1 of 2 samples taken for another class, 1 for the right one.")
    assert "Learnt from." in told and "not a diagnosis" in told
    assert len(classified.context.exploration.table) == 4
    assert classified.context.exploration.scope_in_words == "all samples"


def test_click_on_a_wrong_sample_lands_in_it(classified: ExploreWidget, tab: CohortPage) -> None:
    session = classified.context.session
    assert session.sample.name == "healthy-1"
    tab.click_bar("sickle-1")
    assert session.sample.name == "sickle-1" and len(session.boxes) == 2


def test_click_on_a_number_selects_its_samples(classified: ExploreWidget, tab: CohortPage) -> None:
    tab.click_number("healthy", "sickle")
    assert tab.selected_samples() == ["healthy-1"]
    tab.click_beside_numbers()


def test_another_classification_only_asks_about_what_changed(
    classified: ExploreWidget,
    tab: CohortPage,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
    explorer: ExploreWidget,
) -> None:
    asked: list[str] = []

    def remember(study: workflows.Study, *args: Any, stop: Event) -> Stage[None]:
        asked.extend(sample.name for sample in study.cohort.samples)
        yield Progress(0, 0, "Nothing")

    monkeypatch.setattr(workflows, "classify_study", remember)
    classified.context.session.editor.add(0, [40, 40, 55, 55])
    explorer.cohort.classify()
    qtbot.waitUntil(lambda: not tab.busy, timeout=5000)
    assert asked == ["healthy-1"]


def test_gallery_of_the_cohort_flies_into_another_sample(
    classified: ExploreWidget, tab: CohortPage, viewer: ViewerModel, page: ExplorerPage
) -> None:
    gallery = page.gallery
    gallery.open()
    gallery.wait(lambda: len(gallery.keys()) == 4)
    row = gallery.keys().index(("sickle-1", 2))
    cutout = gallery.view.cutout(row)
    gallery.wait(lambda: gallery.thumbnails.pixmap(cutout) is not None)
    gallery.view.doubleClicked.emit(gallery.index(row))
    session = classified.context.session
    assert session.sample.name == "sickle-1" and session.selection == (2,)
    assert viewer.dims.current_step[0] == 1
    assert gallery.view.look.scale.unit == "µm"


def test_eight_highest_of_each_class(
    classified: ExploreWidget, tab: CohortPage, page: ExplorerPage
) -> None:
    gallery = page.gallery
    gallery.open()
    gallery.show_highest_of_each("class")
    gallery.settle()
    assert gallery.keys() == [("healthy-1", 2), ("healthy-1", 1), ("sickle-1", 2), ("sickle-1", 1)]
    assert gallery.view.caption(0) == "0.8\nhealthy-1", "which says the class too"


def test_sample_changed_during_the_classification_breaks_nothing(
    explorer: ExploreWidget, tab: CohortPage, qtbot: QtBot
) -> None:
    explorer.cohort.classify()
    explorer.context.image_choice.show_sample("sickle-1")
    explorer.show_tab(explorer.gallery)
    qtbot.waitUntil(lambda: not tab.busy, timeout=10_000)
    states = explorer.context.session.states_of_samples()
    assert {name: len(state.boxes) for name, state in states.items()} == {
        "healthy-1": 2,
        "sickle-1": 2,
    }


def test_report_tells_of_all_classified_samples(
    classified: ExploreWidget,
    tab: CohortPage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    told = []

    def fake_report(
        path: Path, findings: Any, classifier: Any, name: str, stop: Event
    ) -> Generator[Progress, None, Path]:
        told.extend(findings)
        assert path == tmp_path / "report.v1 of May.html"
        yield Progress(0, 0, "Writing")
        return path

    monkeypatch.setattr(workflows, "report_samples", fake_report)
    session = classified.context.session
    session.editor.move(1, [6, 5, 26, 25])
    classified.cohort.report(tmp_path / "report.v1 of May")
    qtbot.waitUntil(lambda: not tab.busy, timeout=5000)
    assert [finding.sample.name for finding in told] == ["healthy-1", "sickle-1"]
    # The moved cell of the shown sample keeps its id, but not what was said of its former place.
    attention = [finding.cells()["attention"].tolist() for finding in told]
    np.testing.assert_array_equal(attention, [[np.nan, 0.8], [0.2, 0.8]])


def test_teaching_hides_the_colours_and_keeps_the_agreement(
    classified: ExploreWidget, cohort: Cohort, page: ExplorerPage
) -> None:
    teaching, context = page.teaching, classified.context
    teaching.open()
    teaching.press_when_ready("Start")
    assert len({tuple(colour) for colour in context.exploration.colours().tolist()}) == 1
    assert "attention" not in context.exploration.table
    context.session.select([1])
    teaching.press_when_ready("Finish")
    assert teaching.text("outcome").startswith("0 of your 1 cell are among the 1 that count most")
    assert not context.exploration.is_blind
    (kept,), unreadable = read_rounds(cohort.folder / FILE_NAME)
    assert (kept.sample, kept.marked, kept.model, unreadable) == ("healthy-1", (1,), (2,), 0)
    assert kept.expert is None and "attention" in context.exploration.table


def test_student_sees_the_cells_of_model_and_expert(
    classified: ExploreWidget, cohort: Cohort, page: ExplorerPage
) -> None:
    teaching, session = page.teaching, classified.context.session
    teaching.open()
    teaching.be_expert(True)
    teaching.mark(1)
    assert "kept as the expert's" in teaching.text("outcome")
    teaching.be_expert(False)
    teaching.mark(2)
    words = "1 of your 1 cell are among the 1 that count most"
    assert teaching.text("outcome").startswith(words)
    assert "0 are among the 1 cell that the expert marked" in teaching.text("outcome")
    student = read_rounds(cohort.folder / FILE_NAME)[0][-1]
    assert (student.marked, student.expert, student.is_expert) == ((2,), (1,), False)
    teaching.wait(lambda: teaching.offers("Select the expert's"))
    teaching.press("Select the expert's")
    assert session.selection == (1,)
    teaching.press("Select the model's")
    assert session.selection == (2,)


def test_another_sample_ends_the_round_and_shows_the_colours(
    classified: ExploreWidget, page: ExplorerPage
) -> None:
    page.teaching.open()
    page.teaching.press_when_ready("Start")
    classified.context.image_choice.show_sample("sickle-1")
    assert not classified.context.exploration.is_blind


def test_map_lays_the_cells_in_scope_out(
    classified: ExploreWidget, monkeypatch: pytest.MonkeyPatch, page: ExplorerPage
) -> None:
    def fake_map(
        samples: Any, study: Any, classifier: Any, method: str, device_name: str, stop: Event
    ) -> Stage[list[workflows.Measured]]:
        yield Progress(0, 0, "Mapping")
        places = pd.DataFrame({"map_1": [0.0, 1], "map_2": [2.0, 3]})
        return [workflows.Measured(cells, places) for cells in samples]

    monkeypatch.setattr(workflows, "map_cells", fake_map)
    cell_map = page.map
    cell_map.open()
    cell_map.press_when_ready("Place similar cells together")
    cell_map.wait(lambda: len(cell_map.points) == 4 and cell_map.points[3, 1] == 3)
    assert cell_map.column_across() == "map_1"


def test_cells_are_measured_on_their_images(classified: ExploreWidget) -> None:
    samples = cells_in_scope(classified.context)
    (measured,) = finished(workflows.measure_cells(samples[:1]))
    assert measured.cells.sample.name == "healthy-1" and len(measured.columns) == 2


def test_cells_are_measured_in_pixels_where_another_sample_of_the_cohort_has_no_scale(
    classified: ExploreWidget,
) -> None:
    known, unknown = classified.context.session.cohort.samples
    samples = known, replace(unknown, pixel_size_um=None)
    cells = cells_in_scope(classified.context)[0]
    of_a_layer = replace(cells.sample, name="a layer")
    for sample, column in ((cells.sample, "area_px2"), (of_a_layer, "area_um2")):
        at_hand = replace(cells, sample=sample)
        (measured,) = finished(workflows.measure_cells([at_hand], samples))
        assert column in measured.columns


def test_shapes_are_measured_and_compared(
    classified: ExploreWidget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: ExplorerPage
) -> None:
    def fake_measure(samples: Any, study_samples: Any, stop: Event) -> Stage[None]:
        for cells in samples:
            measured = workflows.Measured(cells, pd.DataFrame({"area": [1.0, 2]}))
            yield Progress(1, 1, "", measured)

    monkeypatch.setattr(workflows, "measure_cells", fake_measure)
    shape = page.shape
    shape.open()
    shape.press("Measure shapes")
    shape.wait(lambda: "area" in classified.context.exploration.table)
    shape.settle()
    assert classified.context.exploration.table["area"].tolist() == [1, 2, 1, 2]
    shape.compare("contribution_sickle")
    assert "No patient can be compared" in shape.text("words")  # of two cells each
    # Of two healthy cells, 95 % reach 0.47; of both samples, 0.5 lies above and -0.1 below.
    assert shape.figure("severity").numbers["share"].tolist() == [0.5, 0.5]
    shape.figure("effects").save(tmp_path / "effects.csv")
    assert pd.read_csv(tmp_path / "effects.csv")["feature"].tolist() == ["area"]
    shape.figure("severity").save(tmp_path / "severity.v1")
    assert (tmp_path / "severity.v1.png").read_bytes().startswith(b"\x89PNG")


def test_curves_of_the_classes_are_shown_beside_the_confusions(
    classified: ExploreWidget, tab: CohortPage
) -> None:
    view = tab.show_curves("roc")
    assert view.isVisible() and not tab.confusion.isVisible()
    tab.wait(lambda: is_drawn(view))
    assert set(view.numbers["class"]) == set(CLASSES)
