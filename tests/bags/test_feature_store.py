from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_attmil.bags.feature_store import (
    FeatureStore,
    _digest,
    _feature_key,
    default_store_folder,
    features_bytes,
    size_note,
)
from napari_attmil.cells.annotations.corrections import move_box
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.settings import DetectionSettings, FeatureSettings
from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.images.reading import frame_digest

SETTINGS = FeatureSettings()


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    paths = [tmp_path / f"{index}.tif" for index in range(2)]
    for index, path in enumerate(paths):
        tifffile.imwrite(path, np.full((32, 32), index, dtype=np.uint8))
    return Sample("P07/1", "P07", "a", tuple(Frame(path) for path in paths))


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def features_of(boxes: Boxes, value: float = 0) -> np.ndarray:
    rows = np.arange(len(boxes), dtype=np.float16) + np.float16(value)
    return np.broadcast_to(rows[:, None, None, None], (len(boxes), 8, 2, 2))


def keep(store: FeatureStore, sample: Sample, boxes: Boxes, digest: str = "d") -> np.ndarray:
    with store.writing(sample, boxes, digest, SETTINGS) as file:
        file.write(np.arange(len(boxes)), features_of(boxes))
    return file.features


def test_kept_features_come_back_mapped_and_unchanged(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    written = keep(store, sample, two_boxes)
    read = FeatureStore(store.folder).features(sample, two_boxes, "d", SETTINGS)
    assert isinstance(read, np.memmap)
    assert read.dtype == np.float16
    np.testing.assert_array_equal(read, features_of(two_boxes))
    np.testing.assert_array_equal(written, read)


def test_features_that_were_read_at_one_scale_for_all_image_sizes_are_stale(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    # The key as it always was, and still is for images of like size.
    how = SETTINGS.model_dump_json(exclude={"most_cells"})  # it came later
    images = _digest(*(frame_digest(frame) for frame in sample.frames))
    assert _feature_key(sample, "d", SETTINGS) == _digest(images, "d", how)
    tifffile.imwrite(sample.frames[1].path, np.zeros((64, 64), dtype=np.uint8))
    images = _digest(*(frame_digest(frame) for frame in sample.frames))
    assert _feature_key(sample, "d", SETTINGS) != _digest(images, "d", how)
    keep(store, sample, two_boxes)
    assert store.features(sample, two_boxes, "d", SETTINGS) is not None


def test_rows_may_be_written_in_any_order(store: FeatureStore, sample: Sample) -> None:
    boxes = Boxes.from_detections([0] * 5, np.arange(20).reshape(5, 4), [1] * 5)
    with store.writing(sample, boxes, "d", SETTINGS) as file:
        for rows in ([3], [4, 0, 1], [2]):
            file.write(np.array(rows), features_of(boxes)[rows])
    np.testing.assert_array_equal(file.features, features_of(boxes))


def test_features_of_another_detector_setting_box_or_image_are_stale(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    keep(store, sample, two_boxes)
    moved = move_box(two_boxes, 1, [3, 2, 14, 14])
    assert store.features(sample, two_boxes, "other", SETTINGS) is None
    assert store.features(sample, two_boxes, "d", SETTINGS.replace(context=1.5)) is None
    assert store.features(sample, moved, "d", SETTINGS) is None
    assert store.features(sample, two_boxes, "d", SETTINGS) is not None
    path = sample.frames[1].path
    tifffile.imwrite(path, np.full((32, 32), 77, dtype=np.uint8))
    os.utime(path, ns=(1, 1))
    assert store.features(sample, two_boxes, "d", SETTINGS) is None


def test_features_before_a_correction_stay_known(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    keep(store, sample, two_boxes)
    known = store.known_features(sample, "d", SETTINGS)
    assert known is not None
    np.testing.assert_array_equal(known.boxes.xyxy, two_boxes.xyxy)
    np.testing.assert_array_equal(known.features, features_of(two_boxes))


@pytest.mark.parametrize("suffix", [".npy", ".features.npz"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "emptied"])
def test_damaged_files_are_never_served(
    store: FeatureStore, sample: Sample, two_boxes: Boxes, suffix: str, damage: str
) -> None:
    keep(store, sample, two_boxes)
    (path,) = [path for path in store.folder.iterdir() if path.name.endswith(suffix)]
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "flipped":
        # Of a zip file the first bytes of its directory, which every reader needs.
        place = content.rfind(b"PK\x01\x02") if suffix == ".features.npz" else len(content) - 3
        content[place] ^= 0xFF
    if damage != "gone":
        path.write_bytes(content[: {"cut": len(content) // 2, "emptied": 0}.get(damage)])
    assert store.features(sample, two_boxes, "d", SETTINGS) is None
    keep(store, sample, two_boxes)
    assert store.features(sample, two_boxes, "d", SETTINGS) is not None


def test_a_writing_that_is_left_early_changes_nothing(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    keep(store, sample, two_boxes)
    before = sorted(path.name for path in store.folder.iterdir())
    moved = move_box(two_boxes, 1, [3, 2, 14, 14])
    with pytest.raises(KeyboardInterrupt), store.writing(sample, moved, "d", SETTINGS) as file:
        file.write(np.array([0]), features_of(moved)[:1])
        raise KeyboardInterrupt
    assert sorted(path.name for path in store.folder.iterdir()) == before
    assert store.features(sample, two_boxes, "d", SETTINGS) is not None


def test_features_with_a_cell_missing_are_not_kept(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    with (
        pytest.raises(ValueError, match="1 cells have no features"),
        store.writing(sample, two_boxes, "d", SETTINGS) as file,
    ):
        file.write(np.array([1]), features_of(two_boxes)[:1])
    assert store.features(sample, two_boxes, "d", SETTINGS) is None


def test_a_reader_keeps_its_features_while_new_ones_are_written(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    old = keep(store, sample, two_boxes)
    moved = move_box(two_boxes, 1, [3, 2, 14, 14])
    with store.writing(sample, moved, "d", SETTINGS) as file:
        file.write(np.arange(2), features_of(moved, 5))
        assert store.features(sample, two_boxes, "d", SETTINGS) is not None
    np.testing.assert_array_equal(old, features_of(two_boxes))
    np.testing.assert_array_equal(file.features, features_of(moved, 5))
    assert len(list(store.folder.glob("*.npy"))) == 1


def test_writing_into_a_mapped_array_leaves_the_file(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    keep(store, sample, two_boxes)[:] = 9
    read = store.features(sample, two_boxes, "d", SETTINGS)
    np.testing.assert_array_equal(read, features_of(two_boxes))


def test_detections_are_kept_with_what_they_were_found_with(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    settings = DetectionSettings()
    assert store.detections(sample, "d", settings) is None
    store.put_detections(sample, "d", settings, two_boxes)
    found = store.detections(sample, "d", settings.replace(batch_size=7))
    assert found is not None
    assert found.digest() == two_boxes.digest()
    assert store.detections(sample, "d", settings.replace(min_score=0.9)) is None
    assert store.detections(sample, "other", settings) is None


def test_no_cells_are_a_detection_too(store: FeatureStore, sample: Sample) -> None:
    store.put_detections(sample, "d", DetectionSettings(), Boxes.empty())
    found = store.detections(sample, "d", DetectionSettings())
    assert found is not None
    assert len(found) == 0


def test_samples_with_unlike_names_never_share_a_file(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    twin = Sample("P07_1", "P07", "a", sample.frames)
    keep(store, sample, two_boxes)
    assert store.features(twin, two_boxes, "d", SETTINGS) is None
    keep(store, twin, two_boxes)
    assert store.features(sample, two_boxes, "d", SETTINGS) is not None


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    store: FeatureStore, sample: Sample, two_boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(UserError, match="disk is full"):
        keep(store, sample, two_boxes)
    assert list(store.folder.iterdir()) == []


def test_features_lie_beside_the_images_where_that_is_allowed(
    tmp_path: Path, sample: Sample
) -> None:
    assert default_store_folder(Cohort((sample,), tmp_path)) == tmp_path / "features"
    assert list(tmp_path.glob("features")) == []
    elsewhere = default_store_folder(Cohort((sample,), tmp_path / "no" / "such" / "folder"))
    assert elsewhere.is_relative_to(os.environ["XDG_CACHE_HOME"])


def test_the_size_of_features_is_known_before_they_are_written(
    store: FeatureStore, sample: Sample, two_boxes: Boxes
) -> None:
    assert features_bytes(1, SETTINGS) == 100_352
    settings = SETTINGS.replace(output_size=7)
    maps = np.zeros((len(two_boxes), 256, 7, 7), dtype=np.float16)
    with store.writing(sample, two_boxes, "d", settings) as file:
        file.write(np.arange(len(two_boxes)), maps)
    assert file.features.nbytes == features_bytes(len(two_boxes), settings)


def test_a_person_is_told_the_size_and_what_to_do_where_it_does_not_fit(tmp_path: Path) -> None:
    elsewhere = tmp_path / "not" / "yet" / "there"
    assert size_note(84_240, SETTINGS, elsewhere).startswith(
        "The features of 84,240 cells take 8.45 GB; "
    )
    assert "Free some space" not in size_note(1, SETTINGS, elsewhere)
    assert "Free some space, choose" in size_note(10**12, SETTINGS, elsewhere)


def test_a_reader_at_any_moment_of_a_writing_sees_the_old_or_nothing(
    store: FeatureStore, sample: Sample, two_boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, sample, two_boxes)
    moved, seen = move_box(two_boxes, 1, [3, 2, 14, 14]), []

    def look() -> None:
        for boxes, value in ((two_boxes, 0), (moved, 5)):
            found = FeatureStore(store.folder).features(sample, boxes, "d", SETTINGS)
            if found is not None:
                np.testing.assert_array_equal(found, features_of(boxes, value))
                seen.append(value)

    replace_file = Path.replace

    def looked_at(self: Path, target: Path) -> Path:
        look()
        moved_there = replace_file(self, target)
        look()
        return moved_there

    monkeypatch.setattr(Path, "replace", looked_at)
    with store.writing(sample, moved, "d", SETTINGS) as file:
        for row in range(2):
            file.write(np.array([row]), features_of(moved, 5)[[row]])
            look()
    # Two rows, before and after the features and before the boxes; then the new ones.
    assert seen == [0, 0, 0, 0, 0, 5]
