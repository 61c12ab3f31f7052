"""A large image is searched part by part, and a part of an image alone."""

from __future__ import annotations

from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_attmil.cells.detection import CellSize, DetectionPlan, Detector, tiling
from napari_attmil.cells.detection.rescaling import GreyLevels
from napari_attmil.cells.settings import DetectionSettings
from napari_attmil.core import StageRun, UserError
from napari_attmil.core.device import choose_device
from napari_attmil.images import LargeImage
from napari_attmil.workflows import (
    Detection,
    Progress,
    check_region,
    detect_cells,
    guess_in_words,
    is_worth_a_plan,
    plan_cells,
    region_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.cells.detection.rescaling import Prepared

DIAMETER_PX = 20.0
SETTINGS = DetectionSettings(cell_diameter_px=DIAMETER_PX)


class Blobs:
    """Finds each bright pixel as a cell of 20 px around it; stands for the network."""

    def __init__(self) -> None:
        self.searched: list[tuple[int, ...]] = []

    def detect(self, batch: Sequence[Prepared], *_: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        found = []
        for item in batch:
            grey = item.grey.numpy()
            self.searched.append(grey.shape)
            middle = np.argwhere(grey > 50)[:, ::-1].astype(np.float32)
            xyxy = np.concatenate([middle - 10, middle + 10], axis=1)
            found.append((xyxy, np.full(len(xyxy), 0.9, np.float32)))
        return found


@pytest.fixture
def blobs(monkeypatch: pytest.MonkeyPatch) -> Blobs:
    detector, blobs = Detector.load(None, choose_device("cpu")), Blobs()
    monkeypatch.setattr(detector, "_detect_batch", blobs.detect)
    # Shown as they are, so that pixels stay pixels, and single ones bright.
    monkeypatch.setattr(GreyLevels, "normalise", lambda _, grey: np.array(grey, np.float32))
    architecture = SimpleNamespace(working_diameter_px=DIAMETER_PX)
    monkeypatch.setattr(detector, "architecture", architecture)
    monkeypatch.setattr("napari_attmil.workflows.detect.loaded_detector", lambda *_: detector)
    return blobs


def image(height: int, width: int, *cells: tuple[int, int]) -> np.ndarray:
    """Return a dark image with a bright pixel at each x, y."""
    grey = np.random.default_rng(0).normal(0, 0.1, (height, width)).astype(np.float32)
    for x, y in cells:
        grey[y, x] = 100
    return grey


def run(steps: Any) -> tuple[list[Progress], Detection]:
    stage = StageRun(steps)
    return list(stage), stage.result


@pytest.mark.usefixtures("blobs")
def test_a_large_image_tells_its_parts_and_shows_their_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiling, "TILE_DIAMETERS", 10)
    large = image(160, 380, (40, 50), (170, 50), (330, 90))
    steps, detection = run(detect_cells([large], [0], SETTINGS, "cpu"))
    texts = [step.text for step in steps]
    assert texts[:2] == ["Loading the detector", "Reading an image"]
    assert texts[2] == "1 cell so far, part 1 of 3"
    assert texts[-1] == "3 cells in 1 of 1 image"
    assert [(step.done, step.total) for step in steps[2:]] == [(1, 3), (2, 3), (3, 3)]
    parts = [step.detail for step in steps[2:-1]]
    assert [part.searched[[0, 2]].tolist() for part in parts] == [[0, 145], [145, 235]]
    assert [part.xyxy[:, 0].tolist() for part in parts] == [[30], [160]]
    assert sorted(detection.boxes.xyxy[:, 0].tolist()) == [30, 160, 320]
    assert detection.images == (0,) and detection.within == {}


@pytest.mark.usefixtures("blobs")
def test_a_search_stopped_in_an_image_keeps_what_was_found_and_says_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiling, "TILE_DIAMETERS", 10)
    images = [image(60, 60, (30, 30)), image(160, 380, (40, 50), (170, 50), (330, 90))]
    stop = Event()
    stage = StageRun(detect_cells(images, [0, 1], SETTINGS, "cpu", stop=stop))
    for step in stage:
        if "part 2" in step.text:
            assert step.text == "3 cells so far, part 2 of 3 of image 2 of 2"
            stop.set()
    detection = stage.result
    assert detection.images == (0, 1)
    assert detection.boxes.image_index.tolist() == [0, 1, 1]
    assert list(detection.within) == [1]
    assert detection.within[1].tolist() == [[0, 0, 145, 160], [145, 0, 235, 160]]


