"""What the pages of a file are to one another: places, time points, channels, planes in z."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

PLACES: Final = "PRMIQVN"
"""Letters of axes along which pages show other places: position, tile, page, well."""
_RED_GREEN_BLUE: Final = (("red", "r"), ("green", "g"), ("blue", "b"))
_NO_FIELDS: Final = re.compile(
    r"\s*(thumbnail|label|macro|map|overview|preview|probability)( image)?\s*", re.IGNORECASE
)
"""Names of pictures that slide scanners keep beside the scan."""
_TRANSMITTED: Final = (
    r"bf|bright ?-?fields?|hellfeld",
    r"bright|tl|trans|transmitted|transmission|transmitted ?light|tpmt|t pmt|chd|td|esid|oblique",
    r"ph|phase|phase ?contrast|phc|dic|nomarski|hoffman|hoffman ?modulation|rc|varel",
)
"""Words for transmitted light in names and contrast methods of channels; bright field is first."""


class PlanePosition(NamedTuple):
    """Which plane a page is: of which place, time point, channel and plane in z, each from 0."""

    place: int = 0
    time: int = 0
    channel: int = 0
    z: int = 0


@dataclass(frozen=True)
class Axes:
    """A source of images by named axes.

    Attributes
    ----------
    positions : tuple of PlanePosition or None
        One a page; None for a page that is no field, as a thumbnail.
    channels : tuple of str
        Name and contrast method of each channel, empty where the file does not tell.
    z_step_um : float or None
        Between planes in z.
    left_out : tuple of str
        What of the file is no field: "a thumbnail".
    """

    positions: tuple[PlanePosition | None, ...]
    channels: tuple[str, ...] = ()
    z_step_um: float | None = None
    left_out: tuple[str, ...] = ()

    @classmethod
    def flat(cls, count: int) -> Axes:
        """Return the axes of a stack without any: each page is a place of its own."""
        return cls(tuple(PlanePosition(place) for place in range(count)))

    @property
    def sizes(self) -> dict[str, int]:
        """How many there are of each axis: P (places), T, C and Z."""
        known = [position for position in self.positions if position is not None]
        counts = (len(set(values)) for values in zip(*known, strict=True))
        return dict(zip("PTCZ", counts, strict=True)) if known else dict.fromkeys("PTCZ", 0)

    @property
    def begins_later(self) -> bool:
        """Whether all pages are later planes or time points: of a set that other files begin."""
        known = [position for position in self.positions if position is not None]
        return bool(known) and all(position.time + position.z > 0 for position in known)

    def letters_along(self, sizes: Sequence[int]) -> str:
        """Return what lies along each axis of an array that a program made of the pages.

        Parameters
        ----------
        sizes
            Of all axes but rows, columns and colours. The array holds all pages in their order, or
            those of one channel.

        Returns
        -------
        str
            A letter of `sizes` for each axis, "-" for one of a single step; empty where the pages
            do not lie in an array of these sizes, or have no axes.
        """
        pages = [position for position in self.positions if position is not None]
        for held in (pages, [position for position in pages if position.channel == 0]):
            if len(held) == math.prod(sizes):
                grid = np.array(held).reshape(*sizes, len(PlanePosition._fields))
                steps = (np.diff(grid, axis=axis) != 0 for axis in range(len(sizes)))
                varying = [step.reshape(-1, step.shape[-1]).any(axis=0) for step in steps]
                if all(each.sum() < 2 for each in varying):
                    return "".join("PTCZ"[each.argmax()] if each.any() else "-" for each in varying)
        return ""

    def and_then(self, other: Axes) -> Axes:
        """Return these axes and those of further pages, which show other places."""
        first = 1 + max((each.place for each in self.positions if each is not None), default=-1)
        moved = (each and each._replace(place=each.place + first) for each in other.positions)
        return Axes(
            (*self.positions, *moved),
            max(self.channels, other.channels, key=len),
            self.z_step_um or other.z_step_um,
            tuple(dict.fromkeys((*self.left_out, *other.left_out))),
        )


def grid_positions(sizes: Mapping[str, int]) -> tuple[PlanePosition | None, ...]:
    """Return the positions of pages that vary along axes, the last of them fastest.

    Parameters
    ----------
    sizes
        By letter: T, C, Z, those of `PLACES`; along any other (angle, phase, ...), which shows the
        same place again, only the first page is a field.
    """
    found = [({"place": 0, "time": 0, "channel": 0, "z": 0}, True)]
    names = {"T": "time", "C": "channel", "Z": "z"}
    for letter, size in sizes.items():
        longer = []
        for at, is_field in found:
            for index in range(size):
                if letter in PLACES:
                    longer.append(({**at, "place": at["place"] * size + index}, is_field))
                elif letter in names:
                    longer.append(({**at, names[letter]: index}, is_field))
                else:
                    longer.append((at, is_field and index == 0))
        found = longer
    return tuple(PlanePosition(**at) if is_field else None for at, is_field in found)


def ranked_positions(
    keys: Iterable[tuple[object, int, int, int]],
) -> tuple[PlanePosition, ...]:
    """Return the positions of pages known by (place, time, channel, z), wherever these begin."""
    listed = list(keys)
    orders = [
        {value: rank for rank, value in enumerate(dict.fromkeys(values))}
        if number == 0
        else {value: rank for rank, value in enumerate(sorted(set(values)))}
        for number, values in enumerate(zip(*listed, strict=True))
    ]
    return tuple(
        PlanePosition(*(order[value] for order, value in zip(orders, key, strict=True)))
        for key in listed
    )


def are_red_green_blue(channels: Sequence[str]) -> bool:
    """Return whether a file calls its three channels red, green and blue."""
    return len(channels) == 3 and all(
        name.strip().casefold() in words
        for name, words in zip(channels, _RED_GREEN_BLUE, strict=True)
    )


def is_no_field(name: str) -> bool:
    """Return whether a picture of this name is a slide's label or overview, not a scan."""
    return _NO_FIELDS.fullmatch(name) is not None


def transmitted_channel(channels: Sequence[str]) -> int | None:
    """Return the channel of transmitted light, by the names of all; None if they do not tell.

    Bright field comes before other transmitted light, and that before phase contrast and DIC.
    """
    for words in _TRANSMITTED:
        pattern = re.compile(rf"(?<![a-z0-9])({words}) ?\d{{0,2}}(?![a-z0-9])", re.IGNORECASE)
        texts = [re.sub(r"[_\W]+", " ", name) for name in channels]
        named = [number for number, text in enumerate(texts) if pattern.search(text)]
        if named and (len(named) < len(channels) or len(channels) == 1):
            return named[0]
    return None
