"""The hold-out: images of a study that no training of a detector uses, so as to test it.

They are drawn from images that a person has corrected, spread over the looks of the study: on
boxes of the detector's own, no other detector can be better. Once held out, an image stays so,
unless a person decides otherwise.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

from napari_attmil.core import UserError, counted, reason_in_words, write_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

FILE_NAME: Final = "holdout.json"
FEWEST_IMAGES: Final = 4
"""With fewer images all are used for training, and there is no score."""
ENOUGH_FOR_TWO: Final = 6
HELD_OUT_SHARE: Final = 0.2


@dataclass(frozen=True)
class HoldOut:
    """Which images of a study are held out.

    Attributes
    ----------
    decided
        By name, whether an image is held out; images that no training has met are missing.
    by_hand
        Names of those about which a person has decided.
    learnt
        Names of those that a training has learnt from, whatever has been decided since.
    """

    decided: Mapping[str, bool] = field(default_factory=dict)
    by_hand: frozenset[str] = frozenset()
    learnt: frozenset[str] = frozenset()

    @classmethod
    def read(cls, folder: Path | None) -> Self:
        """Return what a folder's ``holdout.json`` says; nothing if there is none.

        Raises
        ------
        UserError
            If the file is damaged.
        """
        path = None if folder is None else folder / FILE_NAME
        if path is None or not path.exists():
            return cls()
        try:
            content = json.loads(path.read_text("utf-8"))
            decided = {str(name): bool(value) for name, value in content["held_out"].items()}
            by_hand = frozenset(map(str, content.get("by_hand", ())))
            # Earlier versions say only which images are not held out.
            learnt = content.get("learnt", [name for name, held in decided.items() if not held])
            return cls(decided, by_hand, frozenset(map(str, learnt)))
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise UserError(
                f"{path} is damaged ({reason_in_words(error)}); it says which images are held "
                "out. Restore it, or delete it to have them chosen anew."
            ) from error

    def write(self, folder: Path | None) -> None:
        """Write it to a folder's ``holdout.json``; a UserError if that cannot be written."""
        if folder is not None:
            content: dict[str, Any] = {"held_out": dict(self.decided)}
            content |= {"by_hand": sorted(self.by_hand), "learnt": sorted(self.learnt)}
            write_json(folder / FILE_NAME, content)

    def with_choice(self, name: str, is_held_out: bool) -> Self:
        """Return it with a person's decision about an image."""
        decided = {**self.decided, name: is_held_out}
        return replace(self, decided=decided, by_hand=self.by_hand | {name})

    def with_learnt(self, names: Iterable[str]) -> Self:
        """Return it after a training on some images."""
        return replace(self, learnt=self.learnt.union(names))

    def extended(self, corrections: Mapping[str, int], look_of: Mapping[str, str]) -> Self:
        """Return it with a decision about each of a study's reviewed images.

        Parameters
        ----------
        corrections
            How many boxes a person drew, moved or deleted in each, by its name.
        look_of
            The look of each, by name.
        """
        held = _Draw(self, corrections, look_of).names()
        fresh = {name: name in held for name in corrections}
        return replace(self, decided={**self.decided, **fresh})

    def of(self, names: Iterable[str]) -> frozenset[str]:
        """Return those of some images that are held out."""
        return frozenset(name for name in names if self.decided.get(name))


def choose_held_out(folder: Path, names: Collection[str], images: Collection[str]) -> None:
    """Hold out just these images of a study from now on, as a person asks for.

    Raises
    ------
    UserError
        If one of them is no reviewed image, none is left to learn from, or the folder cannot be
        written.
    """
    known = {_short(name): name for name in images} | {name: name for name in images}
    unknown = sorted(name for name in names if name not in known)
    if unknown:
        some = ", ".join(sorted(images)[:5])
        raise UserError(
            f"{unknown[0]!r} is no reviewed image, so it cannot be held out; name images as they "
            f"are kept: {some}{' and others' if len(images) > 5 else ''}."
        )
    chosen = {known[name] for name in names}
    if chosen.issuperset(images):
        raise UserError("All reviewed images are held out; leave some of them to learn from.")
    held = HoldOut.read(folder)
    for name in images:
        held = held.with_choice(name, name in chosen)
    held.write(folder)