def test_a_view_is_searched_alone_with_its_rim(blobs: Blobs) -> None:
    whole = image(300, 300, (40, 50), (100, 100), (149, 120), (155, 120))
    view = np.array([60, 80, 150, 160], np.float32)
    steps, detection = run(detect_cells([whole], [0], SETTINGS, "cpu", view=view))
    # 32 px, 1.6 cells, around the view.
    assert blobs.searched == [(80 + 64, 90 + 64)]
    # The cell whose middle lies just outside is none of the view.
    assert sorted(detection.boxes.xyxy.tolist()) == [[90, 90, 110, 110], [139, 110, 159, 130]]
    assert detection.within[0].tolist() == [[60, 80, 150, 160]]
    assert steps[-1].text == "2 cells in 1 of 1 image"


@pytest.mark.usefixtures("blobs")
def test_nothing_to_search_finds_nothing() -> None:
    _, detection = run(detect_cells([], [], SETTINGS, "cpu"))
    assert len(detection.boxes) == 0 and detection.images == ()


class Images(list[Any]):
    """Images whose sizes are known, as those of files."""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [image.shape[:2] for image in self]


@pytest.mark.usefixtures("blobs")
def test_a_large_image_is_cut_into_tiles_without_being_read_whole() -> None:
    whole = image(300, 300, (40, 50), (100, 100), (149, 120), (155, 120))
    view = np.array([60, 80, 150, 160], np.float32)
    images: list[Any] = [LargeImage((whole,))]
    for part in (None, view):
        _, expected = run(detect_cells([whole], [0], SETTINGS, "cpu", view=part))
        _, found = run(detect_cells(images, [0], SETTINGS, "cpu", view=part))
        assert found.boxes.digest() == expected.boxes.digest()


@pytest.mark.usefixtures("blobs")
def test_a_plan_counts_cells_parts_and_time_by_a_few_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiling, "TILE_DIAMETERS", 10)
    cells = [(x, y) for x in range(20, 1180, 40) for y in range(20, 780, 40)]
    images = Images([image(800, 1200, *cells)])
    stage = StageRun(plan_cells(images, [0], SETTINGS, "cpu"))
    texts = [step.text for step in stage]
    assert texts == ["Loading the detector", *["Trying a few parts"] * 4]
    plan = stage.result
    assert plan is not None and plan.parts == 6 * 9
    assert plan.cells == pytest.approx(len(cells), rel=0.15)
    assert plan.seconds < 60 and plan.memory_bytes > 1e9


def test_a_plan_is_one_sentence() -> None:
    assert DetectionPlan(212_345, 1880, 540.0, 3_020_000_000).text == (
        "About 210,000 cells in 1,880 parts: about 9 minutes, 3.0 GB of memory."
    )
    assert DetectionPlan(7, 1, 0.2, 0).text.startswith("About 7 cells in 1 part: about 1 s")
    assert "about 2.5 hours" in DetectionPlan(0, 1, 9000.0, 0).text


def test_only_a_search_of_very_many_pixels_is_worth_a_plan() -> None:
    slide = Images([np.broadcast_to(np.uint8(0), (40_000, 60_000))])
    assert is_worth_a_plan(slide)
    assert not is_worth_a_plan(slide, np.array([0, 0, 4000, 4000], np.float32))
    assert not is_worth_a_plan(Images([image(800, 1200)]))


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "-1,0,5,5", "5,5,5,9", "nan,0,1,1", ""])
def test_a_region_that_is_no_rectangle_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="x0,y0,x1,y1"):
        region_of(text)
    assert region_of("10, 20,30,40").tolist() == [10, 20, 30, 40]


@pytest.mark.usefixtures("blobs")
def test_a_cell_size_that_is_a_guess_is_said_and_one_that_is_sure_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = [image(90, 120, (40, 50)), image(90, 120, (70, 50))]

    def notes_with(size: CellSize) -> list[str]:
        monkeypatch.setattr(Detector, "measure_cell_size", lambda *_: size)
        steps, detection = run(detect_cells(fields, [0, 1], DetectionSettings(), "cpu"))
        assert detection.cell_size == size
        return [step.note for step in steps if step.note]

    guess = CellSize(31.4, confidence=0.3)
    assert notes_with(guess) == [guess_in_words(guess)]
    assert "(31 px)" in guess_in_words(guess)
    assert "--cell-diameter" in guess_in_words(guess)
    assert notes_with(CellSize(31.4, confidence=0.8)) == []
    assert guess_in_words(CellSize(31.4, confidence=0.8)) == ""


