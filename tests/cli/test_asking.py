"""`attmil ask` and `attmil answer`: questions about cells, answers kept, and a training on them."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from napari_attmil.bags import Classifier
from napari_attmil.cells import DetectionSettings
from napari_attmil.core import finished
from napari_attmil.workflows import Study, open_cohort, update_classifier

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def own_study(study: Path, tmp_path: Path) -> Path:
    """Return a copy of the simulated study that may be changed."""
    return shutil.copytree(study, tmp_path / "own")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_expert_answers_and_the_next_training_learns_from_it(
    attmil: Any, own_study: Path, tmp_path: Path
) -> None:
    model, questions = tmp_path / "model.safetensors", tmp_path / "questions.csv"
    train = ("train", own_study, "--epochs", 2, "--members", 1, "--no-calibrate", "--out")
    assert attmil(*train, model).code == 0
    asked = attmil("ask", own_study, "--model", model, "--count", 5, "--out", questions)
    assert asked.code == 0 and "5 questions written to" in asked.out
    rows = rows_of(questions)
    assert len({row["sample"] for row in rows[:3]}) == 3, "each sample once before any twice"
    assert {row["class"] for row in rows} == {"sickle"}
    assert attmil("answer", own_study, questions).code == 1, "nothing is filled in"
    for row, answer in zip(rows, ("altered", "normal", "?", "x", ""), strict=True):
        row["answer"] = answer
    with questions.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    answered = attmil("answer", own_study, questions)
    assert answered.code == 0 and answered.out.startswith("4 answers kept in ")
    again = attmil("ask", own_study, "--model", model, "--count", 99, "--out", questions)
    assert again.code == 0
    boxes = {(row["image"], row["x_min"]) for row in rows[:4]}
    assert not boxes & {(row["image"], row["x_min"]) for row in rows_of(questions)}
    told = attmil(*train, tmp_path / "told.safetensors")
    assert (
        "3 answers about cells taken into account (1 altered, 1 not altered, 1 cannot" in told.err
    )
    untold = attmil(*train, tmp_path / "untold.safetensors", "--no-answers")
    assert "3 answers about cells left out: as chosen." in untold.err


def test_unknown_strategy_is_refused_before_anything_is_done(
    attmil: Any, own_study: Path, tmp_path: Path
) -> None:
    command = ("ask", own_study, "--model", tmp_path / "none", "--out", tmp_path / "q.csv")
    asked = attmil(*command, "--strategy", "guess")
    assert asked.code == 1 and "choose from disagreement, highest, mix" in asked.err


def test_update_trains_again_in_the_same_way_and_says_what_changed(
    attmil: Any, own_study: Path, tmp_path: Path
) -> None:
    model, questions = tmp_path / "model.safetensors", tmp_path / "questions.csv"
    train = ("train", own_study, "--epochs", 2, "--members", 2, "--no-calibrate", "--out", model)
    assert attmil(*train).code == 0
    assert attmil("ask", own_study, "--model", model, "--count", 3, "--out", questions).code == 0
    questions.write_text(questions.read_text("utf-8").replace(",\n", ",altered\n"), "utf-8")
    assert attmil("answer", own_study, questions).code == 0
    study = Study.of(open_cohort(own_study))
    former = Classifier.load(model)
    update = finished(update_classifier(study, former, DetectionSettings(), "cpu"))
    assert update is not None and update.samples == 6 and update.right is None
    new = update.training.classifier.model
    assert isinstance(new, Classifier)
    assert (len(new.models), new.settings) == (2, former.settings)
    assert new.provenance["answers"] == 3 and "answers" not in former.provenance
    assert f"of 6 samples {'is' if len(update.renamed) == 1 else 'are'} named" in update.in_words()
