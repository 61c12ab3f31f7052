"""Where a training that was stopped is kept, so that it can go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_attmil.images.cohort import Cohort
from napari_attmil.workflows.train import unfinished_folder, unfinished_trainings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cohorts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Cohort, Cohort]:
    """Return two studies in whose folders no folder for trainings can be made."""
    monkeypatch.setattr("napari_attmil.workflows.train.own_folder", lambda name: tmp_path / name)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "models").write_text("a file")
    return Cohort((), tmp_path / "one"), Cohort((), tmp_path / "other")


def keep_state(cohort: Cohort) -> Path:
    folder = unfinished_folder(cohort, None)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.safetensors").write_bytes(b"state")
    return folder


def test_a_stopped_training_of_a_study_that_cannot_be_written_to_is_found_again(
    cohorts: tuple[Cohort, Cohort], tmp_path: Path
) -> None:
    one, other = cohorts
    kept = keep_state(one)
    assert kept.is_relative_to(tmp_path / "models")
    assert (unfinished_trainings(one), unfinished_trainings(other)) == (1, 0)
    (one.folder / "models").unlink()  # It can be written to by now: the training still goes on.
    assert unfinished_folder(one, None) == kept and unfinished_trainings(one) == 1


def test_a_stopped_training_lies_in_its_study(cohorts: tuple[Cohort, Cohort]) -> None:
    one, other = cohorts
    (one.folder / "models").unlink()
    assert keep_state(one) == one.folder / "models" / "unfinished"
    assert (unfinished_trainings(one), unfinished_trainings(other)) == (1, 0)
