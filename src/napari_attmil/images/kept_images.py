"""Images that are decoded once though they are read several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_attmil.images.reading import ImageSequence

MOST_BYTES: Final = 256 * 2**20
"""So much of decoded images is kept: some 800 grey ones of 562 px, or one of 16,000 px."""


class KeptImages(Sequence["NDArray[Any]"]):
    """The images of a sample; the first ones that are read stay in memory, as far as it allows.

    Parameters
    ----------
    images
        Decodes an image whenever one is asked for.
    most_bytes
        The memory that kept images take up; others are decoded anew each time.
    """

    def __init__(self, images: ImageSequence, most_bytes: int = MOST_BYTES) -> None:
        self._images, self._room = images, most_bytes
        self._kept: dict[int, NDArray[Any]] = {}

    @property
    def sizes(self) -> tuple[tuple[int, ...], ...]:
        """Each image's own height and width in pixels."""
        return self._images.sizes

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __getitem__(self, index: Any) -> Any:
        """Return an image, or a list of some."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        kept = self._kept.get(index)
        if kept is not None:
            return kept
        image = self._images[index]
        # One that is larger than memory is read in parts, and has no array to keep.
        if isinstance(image, np.ndarray) and image.nbytes <= self._room:
            self._room -= image.nbytes
            self._kept[index] = image
        return image
