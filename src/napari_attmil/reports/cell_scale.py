"""One scale for all thumbnails of a gallery, and its scale bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from napari_attmil.images import Sample

LARGEST_SHOWN: Final = 0.98
"""Share of the cells that fit into a thumbnail; a few very large cells are cut off."""
BAR_SHARE: Final = 0.4
NICE: Final = (1.0, 2.0, 5.0)


@dataclass(frozen=True)
class GalleryScale:
    """How much of an image every thumbnail shows.

    Attributes
    ----------
    side
        Side of the square that is shown.
    unit
        "µm" if the pixel size of all samples is known, otherwise "px".
    pixel_size_um
        By sample; empty for "px".
    """

    side: float = 64.0
    unit: str = "px"
    pixel_size_um: Mapping[str, float] = field(default_factory=dict)

    def side_px(self, sample: str) -> float:
        """Return the side in pixels of a sample's images."""
        return self.side / self.pixel_size_um.get(sample, 1.0)

    @property
    def bar(self) -> float:
        """Length of the scale bar: 1, 2 or 5 times a power of ten, at most 0.4 of the side."""
        most = BAR_SHARE * self.side
        power = 10.0 ** np.floor(np.log10(most))
        return float(max(step * power for step in NICE if step * power <= most))

    @property
    def bar_text(self) -> str:
        """The label of the bar."""
        return f"{self.bar:g} {self.unit}"

    @property
    def note(self) -> str:
        """The note beside the bar."""
        return f"{self.bar_text}; every picture shows {self.side:g} {self.unit}"


def gallery_scale(
    table: pd.DataFrame, samples: Sequence[Sample], margin: float = 1.3
) -> GalleryScale:
    """Return the scale at which nearly all cells of a table fit into thumbnails.

    Parameters
    ----------
    table
        Columns sample, x_min, y_min, x_max and y_max (pixels).
    samples
        Those of the table.
    margin
        Ratio of the side to the cells, at least 1.
    """
    if not len(table):
        return GalleryScale()
    sizes = {sample.name: sample.pixel_size_um for sample in samples}
    pixel_sizes = {name: size for name, size in sizes.items() if size is not None}
    in_um = 0 < len(pixel_sizes) == len(sizes)
    width, height = table["x_max"] - table["x_min"], table["y_max"] - table["y_min"]
    longer = np.maximum(width.to_numpy(np.float64), height.to_numpy(np.float64))
    longer = np.maximum(longer, 1)  # Other programs' boxes may have no size.
    if in_um:
        longer = longer * table["sample"].map(pixel_sizes).to_numpy(np.float64)
    side = margin * float(np.quantile(longer, LARGEST_SHOWN))
    # Rounded up, so that one corrected box does not change every thumbnail.
    step = 10.0 ** np.floor(np.log10(side)) / 2
    rounded = float(np.ceil(side / step) * step)
    return GalleryScale(rounded, "µm", pixel_sizes) if in_um else GalleryScale(rounded)