FAR = np.array([5000, 5000, 6000, 6500], np.float32)


@pytest.mark.usefixtures("blobs")
@pytest.mark.parametrize("kind", [list, Images])
@pytest.mark.parametrize("stage", [detect_cells, plan_cells])
def test_a_region_outside_of_all_images_is_refused_with_their_size(kind: Any, stage: Any) -> None:
    one, two = image(300, 400), image(120, 200)
    with pytest.raises(UserError, match=r"5000,5000,6000,6500 .* 400 px wide and 300 px high"):
        run(stage(kind([one]), [0], SETTINGS, "cpu", view=FAR))
    with pytest.raises(UserError, match="all 2 images; the largest is 400 px wide"):
        run(stage(kind([two, one]), [0, 1], SETTINGS, "cpu", view=FAR))
    with pytest.raises(UserError, match="200 px wide"):
        run(stage(kind([two, one]), [0], SETTINGS, "cpu", view=np.array([200, 0, 400, 90.0])))


@pytest.mark.usefixtures("blobs")
@pytest.mark.parametrize("kind", [list, Images])
def test_a_region_is_searched_in_those_images_that_it_is_part_of(kind: Any) -> None:
    images = kind([image(100, 100, (50, 50)), image(300, 300, (250, 250)), image(100, 100)])
    view = np.array([200, 200, 400, 400], np.float32)
    steps, detection = run(detect_cells(images, [0, 1, 2], SETTINGS, "cpu", view=view))
    assert detection.images == (1,) and detection.boxes.image_index.tolist() == [1]
    assert detection.boxes.xyxy.tolist() == [[240, 240, 260, 260]]
    notes = [step.note for step in steps if step.note]
    assert notes == ["Left out, as the region lies outside: 2 of 3 images."]
    plan = StageRun(plan_cells(images, [0, 1, 2], SETTINGS, "cpu", view=view))
    assert [step.note for step in plan if step.note] == notes
    assert plan.result is not None and plan.result.cells == 1 and plan.result.parts == 1


@pytest.mark.parametrize("end", [np.inf, 1e39])
def test_a_region_without_an_end_is_refused(end: float) -> None:
    with pytest.raises(UserError, match="finite numbers of pixels"):
        check_region((0, 0, end, end))


def test_the_cell_size_of_a_plan_is_not_measured_again(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def measure(*_: Any) -> CellSize:
        measured.append(1)
        return CellSize(DIAMETER_PX, confidence=0.3)

    monkeypatch.setattr(Detector, "measure_cell_size", measure)
    fields = Images([image(90, 120, (40, 50)), image(300, 400, (70, 50))])
    asked = (fields, [0, 1], DetectionSettings(), "cpu", None, None)
    planning = StageRun(plan_cells(*asked))
    list(planning)
    plan = planning.result
    assert plan is not None and [size.diameter_px for size in plan.cell_sizes] == [20, 20]
    before = len(measured)
    steps, detection = run(detect_cells(*asked, plan.cell_sizes))
    assert len(measured) == before > 0
    assert detection.cell_size == CellSize(DIAMETER_PX, confidence=0.3)
    assert [step.note for step in steps if step.note] == [guess_in_words(detection.cell_size)]
    assert len(detection.boxes) == 2 and blobs.searched


@pytest.mark.usefixtures("blobs")
@pytest.mark.parametrize("stage", [detect_cells, plan_cells])
def test_measuring_the_cell_size_is_stopped_too(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, measured = Event(), []

    def measure(*_: Any) -> CellSize:
        measured.append(1)
        stop.set()
        return CellSize(DIAMETER_PX)

    monkeypatch.setattr(Detector, "measure_cell_size", measure)
    fields = Images([image(90, 120), image(900, 1200)])
    stopped = StageRun(stage(fields, [0, 1], DetectionSettings(), "cpu", stop=stop))
    list(stopped)
    assert measured == [1]
    if stage is plan_cells:
        assert stopped.result is None
    else:
        assert stopped.result.images == () and len(stopped.result.boxes) == 0
