from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from napari_attmil.cells import DetectionSettings, FinetuneSettings
from napari_attmil.cells.detection import (
    Detector,
    OfferedDetector,
    detector_names,
    is_offered,
    offered_names,
    plan,
    tiling,
)
from napari_attmil.cells.finetuning import detector_in_use, use_detector
from napari_attmil.core import Device, StageRun, UserError, entries
from napari_attmil.workflows import detect_cells, finetune_images, loaded_detector, plan_cells

CPU = Device("cpu", "float32", "processor")


class Bright:
    """Finds connected bright pixels; the brighter, the surer. Some of what it gives is no box."""

    digest = "bright-1"

    def __init__(self, device: Device) -> None:
        self.device = device

    def find(self, image: Any) -> tuple[list[list[float]], list[float]]:
        labels, _ = ndimage.label(image > 50)
        slices = ndimage.find_objects(labels)
        boxes = [[x.start, y.start, x.stop, y.stop] for y, x in slices]
        scores = [float(image[place].max()) / 255 for place in slices]
        twice = [[*box[:3], box[3] + 1] for box in boxes]
        nothing = [[5.0, 5.0, 5.0, 9.0], [0.0, 0.0, np.nan, 4.0]]
        return boxes + twice + nothing, scores + [0.9 * s for s in scores] + [1.0, 1.0]


class Unequal(Bright):
    """Gives fewer scores than boxes."""

    def find(self, image: Any) -> tuple[list[list[float]], list[float]]:
        return [[1, 1, 9, 9]], []


class Bare(Bright):
    """Gives boxes alone."""

    def find(self, image: Any) -> Any:
        return np.array([[1, 1, 9, 9]])


class Triple(Bright):
    """Gives corners of three numbers."""

    def find(self, image: Any) -> Any:
        return [[1, 1, 9]], [1.0]


class Empty(Bright):
    """Finds nothing, and gives lists."""

    def find(self, image: Any) -> Any:
        return [], []


class Nameless:
    """Has no digest."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def find(self, image: Any) -> Any:
        return [], []


class Blind:
    """Cannot find."""

    digest = "blind-1"

    def __init__(self, device: Device) -> None:
        self.device = device


MORE = {kind.__name__.lower(): kind for kind in (Bare, Triple, Empty, Nameless, Blind)}


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer detectors with mistakes too."""
    packages = EntryPoints(
        EntryPoint(name, f"{__name__}:{kind.__name__}", offered_names.GROUP)
        for name, kind in MORE.items()
    )
    monkeypatch.setattr(entries, "entry_points", lambda **asked: packages.select(**asked))


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bare", "'bare' of another package gave no pair of boxes and scores"),
        ("triple", r"'triple' of another package gave boxes of the shape \(1, 3\), not \(n, 4\)"),
        ("nameless", "'nameless' of another package lacks a digest"),
        ("blind", "'blind' of another package lacks a digest .a text. or the method find"),
    ],
)
def test_a_detector_that_is_none_is_named_with_what_to_do(name: str, told: str) -> None:
    with pytest.raises(UserError, match=f"{told}.*; update the package that offers it, or choose"):
        OfferedDetector.offered(name, CPU).detect([field()])


@pytest.mark.usefixtures("faulty")
def test_a_detector_may_find_nothing() -> None:
    assert len(OfferedDetector.offered("empty", CPU).detect([field()])) == 0


