"""Keys by which the session identifies samples and layers."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_attmil.images import Frame


@dataclass(frozen=True)
class SampleKey:
    """A sample of a study, as long as that study is open.

    Attributes
    ----------
    name
        The sample's.
    opening
        The number of studies that the session has opened, including this one. It prevents results
        for one study from reaching a sample of the same name in the next.
    """

    name: str
    opening: int


@dataclass(frozen=True)
class LayerKey:
    """The images of a layer that belongs to no study.

    Attributes
    ----------
    frames
        Under which their boxes are kept: layers that show the same images share them. Empty for
        images whose boxes are in memory only.
    layer
        Identifies such images.
    """

    frames: tuple[Frame, ...] = ()
    layer: Hashable = None


SessionKey = SampleKey | LayerKey
