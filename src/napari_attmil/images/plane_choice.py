"""A choice of the planes that are looked at, and what it means for a study: values only."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

from napari_attmil.core import UserError
from napari_attmil.images.formats import PROJECTIONS

Z_CHOICES: Final = ("sharpest", "middle", *PROJECTIONS, "all")
TIME_CHOICES: Final = ("first", "all")


@dataclass(frozen=True)
class PlaneChoice:
    """Which planes of each place are looked at, as a person writes it; numbers are from 1.

    Attributes
    ----------
    z : str
        sharpest; middle; max or mean (a projection); a number; or all, each as a field of its own.
    time : str
        first; a number; or all, each as a field of its own.
    channel : str
        auto (transmitted light by its name, else by its look); a number; or a part of a name.

    Raises
    ------
    UserError
        If a choice is not one of these.
    """

    z: str = "sharpest"
    time: str = "first"
    channel: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what is no choice."""
        for name, known in (("z", Z_CHOICES), ("time", TIME_CHOICES)):
            value = str(getattr(self, name)).strip().casefold()
            object.__setattr__(self, name, value)
            if value not in known and not (value.isascii() and value.isdigit() and int(value) > 0):
                raise UserError(
                    f"The choice {value!r} for {name} is not known; give a number from 1, or one "
                    f"of {', '.join(known)}."
                )
        channel = str(self.channel).strip()
        if not channel or channel == "0":
            raise UserError(
                f"The choice {channel!r} for the channel is not known; give a number from 1, a "
                "name, or auto."
            )
        object.__setattr__(self, "channel", channel)

    def changed(self, **given: str | None) -> PlaneChoice:
        """Return the choice with those values that are given."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def as_dict(self) -> dict[str, str]:
        """Return the choice by the names of its fields, for files."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


DEFAULT_PLANES: Final = PlaneChoice()


@dataclass(frozen=True)
class PlanesInUse:
    """What is looked at in images that have several planes, time points or channels.

    Attributes
    ----------
    choice
        What was chosen.
    z, times
        The most planes in z, and time points, that a file has of one place; 1 where there is no
        such axis.
    channels
        Names of the channels, or their numbers; empty where no file has several.
    text
        A sentence for the user.
    """

    choice: PlaneChoice
    z: int
    times: int
    channels: tuple[str, ...]
    text: str
