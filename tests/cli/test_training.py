"""`attmil train`: what is kept when it is stopped or its model cannot be written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from napari_attmil.bags.training.ensemble import EnsembleProgress


def test_ctrl_c_keeps_the_models_that_are_there(
    attmil: Any, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_attmil.bags.training.ensemble import EnsembleTrainer

    whole = EnsembleTrainer.epochs

    def interrupted(trainer: EnsembleTrainer) -> Iterator[EnsembleProgress]:
        for step in whole(trainer):
            yield step
            if step.training == 3:
                raise KeyboardInterrupt

    model = tmp_path / "model.safetensors"
    command = ("train", study, "--out", model, "--epochs", 2, "--members", 5)
    with monkeypatch.context() as patched:
        patched.setattr(EnsembleTrainer, "epochs", interrupted)
        patched.setattr("napari_attmil.bags.training.ensemble.TOGETHER", 1)
        stopped = attmil(*command)
    assert stopped.code == 0
    assert "2 models. Not calibrated: the training was stopped early." in stopped.out
    assert model.is_file()
    trainings = {path.name for path in tmp_path.glob("*.unfinished/*")}
    assert len(trainings) == 2
    finished = attmil(*command)
    assert finished.code == 0
    five_models = r"^5 models( of single cells and one of .*)?, calibrated on"
    assert re.search(five_models, finished.out, re.M)
    assert not list(tmp_path.glob("*.unfinished"))
    figure = r"^(\d+) of (\d+) held-out patients right; chance (\d+)\. Chance: always answering"
    found = re.search(figure, finished.out, re.M)
    assert found is not None
    right, patients, chance = map(int, found.groups())
    wrong = re.findall(r"^Wrong: patient (.+), (.+), was taken for (.+)$", finished.out, re.M)
    assert len(wrong) == patients - right and patients >= chance
    assert all(truth != named for _, truth, named in wrong)


def test_ctrl_c_before_the_first_model_writes_nothing_and_says_so(
    attmil: Any, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_attmil.bags.training.ensemble import EnsembleTrainer

    def interrupted(trainer: EnsembleTrainer) -> Iterator[EnsembleProgress]:
        raise KeyboardInterrupt

    model = tmp_path / "model.safetensors"
    with monkeypatch.context() as patched:
        patched.setattr(EnsembleTrainer, "epochs", interrupted)
        stopped = attmil("train", study, "--out", model, "--epochs", 2)
    assert stopped.code != 0
    assert "Stopped before the first model was there" in stopped.err
    assert not model.exists()


def test_a_model_that_cannot_be_saved_is_not_trained_again(
    attmil: Any, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_attmil.bags.classifier import Classifier

    def full(*_: object) -> None:
        raise UserError("The disk is full.")

    model = tmp_path / "model.safetensors"
    command = ("train", study, "--out", model, "--epochs", 1, "--members", 2, "--no-calibrate")
    with monkeypatch.context() as patched:
        patched.setattr(Classifier, "save", full)
        assert attmil(*command).code == 1
    assert len(list(tmp_path.glob("*.unfinished/*"))) >= 2, "the trainings are kept"
    assert attmil(*command).code == 0
    assert model.is_file() and not list(tmp_path.glob("*.unfinished"))


def test_published_preset_trains_one_model_unless_asked_otherwise(
    attmil: Any, study: Path, tmp_path: Path
) -> None:
    options = ("train", study, "--out", tmp_path / "m.safetensors", "--preset", "paper")
    outcome = attmil(*options, "--epochs", 1)
    assert outcome.code == 0
    assert "1 model. Not calibrated" in outcome.out
    assert "No patient was held out, so nothing is known" in outcome.out
    assert "`attmil evaluate` measures it." in outcome.out
