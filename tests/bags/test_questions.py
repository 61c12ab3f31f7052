from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_attmil.bags.questions import JudgedCells, cells_to_ask
from napari_attmil.bags.training.trainer import Trainer
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.settings import MILSettings
    from napari_attmil.core.device import Device


def judged(sample: str, *models: list[float], answered: tuple[int, ...] = ()) -> JudgedCells:
    """Return cells numbered from 1 that models judge so."""
    altered = np.array(models, dtype=np.float32)
    ids = np.arange(1, altered.shape[1] + 1)
    return JudgedCells(sample, ids, altered, np.isin(ids, answered))


def asked(*cells: JudgedCells, count: int = 99, strategy: Any = "highest") -> list[str]:
    return [f"{q.sample}{q.cell_id}" for q in cells_to_ask(cells, count, strategy)]


def test_every_sample_is_asked_about_before_any_is_twice() -> None:
    one, other = judged("a", [0.9, 0.8, 0.1]), judged("b", [0.2, 0.3])
    assert asked(one, other) == ["a1", "b2", "a2", "b1", "a3"]
    assert asked(one, other, count=3) == ["a1", "b2", "a2"]
    assert asked(one, other, count=0) == []


def test_answered_cells_are_not_asked_again_and_their_sample_waits() -> None:
    one, other = judged("a", [0.9, 0.8, 0.1], answered=(1,)), judged("b", [0.2, 0.3])
    assert asked(one, other) == ["b2", "a2", "b1", "a3"]


def test_models_disagree_where_each_is_sure_of_another_answer() -> None:
    cells = judged("a", [0.99, 0.5, 0.9], [0.01, 0.5, 0.9])
    np.testing.assert_allclose(cells.doubt, [1 - 0.0808, 0, 0], atol=1e-4)
    np.testing.assert_allclose(cells.score, [0.5, 0.5, 0.9], atol=1e-6)
    assert asked(cells, strategy="disagreement")[0] == "a1"
    assert asked(cells)[0] == "a3"


def test_single_model_doubts_what_it_is_undecided_about() -> None:
    cells = judged("a", [0.99, 0.5, 0.75])
    np.testing.assert_allclose(cells.doubt, [0.0808, 1, 0.8113], atol=1e-4)
    assert asked(cells, strategy="disagreement") == ["a2", "a3", "a1"]


def test_mix_takes_turns_and_asks_about_no_cell_twice() -> None:
    cells = judged("a", [0.99, 0.98, 0.5, 0.4, 0.1])
    assert asked(cells, strategy="mix") == ["a1", "a3", "a2", "a4", "a5"]


def test_unknown_strategy_is_refused() -> None:
    with pytest.raises(UserError, match="disagreement, highest, mix"):
        cells_to_ask([], 1, "guess")  # type: ignore[arg-type]


def test_trained_classifier_asks_about_altered_cells_of_each_sample(
    planted_bags: list[Bag], small: MILSettings, cpu: Device
) -> None:
    trainer = Trainer(planted_bags, small.replace(reference_class="a"), cpu)
    list(trainer.epochs())
    bags = [bag for bag in planted_bags if bag.label != "a"]
    judged = [JudgedCells.of(trainer.best, bag) for bag in bags]
    questions = cells_to_ask(judged, len(bags), "highest")
    assert {question.sample for question in questions} == {bag.sample for bag in bags}
    by_name = {bag.sample: bag for bag in bags}
    truth = [by_name[q.sample].altered[q.cell_id - 1] for q in questions]  # type: ignore[index]
    assert np.mean(truth) > 0.9
    answered = replace(bags[0], answers=np.array(["cannot tell"] * 3 + [""] * 17))
    assert JudgedCells.of(trainer.best, answered).is_answered.sum() == 3
