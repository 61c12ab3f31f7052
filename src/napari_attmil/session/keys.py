"""Keys by which the session identifies samples and layers."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


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
    path
        Their file; empty for images that exist only in the viewer.
    layer
        Identifies a layer without a file of its own.
    """

    path: str = ""
    layer: Hashable = None


SessionKey = SampleKey | LayerKey
