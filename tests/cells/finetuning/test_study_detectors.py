from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
import torch

from napari_attmil.cells.finetuning.study_detectors import (
    accept_candidate,
    candidate,
    candidate_path,
    detector_in_use,
    discard_candidate,
    fitted_detectors,
    use_detector,
)
from napari_attmil.core.errors import UserError
from napari_attmil.core.model_files import Checkpoint, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

PROVENANCE = {
    "created": "2026-11-24T09:30:05+00:00",
    "held_out": ["a.tif#0"],
    "before": {"ap50": 0.8434, "ap": 0.5},
    "after": {"ap50": 0.931, "ap": 0.6},
}


def write_model(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(path, Checkpoint("detector", {"w": torch.zeros(2)}, {}, PROVENANCE))


def test_an_accepted_candidate_is_listed_and_in_use(tmp_path: Path) -> None:
    write_model(candidate_path(tmp_path))
    accepted = accept_candidate(tmp_path, datetime(2026, 11, 24, 10, 0, 0))
    assert accepted.name == "detector-2026-11-24-100000"
    assert detector_in_use(tmp_path) == accepted.path
    assert candidate(tmp_path) is None
    (listed,) = fitted_detectors(tmp_path)
    assert listed.path == accepted.path and listed.held_out == ("a.tif#0",)
    assert (listed.created, listed.scores) == ("2026-11-24 09:30", "AP50 0.843 → 0.931")


def test_a_discarded_candidate_is_gone_and_the_one_in_use_stays(tmp_path: Path) -> None:
    write_model(candidate_path(tmp_path))
    kept = accept_candidate(tmp_path).path
    write_model(candidate_path(tmp_path))
    discard_candidate(tmp_path)
    assert candidate(tmp_path) is None and detector_in_use(tmp_path) == kept
    with pytest.raises(UserError, match="no fitted detector to accept"):
        accept_candidate(tmp_path)


def test_the_shipped_detector_can_be_used_again(tmp_path: Path) -> None:
    write_model(candidate_path(tmp_path))
    accept_candidate(tmp_path)
    use_detector(tmp_path, None)
    assert detector_in_use(tmp_path) is None and len(fitted_detectors(tmp_path)) == 1


def test_a_project_without_models_uses_the_shipped_detector(tmp_path: Path) -> None:
    assert detector_in_use(tmp_path) is None and fitted_detectors(tmp_path) == []


def test_a_model_that_was_deleted_or_is_damaged_is_passed_over(tmp_path: Path) -> None:
    write_model(candidate_path(tmp_path))
    accepted = accept_candidate(tmp_path).path
    (accepted.parent / "detector-0-damaged.safetensors").write_bytes(b"no model")
    assert [model.path for model in fitted_detectors(tmp_path)] == [accepted]
    accepted.unlink()
    assert detector_in_use(tmp_path) is None and fitted_detectors(tmp_path) == []


def test_a_candidate_that_cannot_be_deleted_is_told(tmp_path: Path) -> None:
    candidate_path(tmp_path).mkdir(parents=True)  # nothing that `unlink` takes away
    with pytest.raises(UserError, match="cannot be deleted"):
        discard_candidate(tmp_path)
