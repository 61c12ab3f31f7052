from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import torch

from napari_attmil.cells.finetuning.gate import LookOutcome
from napari_attmil.cells.finetuning.study_detectors import (
    accept_candidate,
    candidate,
    candidate_path,
    delete_detector,
    detector_in_use,
    fitted_detectors,
    keep_candidate,
    use_detector,
)
from napari_attmil.core.errors import UserError
from napari_attmil.core.model_files import Checkpoint, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

PROVENANCE: dict[str, Any] = {
    "created": "2026-11-24T09:30:05+00:00",
    "held_out": ["a.tif#0"],
    "before": {"ap50": 0.8434, "ap": 0.5},
    "after": {"ap50": 0.931, "ap": 0.6},
}


def write_model(path: Path, **changes: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = Checkpoint("detector", {"w": torch.zeros(2)}, {}, PROVENANCE | changes)
    save_checkpoint(path, content)


def test_an_accepted_candidate_is_listed_and_in_use(tmp_path: Path) -> None:
    write_model(candidate_path(tmp_path))
    accepted = accept_candidate(tmp_path, datetime(2026, 11, 24, 10, 0, 0))
    assert accepted.name == "detector-2026-11-24-100000"
    assert detector_in_use(tmp_path) == accepted.path
    assert candidate(tmp_path) is None
    (listed,) = fitted_detectors(tmp_path)
    assert listed.path == accepted.path and listed.held_out == ("a.tif#0",)
    assert (listed.created, listed.scores) == ("2026-11-24 09:30", "0.500 → 0.600")


def test_a_candidate_that_is_put_aside_is_listed_and_can_be_used_later(tmp_path: Path) -> None:
    write_model(candidate_path(tmp_path))
    in_use = accept_candidate(tmp_path, datetime(2026, 11, 24, 10, 0, 0)).path
    write_model(candidate_path(tmp_path))
    kept = keep_candidate(in_use.parent, datetime(2026, 11, 24, 10, 0, 0))
    assert candidate(tmp_path) is None and detector_in_use(tmp_path) == in_use
    assert kept is not None and kept.name == "detector-2026-11-24-100001"
    assert [model.path for model in fitted_detectors(tmp_path)] == [kept.path, in_use]
    use_detector(tmp_path, kept.path)
    assert detector_in_use(tmp_path) == kept.path
    assert keep_candidate(in_use.parent) is None
    with pytest.raises(UserError, match="no fitted detector to accept"):
        accept_candidate(tmp_path)


def test_a_detector_is_deleted_by_hand_but_not_the_one_in_use(tmp_path: Path) -> None:
    write_model(candidate_path(tmp_path))
    in_use = accept_candidate(tmp_path).path
    write_model(candidate_path(tmp_path))
    delete_detector(tmp_path, candidate_path(tmp_path))
    assert candidate(tmp_path) is None and detector_in_use(tmp_path) == in_use
    with pytest.raises(UserError, match="is in use"):
        delete_detector(tmp_path, in_use)
    use_detector(tmp_path, None)
    delete_detector(tmp_path, in_use)
    assert fitted_detectors(tmp_path) == []


def test_a_model_says_whether_it_is_better_and_what_became_of_each_look(tmp_path: Path) -> None:
    look = {"look": "dark", "images": 1, "cells": 9, "before": 4, "after": 8, "gained": 4}
    write_model(
        candidate_path(tmp_path), looks=[look | {"lost": 0, "wrong_before": 2, "wrong_after": 1}]
    )
    model = candidate(tmp_path)
    assert model is not None and model.is_better is True and model.is_candidate
    assert model.looks == [LookOutcome("dark", 1, 9, 4, 8, 4, 0, 2, 1)]
    write_model(candidate_path(tmp_path), after=PROVENANCE["before"])
    assert candidate(tmp_path).is_better is False
    write_model(candidate_path(tmp_path), after=None)
    assert candidate(tmp_path).is_better is None


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
        delete_detector(tmp_path, candidate_path(tmp_path))
