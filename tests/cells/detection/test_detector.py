from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_attmil.cells.boxes import match_boxes
from napari_attmil.cells.detection.detector import Detector
from napari_attmil.cells.detection.network import CellRCNN, DetectorArchitecture
from napari_attmil.cells.detection.network_file import load_network, shipped_weights
from napari_attmil.cells.detection.rescaling import Prepared, stacked, to_grey
from napari_attmil.cells.settings import DetectionSettings, FeatureSettings
from napari_attmil.core.device import Device, choose_device
from napari_attmil.core.errors import UserError
from napari_attmil.core.model_files import Checkpoint, save_checkpoint
from napari_attmil.simulation.cohort import simulate_image
from napari_attmil.simulation.settings import SimulationSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_attmil.simulation.cohort import SimulatedImage


@pytest.fixture(scope="module")
def shipped() -> Detector:
    return Detector.load(device=choose_device("cpu"))


@pytest.fixture(scope="module")
def field() -> SimulatedImage:
    settings = SimulationSettings(image_size_px=320, cells_per_image=18, variety=0.2)
    return simulate_image(settings, np.random.default_rng(5))


def test_shipped_weights_fit_into_forty_megabytes() -> None:
    assert shipped_weights().stat().st_size <= 40e6


def test_cells_of_a_simulated_field_are_found(shipped: Detector, field: SimulatedImage) -> None:
    boxes = shipped.detect([field.image])
    pairs = match_boxes(boxes.xyxy, field.xyxy)
    assert (pairs >= 0).sum() >= 0.8 * len(field.xyxy)
    assert (pairs < 0).sum() <= 0.2 * len(field.xyxy)


@pytest.mark.parametrize("zoom", [1, 2])
def test_the_diameter_is_measured_at_any_magnification(
    shipped: Detector, field: SimulatedImage, zoom: int
) -> None:
    image = np.kron(field.image, np.ones((zoom, zoom), dtype=np.uint8))
    assert shipped.measure_cell_size([image]).diameter_px == pytest.approx(48 * zoom, rel=0.25)


def test_depth_and_colour_do_not_change_what_is_found(
    shipped: Detector, field: SimulatedImage
) -> None:
    settings = DetectionSettings(cell_diameter_px=50)
    grey = shipped.detect([field.image], settings)
    sixteen_bit = shipped.detect([field.image.astype(np.uint16) * 200 + 90], settings)
    colour = shipped.detect([np.stack([field.image] * 3, axis=-1)], settings)
    np.testing.assert_allclose(sixteen_bit.xyxy, grey.xyxy, atol=0.5)
    np.testing.assert_array_equal(colour.xyxy, grey.xyxy)


def test_bfloat16_boxes_are_as_fine_as_float32_ones() -> None:
    settings = SimulationSettings(image_size_px=500, cells_per_image=20, variety=0.2)
    image = simulate_image(settings, np.random.default_rng(5)).image
    given = DetectionSettings(cell_diameter_px=40)  # cells at x > 256 even at the working scale
    precise, quick = (
        Detector.load(device=Device("cpu", precision, "processor")).detect([image], given)
        for precision in ("float32", "bfloat16")
    )
    pairs = match_boxes(quick.xyxy, precise.xyxy)
    off = np.abs(quick.xyxy[pairs >= 0] - precise.xyxy[pairs[pairs >= 0]])
    assert (pairs >= 0).mean() > 0.9
    assert np.mean(off) < 0.2


def test_a_batch_finds_the_same_as_one_image_at_a_time(
    shipped: Detector, field: SimulatedImage
) -> None:
    images = [field.image, field.image[:, ::-1], field.image[::-1]]
    together = shipped.detect(images, DetectionSettings(cell_diameter_px=50, batch_size=3))
    singly = shipped.detect(images, DetectionSettings(cell_diameter_px=50, batch_size=1))
    assert together.image_index.tolist() == singly.image_index.tolist()
    np.testing.assert_allclose(together.xyxy, singly.xyxy, atol=1.0)


def test_images_are_read_one_batch_at_a_time(shipped: Detector, field: SimulatedImage) -> None:
    class Lazy(list[Any]):
        read = 0

        def __getitem__(self, index: Any) -> Any:
            Lazy.read += 1
            return field.image

    frames = shipped.detect_frames(
        Lazy(range(100)), DetectionSettings(cell_diameter_px=50, batch_size=2)
    )
    first = next(frames)
    assert (first.done, first.total, first.image_index) == (1, 100, 0)
    assert Lazy.read <= 3  # the batch, and one read ahead


def test_an_empty_field_has_no_cells_and_no_error(shipped: Detector) -> None:
    flat = np.full((128, 160), 130, dtype=np.uint8)
    assert len(shipped.detect([flat])) == 0
    assert len(shipped.detect([])) == 0


