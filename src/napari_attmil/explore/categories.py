"""Colours of cells by a text: their tags, or a person's own column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from napari_attmil.explore.colours import PALETTE_SIZE, Rgba, class_colour, rgba_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_attmil.core import Float64Array, Int64Array
    from napari_attmil.explore.cell_rows import Rows

OTHERS: Final = "others"
"""Stands for all texts beyond as many as there are colours."""
_OTHERS_COLOUR: Final[Rgba] = (0.55, 0.55, 0.55, 1.0)
_WITHOUT_COLOUR: Final[Rgba] = (0.55, 0.55, 0.55, 0.45)


@dataclass(frozen=True, eq=False)
class Categories:
    """The texts by which cells are coloured.

    Attributes
    ----------
    names
        The texts that have a colour of their own, in alphabetical order; `OTHERS` last where there
        are more.
    codes
        (n,) the position in `names` of each cell's text; -1 where it has none.
    """

    names: tuple[str, ...]
    codes: Int64Array

    @classmethod
    def of(cls, texts: npt.ArrayLike, counts: Mapping[str, int]) -> Categories:
        """Return the categories of cells.

        Parameters
        ----------
        texts
            (n,) texts; empty where a cell has none.
        counts
            How often each text occurs in all samples: a text has one colour in all of them. Of too
            many, the most frequent get the colours.
        """
        by_count = sorted(counts, key=lambda text: (-counts[text], text))
        names = sorted(by_count[:PALETTE_SIZE])
        place = {name: code for code, name in enumerate(names)} | {"": -1}
        if len(by_count) > len(names):
            names.append(OTHERS)
        listed = np.asarray(texts, dtype=object).tolist()
        codes = [place.get(text, len(names) - 1) for text in listed]
        return cls(tuple(names), np.array(codes, dtype=np.int64))

    def colours(self, rows: Rows | slice = slice(None)) -> Float64Array:
        """Return (m, 4) RGBA of some of the cells, by their positions."""
        return np.array([*map(self.colour, range(len(self.names))), _WITHOUT_COLOUR])[
            self.codes[rows]
        ]

    def colour(self, place: int) -> Rgba:
        """Return the RGBA of the name at a position."""
        is_others = place >= PALETTE_SIZE
        return _OTHERS_COLOUR if is_others else rgba_of(class_colour(place))

    def counts(self) -> list[int]:
        """Return how many of the cells have each of the names."""
        return [int((self.codes == place).sum()) for place in range(len(self.names))]
