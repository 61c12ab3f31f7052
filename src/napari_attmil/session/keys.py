"""What the session tells samples and layers apart by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass(frozen=True)
class SampleKey:
    """A sample of a study, as long as that study is open.

    Attributes
    ----------
    name
        The sample's.
    opening
        How many studies the session has opened so far, this one included. Results that were begun
        for one study so never reach a sample of the same name in the next.
    """

    name: str
    opening: int


@dataclass(frozen=True)
class LayerKey:
    """The images of a layer that belongs to no study.

    Attributes
    ----------
    path
        The file that they come from; empty for images that only the viewer has.
    layer
        Names a layer without a file of its own.
    """

    path: str = ""
    layer: Hashable = None


SessionKey = SampleKey | LayerKey