def test_boxes_lie_inside_the_image_and_scores_above_the_minimum(
    shipped: Detector, field: SimulatedImage
) -> None:
    boxes = shipped.detect([field.image], DetectionSettings(min_score=0.7))
    assert boxes.score.min() >= 0.7
    assert boxes.xyxy.min() >= 0
    assert boxes.xyxy.max() <= 320 + 1e-3


def test_features_have_the_paper_s_shape(shipped: Detector, field: SimulatedImage) -> None:
    features = shipped.roi_features(field.image, field.xyxy)
    assert features.shape == (len(field.xyxy), 256, 14, 14)
    assert features.dtype == np.float16
    assert np.isfinite(features).all()
    assert shipped.roi_features(field.image, np.empty((0, 4))).shape == (0, 256, 14, 14)


def test_a_cell_s_features_do_not_depend_on_its_neighbours(
    shipped: Detector, field: SimulatedImage
) -> None:
    together = shipped.roi_features(field.image, field.xyxy, cell_diameter_px=50)
    alone = shipped.roi_features(field.image, field.xyxy[3:4], cell_diameter_px=50)
    np.testing.assert_array_equal(alone[0], together[3])


def test_features_hardly_change_with_magnification(
    shipped: Detector, field: SimulatedImage
) -> None:
    settings = FeatureSettings()
    plain = shipped.roi_features(field.image, field.xyxy, settings).astype(np.float32)
    doubled = np.kron(field.image, np.ones((2, 2), dtype=np.uint8))
    zoomed = shipped.roi_features(doubled, field.xyxy * 2, settings).astype(np.float32)
    same = np.corrcoef(plain.ravel(), zoomed.ravel())[0, 1]
    other = np.corrcoef(plain.ravel(), np.roll(zoomed, 1, axis=0).ravel())[0, 1]
    assert same > 0.9
    assert same > other + 0.1


@pytest.mark.parametrize("shape", [(5,), (4, 4, 4, 4), (8, 8, 2), (0, 5)])
def test_an_array_that_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="one grey"):
        to_grey(np.zeros(shape))


def test_grey_is_the_same_for_any_brightness_and_contrast() -> None:
    image = np.random.default_rng(0).normal(100, 20, (64, 64)).astype(np.float32)
    np.testing.assert_allclose(to_grey(image * 3 + 17), to_grey(image), atol=1e-4)
    assert float(np.median(to_grey(image))) == pytest.approx(0, abs=1e-5)


def test_a_constant_image_is_zero_and_not_nan() -> None:
    assert to_grey(np.full((9, 9), 7, dtype=np.uint16)).tolist() == np.zeros((9, 9)).tolist()


def test_weights_that_do_not_fit_their_settings_are_refused(tmp_path: Path) -> None:
    network = CellRCNN(DetectorArchitecture())
    path = tmp_path / "w.safetensors"
    weights = {k: v for k, v in network.state_dict().items() if "rpn" not in k}
    save_checkpoint(
        path, Checkpoint("detector", weights, DetectorArchitecture().model_dump(mode="json"))
    )
    with pytest.raises(UserError, match="does not fit its own settings"):
        Detector.load(path)


def test_a_full_memory_halves_the_batch_and_loses_no_image(
    shipped: Detector, field: SimulatedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shipped.detect([field.image] * 4, DetectionSettings(cell_diameter_px=50))

    def small_memory(batch: Sequence[Prepared]) -> torch.Tensor:
        if len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return stacked(batch)

    monkeypatch.setattr("napari_attmil.cells.detection.detector.stacked", small_memory)
    singly = shipped.detect([field.image] * 4, DetectionSettings(cell_diameter_px=50))
    assert len(singly) == len(whole)
    assert np.unique(singly.image_index).tolist() == [0, 1, 2, 3]


class WatchedLock:
    """A lock that says when somebody finds it taken."""

    def __init__(self, found_taken: threading.Event) -> None:
        self._lock, self._found_taken = threading.Lock(), found_taken

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._found_taken.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_panels_that_detect_at_once_each_get_their_own_thresholds(
    shipped: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, entered, used = load_network().network, [], []
    shared = Detector(network, shipped.architecture, shipped.device, digest="")
    second_came = threading.Event()  # before the lock, or past it where it does not hold

    def detect(images: Any, sizes: Any) -> list[dict[str, torch.Tensor]]:
        before = network.roi_heads.score_thresh
        entered.append(before)
        if len(entered) > 1:
            second_came.set()
        assert second_came.wait(60)
        used.append((before, network.roi_heads.score_thresh))
        return [{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)} for _ in sizes]

    monkeypatch.setattr(network, "detect", detect)
    monkeypatch.setattr(shared, "_in_use", WatchedLock(second_came))
    settings = [
        DetectionSettings(min_score=score, cell_diameter_px=40) for score in (0.1, 0.5, 0.9)
    ]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda one: shared.detect([np.zeros((64, 64), np.uint8)], one), settings))
    assert all(before == after for before, after in used)
    assert {before for before, _ in used} == {0.1, 0.5, 0.9}
