"""Small files as slide scanners write them: tiles, and copies at halves of the size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tifffile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write_pyramid(path: Path, image: NDArray[Any], levels: int = 3, **options: Any) -> Path:
    """Write (Y, X) or (Y, X, 3) and copies of every second pixel, in tiles of 32 px."""
    photometric = "rgb" if image.ndim == 3 else "minisblack"
    settings = {"tile": (32, 32), "photometric": photometric, "metadata": None, **options}
    with tifffile.TiffWriter(path) as writer:
        writer.write(image, subifds=levels - 1, **settings)
        for number in range(1, levels):
            step = 2**number
            writer.write(image[::step, ::step], subfiletype=1, **settings)
    return path
