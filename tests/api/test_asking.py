"""Questions and answers through the public functions keep the commands' rules."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

import napari_attmil as attmil

if TYPE_CHECKING:
    from pathlib import Path


def test_an_unknown_strategy_is_refused_before_a_detector_is_loaded(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loads(*_: object) -> Any:
        raise AssertionError("the long work began")

    monkeypatch.setattr(attmil.Study, "detector", loads)
    guess: Any = "guess"
    with pytest.raises(attmil.UserError, match="no strategy 'guess'"):
        attmil.ask(place / "study", place / "model.safetensors", strategy=guess, device="cpu")


def test_a_table_without_answers_is_refused_and_one_of_all_leaves_nothing_to_ask(
    place: Path, tmp_path: Path
) -> None:
    study = shutil.copytree(place / "study", tmp_path / "study")
    model, out = place / "model.safetensors", tmp_path / "questions.csv"
    attmil.ask(study, model, out, count=999, device="cpu")
    with pytest.raises(attmil.UserError, match="has no answer yet"):
        attmil.answer(study, out)
    out.write_text(out.read_text("utf-8").replace(",\n", ",altered\n"), "utf-8")
    assert "answers kept in" in attmil.answer(study, out)
    again = tmp_path / "again.csv"
    with pytest.raises(attmil.UserError, match="No cell is left to ask about"):
        attmil.ask(study, model, again, device="cpu")
    assert not again.exists()
