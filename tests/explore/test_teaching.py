from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, precision_score, recall_score

from napari_attmil.core.errors import UserError
from napari_attmil.explore.teaching import (
    FILE_NAME,
    Agreement,
    TeachingRound,
    agreement,
    expert_of,
    keep_round,
    now,
    read_rounds,
)

if TYPE_CHECKING:
    from pathlib import Path

ROUND = TeachingRound(
    "Ada Sjögren",
    "P01",
    shown=(1, 2, 3, 4),
    marked=(1, 2),
    model=(2, 3),
    expert=None,
    time="2026-01-02T03:04:05+00:00",
)


def test_agreement_is_what_scikit_learn_computes() -> None:
    rng = np.random.default_rng(0)
    shown = np.arange(1, 61)
    marked, reference = rng.random(60) < 0.3, rng.random(60) < 0.2
    found = agreement(shown.tolist(), shown[marked].tolist(), shown[reference].tolist())
    assert found.precision == pytest.approx(precision_score(reference, marked))
    assert found.recall == pytest.approx(recall_score(reference, marked))
    assert found.kappa == pytest.approx(cohen_kappa_score(reference, marked))


def test_same_choice_agrees_perfectly_and_the_opposite_one_worst() -> None:
    assert agreement([1, 2, 3, 4], [1, 2], [1, 2]).kappa == 1
    assert agreement([1, 2, 3, 4], [1, 2], [3, 4]).kappa == -1


def test_nothing_can_be_said_where_nobody_chose_or_everybody_chose_all() -> None:
    nothing = agreement([1, 2, 3], [], [])
    assert (nothing.precision, nothing.recall, nothing.kappa) == (None, None, None)
    assert agreement([1, 2, 3], [1, 2, 3], [1, 2, 3]).kappa is None


def test_cells_that_were_not_shown_do_not_count() -> None:
    assert agreement([1, 2], [1, 7], [1, 8]) == Agreement(1, 0, 0, 1)


def test_round_agrees_with_the_model_and_with_an_expert_where_one_has_looked() -> None:
    assert ROUND.with_model == Agreement(1, 1, 1, 1)
    assert ROUND.with_expert is None
    assert replace(ROUND, expert=(1, 2)).with_expert == Agreement(2, 0, 0, 2)


def test_rounds_come_back_as_they_were_kept_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "teaching.jsonl"
    second = replace(ROUND, marked=(), expert=(4,), time=now())
    keep_round(path, ROUND)
    keep_round(path, second)
    assert read_rounds(path) == ([ROUND, second], 0)


def test_missing_file_has_no_rounds(tmp_path: Path) -> None:
    assert read_rounds(tmp_path / "none.jsonl") == ([], 0)


def test_line_that_was_cut_off_is_told_and_swallows_no_other(tmp_path: Path) -> None:
    path = tmp_path / "teaching.jsonl"
    keep_round(path, ROUND)
    path.write_bytes(path.read_bytes() + path.read_bytes()[:40])
    keep_round(path, ROUND)
    assert read_rounds(path) == ([ROUND, ROUND], 1)


def test_line_cut_within_a_letter_of_several_bytes_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / "teaching.jsonl"
    keep_round(path, ROUND)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: whole.index("ö".encode()) + 1])
    assert read_rounds(path) == ([ROUND], 1)


def test_folder_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be saved"):
        keep_round(tmp_path / "none" / "teaching.jsonl", ROUND)


def test_latest_round_of_an_expert_is_the_one_to_be_met_and_older_files_have_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE_NAME
    student = TeachingRound("Ana", "s1", (1, 2), (1,), (2,), None, now())
    for each in (
        student,
        replace(student, marked=(2,), is_expert=True),
        replace(student, marked=(1, 2), is_expert=True),
        replace(student, sample="s2", is_expert=True),
    ):
        keep_round(path, each)
    rounds, _ = read_rounds(path)
    found = expert_of(rounds, "s1")
    assert found is not None and found.marked == (1, 2)
    assert expert_of(rounds[:1], "s1") is None
    older = {name: value for name, value in asdict(student).items() if name != "is_expert"}
    path.write_text(json.dumps(older) + "\n")
    assert read_rounds(path)[0] == [student]


def test_rounds_that_may_not_be_read_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / FILE_NAME
    keep_round(path, ROUND)

    def forbidden(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", forbidden)
    with pytest.raises(UserError, match="cannot be read"):
        read_rounds(path)
