"""A fine-tuning learns, keeps the best, and goes on after a kill as if nothing had happened."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_attmil.cells.detection.network_file import load_network
from napari_attmil.cells.detection.scoring import DetectionScore
from napari_attmil.cells.finetuning import finetuning
from napari_attmil.cells.finetuning.augmentation import LabelledImage
from napari_attmil.cells.finetuning.finetuning import FinetuneProgress, finetune
from napari_attmil.cells.finetuning.holdout import choose_held_out
from napari_attmil.cells.finetuning.study_detectors import (
    candidate,
    candidate_path,
    fitted_detectors,
)
from napari_attmil.cells.settings import FinetuneSettings
from napari_attmil.core.device import choose_device
from napari_attmil.core.errors import UserError
from napari_attmil.core.model_files import load_checkpoint
from napari_attmil.simulation.cohort import simulate_image
from napari_attmil.simulation.settings import SimulationSettings

if TYPE_CHECKING:
    from pathlib import Path

CPU = choose_device("cpu")
SHORT = FinetuneSettings(steps=4, crops_per_step=1)


def image(name: str, cells: int = 6) -> LabelledImage:
    settings = SimulationSettings(image_size_px=160, cells_per_image=cells, variety=0.2)
    field = simulate_image(settings, np.random.default_rng(len(name)))
    return LabelledImage(field.image, field.xyxy, stained=False, name=name)


IMAGES = [image("a"), image("bb"), image("ccc", cells=0), image("dddd"), image("eeeee")]


@pytest.fixture
def often_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetuning, "TEST_EVERY_STEPS", 2)


@pytest.fixture
def always_better(often_tested: None, monkeypatch: pytest.MonkeyPatch) -> None:
    values = itertools.count(1)

    def score(images: object) -> DetectionScore:
        value = next(values) / 100
        return DetectionScore(value, value, value)

    monkeypatch.setattr(finetuning, "weighted_precision", score)


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(path, "detector").weights)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


@pytest.mark.usefixtures("often_tested")
def test_the_same_images_are_scored_before_and_while_it_learns(tmp_path: Path) -> None:
    steps = list(finetune(IMAGES, SHORT, tmp_path / "w.safetensors", CPU, project=tmp_path))
    assert [step.done for step in steps] == [0, 1, 2, 3, 4]
    assert [step.score is not None for step in steps] == [True, False, True, False, True]
    assert np.isnan(steps[0].loss)
    assert all(step.loss > 0 for step in steps[1:])
    assert steps[-1].before == steps[0].score
    scores = [step.score for step in steps[1:] if step.score is not None]
    assert steps[-1].best == max(scores, key=lambda score: score.ap)
    assert "Precision on held-out images" in steps[-1].note
    assert sum(look.images for look in steps[-1].looks) == 1
    assert not (tmp_path / finetuning.STATE_NAME).exists()


@pytest.mark.usefixtures("always_better")
def test_stopping_keeps_the_best_with_where_it_came_from(tmp_path: Path) -> None:
    out = tmp_path / "w.safetensors"
    steps = finetune(IMAGES, SHORT, out, CPU, project=tmp_path)
    last = next(step for step in steps if step.done == 3)
    assert isinstance(steps, Generator)
    steps.close()
    assert last.best == DetectionScore(0.02, 0.02, 0.02)
    provenance = load_checkpoint(out, "detector").provenance
    assert provenance["parent"] == load_network().digest
    assert provenance["steps"] == 2
    assert provenance["before"]["ap"] == 0.01
    assert provenance["after"]["ap"] == 0.02
    assert len(provenance["held_out"]) >= 1


@pytest.mark.usefixtures("always_better")
def test_after_a_kill_it_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    list(finetune(IMAGES, SHORT, tmp_path / "whole.safetensors", CPU, project=whole))
    killed = finetune(IMAGES, SHORT, tmp_path / "w.safetensors", CPU, project=broken)
    for step in killed:
        if step.done == 3:
            break
    assert isinstance(killed, Generator)
    killed.close()
    again = list(finetune(IMAGES, SHORT, tmp_path / "w.safetensors", CPU, project=broken))
    assert [step.done for step in again] == [2, 3, 4]
    assert "step 2" in again[0].note
    assert same(weights_of(tmp_path / "whole.safetensors"), weights_of(tmp_path / "w.safetensors"))


@pytest.mark.usefixtures("always_better")
def test_a_damaged_state_is_told_and_the_training_begins_anew(tmp_path: Path) -> None:
    out = tmp_path / "w.safetensors"
    killed = finetune(IMAGES, SHORT, out, CPU, project=tmp_path)
    assert [next(killed).done for _ in range(4)][-1] == 3
    assert isinstance(killed, Generator)
    killed.close()
    state = tmp_path / finetuning.STATE_NAME
    state.write_bytes(state.read_bytes()[:-9])
    first = next(finetune(IMAGES, SHORT, out, CPU, project=tmp_path))
    assert first.done == 0 and "is damaged; it begins anew" in first.note


@pytest.mark.usefixtures("always_better")
def test_other_images_begin_a_training_of_their_own(tmp_path: Path) -> None:
    out = tmp_path / "w.safetensors"
    steps = finetune(IMAGES, SHORT, out, CPU, project=tmp_path)
    assert [next(steps).done for _ in range(4)][-1] == 3
    assert isinstance(steps, Generator)
    steps.close()
    more = [*IMAGES, image("ffffff")]
    assert next(finetune(more, SHORT, out, CPU, project=tmp_path)).done == 0


@pytest.mark.usefixtures("often_tested")
def test_no_better_than_before_is_kept_and_said_and_ends_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    even = DetectionScore(0.5, 0.5, 0.5)
    monkeypatch.setattr(finetuning, "weighted_precision", lambda images: even)
    out = tmp_path / "w.safetensors"
    settings = SHORT.replace(steps=100, patience=1)
    steps = list(finetune(IMAGES, settings, out, CPU))
    assert steps[-1].done == 4 and steps[-1].written
    assert not steps[-1].is_better
    assert "no clear gain" in steps[-1].note and "kept but not in use" in steps[-1].note
    provenance = load_checkpoint(out, "detector").provenance
    assert provenance["before"] == provenance["after"] and provenance["steps"] == 2


@pytest.mark.usefixtures("always_better")
def test_a_new_training_does_not_throw_away_what_an_earlier_one_made(tmp_path: Path) -> None:
    out = candidate_path(tmp_path)
    for settings in (SHORT, SHORT.replace(seed=1)):
        list(finetune(IMAGES, settings, out, CPU, project=out.parent))
    (earlier,) = fitted_detectors(tmp_path)
    assert earlier.provenance["settings"]["seed"] == 0
    newest = candidate(tmp_path)
    assert newest is not None and newest.provenance["settings"]["seed"] == 1


def test_one_image_is_learnt_from_without_a_score(tmp_path: Path) -> None:
    out = tmp_path / "w.safetensors"
    steps = list(finetune(IMAGES[:1], SHORT.replace(steps=2), out, CPU))
    assert "No image with cells is held out" in steps[0].note
    assert {step.score for step in steps} == {None}
    assert not same(weights_of(out), dict(load_network().network.half().state_dict()))


def test_time_is_a_limit_too(tmp_path: Path) -> None:
    settings = SHORT.replace(steps=1000, minutes=1e-6)
    steps: list[FinetuneProgress] = list(
        finetune(IMAGES[:1], settings, tmp_path / "w.safetensors", CPU)
    )
    assert steps[-1].done <= 1


def test_images_without_any_cell_or_with_one_name_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "w.safetensors"
    with pytest.raises(UserError, match="No reviewed image has a cell"):
        next(finetune([IMAGES[2]], SHORT, out, CPU))
    with pytest.raises(UserError, match="'a'"):
        next(finetune([IMAGES[0], IMAGES[0]], SHORT, out, CPU))
    with pytest.raises(UserError, match="No reviewed image has a cell"):
        next(finetune([], SHORT, out, CPU))


def test_the_last_step_before_the_time_is_over_is_tested_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([DetectionScore(0.5, 0.5, 0.5), DetectionScore(0.9, 0.9, 0.9)])
    monkeypatch.setattr(finetuning, "weighted_precision", lambda images: next(scores))
    out = tmp_path / "w.safetensors"
    *_, last = finetune(IMAGES, SHORT.replace(steps=1000, minutes=1e-6), out, CPU)
    assert (last.done, last.written) == (1, True)
    assert "AP50 0.500 to 0.900" in last.note and out.exists()


def test_held_out_images_without_cells_measure_nothing(
    tmp_path: Path,
) -> None:
    choose_held_out(tmp_path, [IMAGES[2].name], [each.name for each in IMAGES])
    out = tmp_path / "w.safetensors"
    steps = list(finetune(IMAGES, SHORT.replace(steps=1), out, CPU, project=tmp_path))
    assert {step.score for step in steps} == {None} and "No image with cells" in steps[0].note
    assert steps[-1].written and out.exists()
