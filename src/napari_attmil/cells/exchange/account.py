"""What a reader of other programs' files left out and why, and what it had to interpret."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from napari_attmil.core import reason_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SHOWN = 120
"""So many characters of a name are shown; the report has all of it."""
_NAMED = 3
"""How many of the things that were left out for one reason a sentence names."""


@dataclass(frozen=True)
class LeftOut:
    """Something in an annotation file that did not become a box.

    Attributes
    ----------
    item
        What it is, as the file numbers it: "annotation 7", "line 3", "the file ._a.xml".
    image
        The image's name; empty if it belongs to none.
    reason
        Why, as part of a sentence: "it is 0 wide and 5 high".
    count
        How many of it there are.
    """

    item: str
    image: str
    reason: str
    count: int = 1

    def __str__(self) -> str:
        """Return the item and its image."""
        text = f"{self.item} of {self.image}" if self.image else self.item
        text = " ".join(text.split())
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Account:
    """Collects, while files are read, what was left out and what was interpreted."""

    def __init__(self) -> None:
        self.left_out: list[LeftOut] = []
        self.outlines: Counter[str] = Counter()
        """How many shapes came in as the boxes around them, by kind: "polygon", "ellipse"."""
        self.remarks: dict[str, None] = {}

    def leave_out(self, item: str, reason: str, image: str = "", count: int = 1) -> None:
        """Note that something was left out."""
        self.left_out.append(LeftOut(item, image, reason, count))

    def outline(self, kind: str) -> None:
        """Note that the box around a shape of this kind was taken."""
        self.outlines[kind] += 1

    def remark(self, sentence: str) -> None:
        """Note something else that a person should know; told once."""
        self.remarks[sentence] = None

    @contextmanager
    def item(self, name: str, image: str = "") -> Iterator[None]:
        """Read one item: an error in it leaves it out, and reading goes on."""
        try:
            yield
        except Exception as error:  # whatever a value of the wrong kind may raise
            self.leave_out(name, reason_in_words(error), image)

    def notes(self) -> tuple[str, ...]:
        """Return sentences about what was interpreted."""
        kinds = ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in self.outlines.items())
        taken = [f"The upright boxes around them were taken for {kinds}."] if kinds else []
        return (*taken, *self.remarks)


def in_sentences(left_out: Iterable[LeftOut]) -> list[str]:
    """Return one sentence for each reason, which says how many and names the first few."""
    by_reason: dict[str, list[LeftOut]] = defaultdict(list)
    for each in left_out:
        by_reason[each.reason].append(each)
    return [_sentence(reason, items) for reason, items in by_reason.items()]


def as_json(left_out: Iterable[LeftOut]) -> list[dict[str, Any]]:
    """Return what was left out as plain values for a JSON file."""
    return [asdict(each) for each in left_out]


def _sentence(reason: str, items: list[LeftOut]) -> str:
    names = ", ".join(map(str, items[:_NAMED]))
    more = f", and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    total = sum(each.count for each in items)
    return f"Left out ({total}): {names}{more}: {reason.rstrip('.')}."
