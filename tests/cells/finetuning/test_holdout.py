"""An image that was held out once is never learnt from, and the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from napari_attmil.cells.finetuning.holdout import FILE_NAME, held_out_names
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

NAMES = [f"image_{k}.tif" for k in range(40)]


@given(st.lists(st.text(), unique=True, min_size=4, max_size=50), st.randoms())
def test_names_alone_decide_and_some_are_held_out(names: list[str], random: Random) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)
    held = held_out_names(names)
    assert held == held_out_names(shuffled)
    assert len(held) > 0


def test_about_one_in_five_is_held_out() -> None:
    assert len(held_out_names([f"{k}" for k in range(1000)])) == pytest.approx(200, abs=40)


def test_what_was_decided_stays_whatever_is_reviewed_later(tmp_path: Path) -> None:
    held: set[str] = set()
    learnt: set[str] = set()
    for count in range(1, len(NAMES)):
        now = held_out_names(NAMES[:count], tmp_path)
        held |= now
        learnt |= set(NAMES[:count]) - now
        assert not held & learnt


def test_few_images_are_all_learnt_from() -> None:
    assert held_out_names(NAMES[:3]) == frozenset()


def test_images_once_learnt_from_are_not_held_out_when_more_come(tmp_path: Path) -> None:
    held_out_names(NAMES[:3], tmp_path)
    assert held_out_names(NAMES[:4], tmp_path) == {NAMES[3]}


def test_a_damaged_list_is_not_replaced_in_silence(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{", "utf-8")
    with pytest.raises(UserError, match="which images are held out"):
        held_out_names(NAMES, tmp_path)
    assert (tmp_path / FILE_NAME).read_text("utf-8") == "{"
