"""A synthetic scan of a whole slide: a tiled pyramid of repeated simulated fields, with its cells.

    python benchmarks/whole_slide.py slide.tif [--width 60000] [--height 40000] [--cells 200000]

The file is a BigTIFF as slide scanners write it: JPEG tiles of 256 px, RGB, three reduced levels of
half the size each. Four fields of 2048 px are drawn and laid side by side at random, so that only
their tiles have to be packed. The boxes of all cells are written beside it (`slide.npy`).
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np
import tifffile

from napari_attmil.simulation import SimulationSettings, draw_appearance, simulate_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIELD_PX: Final = 2048
TILE_PX: Final = 256
FIELDS: Final = 4
LEVELS: Final = 4
CELL_PX: Final = 50.0
PIXEL_UM: Final = 0.15
TINT: Final = np.array([1.0, 0.95, 0.9])


def fields(cells: int, seed: int) -> list[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Return (2048, 2048, 3) fields and the (n, 4) boxes of their cells."""
    settings = SimulationSettings(
        image_size_px=FIELD_PX, cells_per_image=cells, cell_diameter_px=CELL_PX, look="stained"
    )
    drawn = []
    for number in range(FIELDS):
        rng = np.random.default_rng([seed, number])
        look = draw_appearance(settings.look, 0.0, rng)
        one = simulate_image(settings, rng, ["discocyte"] * cells, look)
        coloured = np.rint(one.image[..., np.newaxis] * TINT).astype(np.uint8)
        drawn.append((coloured, np.asarray(one.xyxy, np.float32)))
    return drawn


def halved(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image at half its size, each pixel the mean of four."""
    height, width = (side // 2 * 2 for side in image.shape[:2])
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    mean: NDArray[np.uint8] = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    return mean


def packed_tiles(
    level: list[NDArray[np.uint8]], layout: NDArray[Any], shape: tuple[int, int]
) -> Iterator[bytes]:
    """Yield the packed tiles of a level row by row; those of each field are packed once."""
    per_field = level[0].shape[0] // TILE_PX
    packed: dict[tuple[int, int, int], bytes] = {}
    for row, column in itertools.product(*(range(-(-side // TILE_PX)) for side in shape)):
        field = int(layout[row // per_field, column // per_field])
        y, x = row % per_field, column % per_field
        if (field, y, x) not in packed:
            tile = level[field][y * TILE_PX :, x * TILE_PX :][:TILE_PX, :TILE_PX]
            pixels = np.ascontiguousarray(tile)
            encoded = imagecodecs.jpeg_encode(pixels, 85, colorspace="RGB", outcolorspace="YCBCR")
            packed[field, y, x] = bytes(encoded)
        yield packed[field, y, x]


def write_slide(
    path: Path, width: int, height: int, cells: int, seed: int = 0
) -> NDArray[np.float32]:
    """Write a slide; return the (n, 4) boxes of its cells."""
    across, down = -(-width // FIELD_PX), -(-height // FIELD_PX)
    per_field = round(cells * FIELD_PX**2 / (width * height))
    drawn = fields(per_field, seed)
    layout = np.random.default_rng(seed).integers(0, FIELDS, (down, across))
    levels = [[image for image, _ in drawn]]
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for number in range(LEVELS):
            shape = (height >> number, width >> number)
            options: dict[str, Any] = {
                "tile": (TILE_PX, TILE_PX),
                "photometric": "ycbcr",
                "compression": "jpeg",
                "subsampling": (2, 2),
                "metadata": None,
                "subifds": LEVELS - 1 if number == 0 else None,
                "subfiletype": int(number > 0),
                "resolution": (1e4 / PIXEL_UM / 2**number,) * 2,
                "resolutionunit": "CENTIMETER",
            }
            tiles = packed_tiles(levels[-1], layout, shape)
            writer.write(tiles, shape=(*shape, 3), dtype=np.uint8, **options)
            levels.append([halved(image) for image in levels[-1]])
    return _boxes(drawn, layout, width, height)


def _boxes(
    drawn: list[tuple[NDArray[np.uint8], NDArray[np.float32]]],
    layout: NDArray[Any],
    width: int,
    height: int,
) -> NDArray[np.float32]:
    placed = []
    for (row, column), field in np.ndenumerate(layout):
        offset = np.array([column, row, column, row], np.float32) * FIELD_PX
        placed.append(drawn[int(field)][1] + offset)
    boxes = np.concatenate(placed)
    inside = (boxes[:, 2] <= width) & (boxes[:, 3] <= height)
    return boxes[inside]


def main() -> None:
    """Write a slide and its boxes."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("path", type=Path)
    arguments.add_argument("--width", type=int, default=60_000)
    arguments.add_argument("--height", type=int, default=40_000)
    arguments.add_argument("--cells", type=int, default=200_000)
    given = arguments.parse_args()
    boxes = write_slide(given.path, given.width, given.height, given.cells)
    np.save(given.path.with_suffix(".npy"), boxes)
    size_mb = given.path.stat().st_size / 1e6
    print(f"{given.path}: {given.width} x {given.height} px, {len(boxes)} cells, {size_mb:.0f} MB")


if __name__ == "__main__":
    main()