def test_a_mistyped_name_is_answered_by_the_names_on_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no model file brihgt; .* offers: bright, unequal"):
        loaded_detector("cpu", Path("brihgt"))
    monkeypatch.setattr(entries, "entry_points", lambda **_: EntryPoints())
    with pytest.raises(UserError, match=r"no model file brihgt; check the path\.$"):
        loaded_detector("cpu", Path("brihgt"))


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer detectors as installed packages would."""
    packages = EntryPoints(
        EntryPoint(name, f"{__name__}:{kind.__name__}", offered_names.GROUP)
        for name, kind in (("bright", Bright), ("unequal", Unequal))
    )
    monkeypatch.setattr(entries, "entry_points", lambda **asked: packages.select(**asked))


class Slides(list[Any]):
    """Images whose sizes are known, as those of files."""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [image.shape[:2] for image in self]


def field() -> np.ndarray:
    """Return a dark image with three squares of 20 px: sure, less sure, hardly."""
    image = np.zeros((120, 160), dtype=np.uint8)
    for x, level in ((10, 250), (60, 200), (110, 90)):
        image[30:50, x : x + 20] = level
    return image


def test_a_package_can_offer_a_detector() -> None:
    assert detector_names() == ["bright", "unequal"]
    assert is_offered(Path("bright"))
    assert not is_offered(Path("folder/bright"))
    assert not is_offered(Path("detector.safetensors"))
    detector = loaded_detector("cpu", Path("bright"))
    boxes = detector.detect([field(), field()[:, :55]])
    assert boxes.image_index.tolist() == [0, 0, 1]
    assert boxes.xyxy.tolist() == [[10, 30, 30, 50], [60, 30, 80, 50], [10, 30, 30, 50]]
    assert boxes.score == pytest.approx([250 / 255, 200 / 255, 250 / 255])


def test_its_boxes_are_chosen_by_the_settings() -> None:
    detector = OfferedDetector.offered("bright", CPU)

    def found(**settings: Any) -> int:
        return len(detector.detect([field()], DetectionSettings(**settings)))

    assert found(min_score=0.3) == 3
    assert found(min_score=0.9) == 1
    assert found(min_score=0.3, max_cells_per_image=2) == 2
    assert found(min_score=0.3, max_overlap=1) == 6  # each with its shifted twin


def test_features_of_its_cells_are_those_of_the_shipped_detector() -> None:
    detector, shipped = OfferedDetector.offered("bright", CPU), Detector.load(None, CPU)
    image, xyxy = field(), [[10, 30, 30, 50]]
    np.testing.assert_array_equal(
        detector.roi_features(image, xyxy), shipped.roi_features(image, xyxy)
    )
    assert detector.digest == f"bright:bright-1+{shipped.digest}"


def test_cells_are_found_by_name_like_by_a_model_file() -> None:
    run = StageRun(detect_cells([field()], [0], DetectionSettings(), "cpu", Path("bright")))
    steps = list(run)
    assert run.result.boxes.xyxy.tolist() == [[10, 30, 30, 50], [60, 30, 80, 50]]
    assert steps[-1].done == steps[-1].total == 1
    assert not any(step.note for step in steps)


def test_its_images_are_not_planned_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "TILE_DIAMETERS", 10)
    monkeypatch.setattr(plan, "PART_BYTES", 0)
    memory = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=10**9))
    monkeypatch.setattr("psutil.Process", lambda: memory)
    images = Slides([np.tile(field(), (12, 10)), field()])
    asked = (images, [0, 1], DetectionSettings(), "cpu", Path("bright"))
    planning = StageRun(plan_cells(*asked))
    list(planning)
    assert planning.result is not None and planning.result.parts == 2
    assert planning.result.cells == pytest.approx(2 * 121, rel=0.3)
    # The largest image is in memory whole, beside what the program has taken before.
    assert planning.result.memory_bytes == 10**9 + images[0].nbytes
    run = StageRun(detect_cells(*asked))
    assert [(step.done, step.total) for step in run][-2:] == [(1, 2), (2, 2)]
    assert len(run.result.boxes) == 2 * 121


def test_a_study_remembers_its_name(tmp_path: Path) -> None:
    use_detector(tmp_path, Path("bright"))
    assert detector_in_use(tmp_path) == Path("bright")
    use_detector(tmp_path, Path("uninstalled"))
    assert detector_in_use(tmp_path) is None


def test_boxes_without_scores_are_refused() -> None:
    with pytest.raises(UserError, match="1 boxes, but 0 scores; update the package"):
        OfferedDetector.offered("unequal", CPU).detect([field()])


def test_a_name_that_nobody_offers_is_refused() -> None:
    with pytest.raises(UserError, match="no detector 'dino'; install the package"):
        OfferedDetector.offered("dino", CPU)


def test_it_cannot_be_fitted(tmp_path: Path) -> None:
    name, out = Path("bright"), tmp_path / "fitted.safetensors"
    stage = finetune_images([], FinetuneSettings(), "cpu", out, name, tmp_path)
    with pytest.raises(UserError, match="'bright' of another package cannot be fitted"):
        list(stage)