def hold_out_in_words(
    corrections: Mapping[str, int],
    look_of: Mapping[str, str],
    held: Collection[str],
    learnt: Collection[str] = (),
) -> list[str]:
    """Say how many images are held out, and what cannot be tested with them.

    Parameters
    ----------
    corrections, look_of
        As for `HoldOut.extended`.
    held
        Names of the held-out images.
    learnt
        Names of images that an earlier training has learnt from.
    """
    if not held:
        return [
            "No image is held out, so nothing tells how good the new detector is; that takes "
            f"{FEWEST_IMAGES} reviewed images."
        ]
    verb = "tests" if len(held) == 1 else "test"
    sentences = [f"{counted(len(held), 'image')} {verb} the new detector."]
    if known := sorted(name for name in held if name in learnt):
        sentences.append(
            f"An earlier training learnt from {_some(known)}, so the precision there is too high; "
            "review and correct more images, and hold those out instead."
        )
    if not any(corrections[name] for name in held):
        sentences.append(
            "Nobody corrected a box there, so that no new detector can be better; correct the "
            "boxes of two images at least."
        )
        return sentences
    tested = {look_of[name] for name in held if corrections[name]}
    for look in sorted(set(look_of.values()) - tested):
        boxes = sum(count for name, count in corrections.items() if look_of[name] == look)
        if boxes:
            sentences.append(
                f"No test image has the look “{look}”, in which {counted(boxes, 'box', 'boxes')} "
                "were corrected; correct another image like that, or hold one out yourself."
            )
    return sentences


def _some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many there are beside it."""
    more = f" and {counted(len(names) - 1, 'other test image')}" if len(names) > 1 else ""
    return _short(names[0]) + more


def _test_count(image_count: int) -> int:
    """Return how many of some reviewed images are held out at least."""
    if image_count < FEWEST_IMAGES:
        return 0
    fewest = 2 if image_count >= ENOUGH_FOR_TWO else 1
    return max(fewest, math.ceil(HELD_OUT_SHARE * image_count))


class _Draw:
    """Draws the images to hold out, look by look, corrected ones first."""

    def __init__(
        self, former: HoldOut, corrections: Mapping[str, int], look_of: Mapping[str, str]
    ) -> None:
        self._former, self._look_of = former, look_of
        self._images = sorted(corrections, key=_chance)
        self._corrected = [name for name in self._images if corrections[name]]
        self._held = set(former.of(corrections))

    def names(self) -> frozenset[str]:
        """Return the names of all that are held out."""
        wanted = _test_count(len(self._images))
        if wanted:
            wanted = max(wanted, len(self._held) + self._untested_looks())
        for pool in (self._corrected, self._images):
            while len(self._held) < wanted and (name := self._next(pool)) is not None:
                self._held.add(name)
        if wanted and self._held.isdisjoint(self._corrected):
            self._held |= self._any_corrected()
        return frozenset(self._held)

    def _untested_looks(self) -> int:
        """Return how many looks have two corrected images or more, none of them held out."""
        corrected = Counter(self._look_of[name] for name in self._corrected)
        tested = {self._look_of[name] for name in self._corrected if name in self._held}
        return sum(count > 1 and look not in tested for look, count in corrected.items())

    def _next(self, pool: Sequence[str]) -> str | None:
        """Return the next image of a pool to hold out, from the look with the fewest of them.

        None if only images are left that a training has met, or that must be learnt from: at least
        half of each look in the pool.
        """
        alike = Counter(self._look_of[name] for name in pool)
        held = Counter(self._look_of[name] for name in pool if name in self._held)
        free: dict[str, tuple[int, int]] = {}
        for name in pool:
            look = self._look_of[name]
            is_known = name in self._held or name in self._former.decided
            if not is_known and 2 * (held[look] + 1) <= alike[look]:
                free[name] = held[look], -alike[look]
        return min(free, key=lambda name: free[name], default=None)

    def _any_corrected(self) -> set[str]:
        """Return one corrected image, even if a training has met it, where another one is left.

        On what nobody corrected there is nothing to be better at, so that the gate would be shut.
        """
        names = [name for name in self._corrected if name not in self._former.by_hand]
        fresh_first = sorted(names, key=lambda name: name in self._former.decided)
        return set(fresh_first[:1]) if len(self._corrected) > 1 else set()


def _short(name: str) -> str:
    """Return the name of a file's first image as people write it."""
    return name.removesuffix("#0")


def _chance(name: str) -> float:
    """Return a number from 0 to 1 that depends on the name only."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64
