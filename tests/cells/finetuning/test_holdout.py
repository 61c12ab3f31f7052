"""Corrected images of every look are held out; once held out, never learnt from unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from napari_attmil.cells.finetuning.holdout import (
    FILE_NAME,
    HoldOut,
    choose_held_out,
    hold_out_in_words,
)
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

NAMES = [f"image_{k}.tif" for k in range(40)]


def drawn(
    corrections: dict[str, int], looks: dict[str, str] | None = None, former: HoldOut | None = None
) -> frozenset[str]:
    """Return what is held out; all images look alike unless looks are given."""
    look_of = looks or dict.fromkeys(corrections, "all images")
    return (former or HoldOut()).extended(corrections, look_of).of(corrections)


def corrected(names: list[str], but: int = 0) -> dict[str, int]:
    """Return one correction an image, none for the first few."""
    return {name: int(place >= but) for place, name in enumerate(names)}


@given(st.lists(st.text(), unique=True, min_size=4, max_size=50), st.randoms())
def test_the_order_of_images_plays_no_part_and_some_are_held_out(
    names: list[str], random: Random
) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)
    held = drawn(corrected(names))
    assert held == drawn(corrected(shuffled))
    assert len(held) > 0


@pytest.mark.parametrize(("images", "held_out"), [(3, 0), (4, 1), (6, 2), (10, 2), (11, 3)])
def test_one_in_five_and_at_least_two_are_held_out(images: int, held_out: int) -> None:
    assert len(drawn(corrected(NAMES[:images]))) == held_out


def test_about_one_in_five_is_held_out() -> None:
    assert len(drawn(corrected([f"{k}" for k in range(1000)]))) == pytest.approx(200, abs=40)


def test_what_was_decided_stays_whatever_is_reviewed_later() -> None:
    held: set[str] = set()
    learnt: set[str] = set()
    former = HoldOut()
    for count in range(1, len(NAMES)):
        corrections = corrected(NAMES[:count])
        former = former.extended(corrections, dict.fromkeys(corrections, "all images"))
        now = former.of(corrections)
        held |= now
        learnt |= set(corrections) - now
        assert not held & learnt
    assert len(held) == 8


def test_corrected_images_come_first_and_half_of_them_are_learnt_from() -> None:
    # Ten images, nineteen boxes added on two of them: the case that once ended in a refusal.
    corrections = dict.fromkeys(NAMES[:10], 0) | {NAMES[3]: 12, NAMES[7]: 7}
    held = drawn(corrections)
    assert len(held & {NAMES[3], NAMES[7]}) == 1 and len(held) == 2


def test_every_look_with_corrections_is_tested() -> None:
    looks = {name: "dark" if place < 4 else "pale" for place, name in enumerate(NAMES[:20])}
    held = drawn(corrected(NAMES[:20]), looks)
    assert len(held) == 4
    assert [sum(looks[name] == look for name in held) for look in ("dark", "pale")] == [2, 2]


def test_more_looks_than_one_in_five_images_are_all_tested() -> None:
    looks = {name: ("dark", "pale", "soft")[place % 3] for place, name in enumerate(NAMES[:9])}
    held = drawn(corrected(NAMES[:9]), looks)
    assert len(held) == 3 and {looks[name] for name in held} == {"dark", "pale", "soft"}


def test_of_a_look_with_one_corrected_image_that_one_is_learnt_from() -> None:
    looks = {name: "dark" if name == NAMES[0] else "pale" for name in NAMES[:10]}
    assert NAMES[0] not in drawn(corrected(NAMES[:10]), looks)


def test_few_images_are_all_learnt_from() -> None:
    assert drawn(corrected(NAMES[:3])) == frozenset()


def test_images_once_learnt_from_are_not_held_out_when_more_come() -> None:
    former = HoldOut().extended(corrected(NAMES[:3]), dict.fromkeys(NAMES, "all images"))
    assert drawn(corrected(NAMES[:4]), former=former) == {NAMES[3]}


def test_a_study_whose_test_images_nobody_corrected_gets_one_that_somebody_did() -> None:
    # As an earlier version decided, by names alone.
    former = HoldOut({name: name == NAMES[0] for name in NAMES[:10]})
    held = drawn(corrected(NAMES[:10], but=8), former=former)
    assert NAMES[0] in held and len(held & set(NAMES[8:10])) == 1


def test_a_person_s_choice_is_kept_and_never_changed(tmp_path: Path) -> None:
    choose_held_out(tmp_path, [NAMES[5]], NAMES[:10])
    held = HoldOut.read(tmp_path)
    assert drawn(corrected(NAMES[:10]), former=held) == {NAMES[5]}
    assert drawn(corrected(NAMES[:10], but=8), former=held) == {NAMES[5]}
    more = held.extended(corrected(NAMES[:12]), dict.fromkeys(NAMES, "all images"))
    assert NAMES[5] in more.of(NAMES) and more.of(NAMES) <= {NAMES[5], NAMES[10], NAMES[11]}


def test_the_first_page_of_a_file_is_named_without_its_number(tmp_path: Path) -> None:
    choose_held_out(tmp_path, ["a.tif", "b.tif#1"], ["a.tif#0", "b.tif#0", "b.tif#1"])
    assert HoldOut.read(tmp_path).of(["a.tif#0", "b.tif#0", "b.tif#1"]) == {"a.tif#0", "b.tif#1"}


def test_an_unknown_image_or_all_of_them_cannot_be_held_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'c\.tif' is no reviewed image"):
        choose_held_out(tmp_path, ["c.tif"], ["a.tif#0", "b.tif#0"])
    with pytest.raises(UserError, match="leave some of them to learn from"):
        choose_held_out(tmp_path, ["a.tif", "b.tif"], ["a.tif#0", "b.tif#0"])
    assert not (tmp_path / FILE_NAME).exists()


def test_a_list_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"held_out": {"a.tif#0": true, "b.tif#0": false}}', "utf-8")
    decided = {"a.tif#0": True, "b.tif#0": False}
    assert HoldOut.read(tmp_path) == HoldOut(decided, learnt=frozenset({"b.tif#0"}))


def test_a_test_image_that_a_training_learnt_from_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"held_out": {"a.tif#0": false, "b.tif#0": true}}', "utf-8")
    HoldOut.read(tmp_path).with_choice("a.tif#0", is_held_out=True).write(tmp_path)
    held_out, corrections = HoldOut.read(tmp_path), {"a.tif#0": 1, "b.tif#0": 1}
    held = held_out.of(corrections)
    assert held == set(corrections)
    alike = dict.fromkeys(corrections, "all images")
    words = " ".join(hold_out_in_words(corrections, alike, held, held_out.learnt))
    assert "learnt from a.tif, so the precision there is too high" in words
    assert "b.tif" not in words
    both = held_out.with_learnt(["b.tif#0"]).learnt
    words = " ".join(hold_out_in_words(corrections, alike, held, both))
    assert "learnt from a.tif and 1 other test image" in words
    assert "too high" not in " ".join(hold_out_in_words(corrections, alike, held))


def test_a_damaged_list_is_not_replaced_in_silence(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{", "utf-8")
    with pytest.raises(UserError, match="which images are held out"):
        HoldOut.read(tmp_path)
    assert (tmp_path / FILE_NAME).read_text("utf-8") == "{"
