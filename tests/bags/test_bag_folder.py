"""Bags that other processes read from a folder."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_attmil.bags.bag_folder import BagFolder
from napari_attmil.bags.training.training_state import digest_of
from napari_attmil.cells.boxes import Boxes
from napari_attmil.cells.settings import FeatureSettings
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_attmil.bags.bag import Bag


@pytest.fixture
def bags(planted_bags: list[Bag]) -> list[Bag]:
    """Return one bag of a study, with all that a bag may have, and one without a label or boxes."""
    first, second = planted_bags[0], replace(planted_bags[1], label=None, altered=None)
    boxes = Boxes.from_detections([0] * 20, [[n, 2, n + 9, 14] for n in range(20)], [0.9] * 20)
    answers = np.array(["altered: b", "not altered", *[""] * 18])
    settings = FeatureSettings(kept="profile")
    first = replace(first, boxes=boxes, answers=answers, feature_settings=settings)
    return [replace(first, reader_digest="of a detector"), second]


def test_bags_come_back_as_they_were(bags: list[Bag], tmp_path: Path) -> None:
    BagFolder.write(tmp_path / "bags", bags)
    read = pickle.loads(pickle.dumps(BagFolder(tmp_path / "bags")))
    assert len(read) == 2
    assert digest_of(list(read)) == digest_of(bags)
    for mine, own in zip(read, bags, strict=True):
        np.testing.assert_array_equal(mine.features, own.features)
        assert mine.feature_settings == own.feature_settings
        assert mine.features.dtype == own.features.dtype
    np.testing.assert_array_equal(read[0].altered, bags[0].altered)
    np.testing.assert_array_equal(read[0].boxes.score, bags[0].boxes.score)
    assert read[1].label is read[1].altered is read[1].answers is read[1].boxes is None
    assert [bag.sample for bag in read[-1:]] == [bags[1].sample]


def test_features_of_a_store_are_not_copied_but_parts_of_them_are(
    bags: list[Bag], tmp_path: Path
) -> None:
    np.save(tmp_path / "stored.npy", bags[0].features)
    mapped = replace(bags[0], features=np.load(tmp_path / "stored.npy", mmap_mode="c"))
    BagFolder.write(tmp_path / "bags", [mapped, mapped[3:]])
    assert sorted(file.name for file in (tmp_path / "bags").glob("*.npy")) == ["1.npy"]
    whole, part = BagFolder(tmp_path / "bags")
    np.testing.assert_array_equal(whole.features, bags[0].features)
    np.testing.assert_array_equal(part.features, bags[0].features[3:])


def test_folder_that_cannot_be_made_is_told(bags: list[Bag], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not be handed to other workers"):
        BagFolder.write(tmp_path / "file" / "bags", bags)
