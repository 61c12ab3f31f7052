"""Write `docs/image-formats.md`: which formats are read with which axes, tried on files made here.

    python scripts/format_matrix.py [--check]

Each file holds planes of known greys. It is opened as a sample, as panels and commands do, and read
by the usual choice and by a chosen plane; a cell of the table says "yes" only if the fields are as
many as there are places and every pixel is as written. `--check` writes nothing and fails if the
page would change. Files of slide scanners' and microscope makers' own formats cannot be written
here; what reads them is said below the table.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.czi_files import CziPlane, write_czi  # noqa: E402
from support.slides import write_pyramid  # noqa: E402
from support.zarr_folders import write_plate, write_zarr  # noqa: E402

from napari_attmil import PlaneChoice, open_sample, read_images  # noqa: E402

PAGE: Final = ROOT / "docs" / "image-formats.md"
SHAPE: Final = (24, 32)
SIZES: Final = {"Z": 3, "T": 2, "C": 2}
AXES: Final = ("", "Z", "T", "C", "TZ", "TZC", "CZT", "P", "PZ")
"""What a file has beside Y and X; P stands for places: scenes, positions, pages without axes."""
CHOSEN: Final = {"Z": 2, "T": 1, "C": 1}
"""The plane that is asked for, from 0, where a file has that axis."""
Writer = Callable[[Path, NDArray[Any], str], None]


def planes(axes: str, dtype: str = "uint8") -> NDArray[Any]:
    """Return planes along some axes and Y and X, each with a pattern and a grey of its own."""
    sizes = [2 if axis == "P" else SIZES[axis] for axis in axes]
    stack = np.zeros((*sizes, *SHAPE), dtype)
    rng = np.random.default_rng(0)
    for number, index in enumerate(np.ndindex(*sizes)):
        stack[index] = rng.integers(0, 40, SHAPE) + 8 * number
    return stack


def write_ome(path: Path, stack: NDArray[Any], axes: str) -> None:
    """Write OME-TIFF; places are images of their own."""
    with tifffile.TiffWriter(path, ome=True) as writer:
        for place in stack if "P" in axes else [stack]:
            metadata = {"axes": f"{axes.replace('P', '')}YX"}
            writer.write(place, photometric="minisblack", metadata=metadata)


def write_imagej(path: Path, stack: NDArray[Any], axes: str) -> None:
    """Write an ImageJ hyperstack in the order of the axes; a plain stack where there are places."""
    counts = {"C": "channels", "Z": "slices", "T": "frames"}
    lines = ["ImageJ=1.54f", f"images={int(np.prod(stack.shape[:-2]))}"]
    lines += [f"{counts[axis]}={SIZES[axis]}" for axis in axes if axis in counts]
    rest = "".join(axis for axis in "CZT" if axis not in axes)
    order = f"order={(axes[::-1] + rest).lower()}"
    lines += ["hyperstack=true", "mode=composite", order] if axes else []
    text = "\n".join([*lines, ""])
    pages = stack.reshape(-1, *SHAPE)
    tifffile.imwrite(path, pages, description=text, metadata=None, photometric="minisblack")


def write_pages(path: Path, stack: NDArray[Any], axes: str) -> None:
    """Write a TIFF of pages without a word about axes."""
    tifffile.imwrite(path, stack, metadata=None, photometric="minisblack")


def write_zeiss(path: Path, stack: NDArray[Any], axes: str) -> None:
    """Write a CZI file; places are scenes."""
    letters = axes.replace("P", "S")
    write_czi(
        path,
        [
            CziPlane(stack[index], dict(zip(letters, index, strict=True)))
            for index in np.ndindex(*stack.shape[:-2])
        ],
    )


def write_zarr_folder(path: Path, stack: NDArray[Any], axes: str) -> None:
    """Write an OME-Zarr image; places are wells of a plate."""
    if axes == "P":
        write_plate(path, list(stack))
    else:
        write_zarr(path, stack, axes)


def write_tiles(path: Path, stack: NDArray[Any], axes: str) -> None:
    """Write a tiled pyramid, as slide scanners do."""
    write_pyramid(path, stack, levels=2)


def write_gif(path: Path, stack: NDArray[Any], axes: str) -> None:
    """Write an animation."""
    first, *rest = [Image.fromarray(page) for page in stack.reshape(-1, *SHAPE)]
    first.save(path, save_all=True, append_images=rest)


def write_png(path: Path, stack: NDArray[Any], axes: str) -> None:
    """Write a PNG file."""
    path.write_bytes(imagecodecs.png_encode(stack))


def write_jpeg2000(path: Path, stack: NDArray[Any], axes: str) -> None:
    """Write a JPEG 2000 file without loss."""
    path.write_bytes(imagecodecs.jpeg2k_encode(stack, level=0, codecformat="jp2"))


def write_picture(path: Path, stack: NDArray[Any], axes: str) -> None:
    """Write a WebP or BMP file without loss."""
    Image.fromarray(stack).save(path, lossless=True)


FORMATS: Final[Mapping[str, tuple[str, Writer, tuple[str, ...]]]] = {
    "OME-TIFF": ("a.ome.tif", write_ome, AXES),
    "ImageJ TIFF": ("a.tif", write_imagej, ("", "Z", "T", "C", "TZ", "TZC", "CZT")),
    "TIFF of pages": ("a.tif", write_pages, ("", "P")),
    "tiled pyramid": ("a.svs", write_tiles, ("",)),
    "CZI": ("a.czi", write_zeiss, AXES),
    "OME-Zarr": ("a.ome.zarr", write_zarr_folder, ("", "Z", "T", "C", "TZ", "TZC", "CZT", "P")),
    "GIF": ("a.gif", write_gif, ("", "T")),
    "PNG": ("a.png", write_png, ("",)),
    "JPEG 2000": ("a.jp2", write_jpeg2000, ("",)),
    "WebP": ("a.webp", write_picture, ("",)),
    "BMP": ("a.bmp", write_picture, ("",)),
}
"""By name: a file's name, how it is written, and the axes that such a file can have."""


def is_right(path: Path, stack: NDArray[Any], axes: str) -> bool:
    """Return whether a file is read as it was written: its places, and the plane that is chosen."""
    index = tuple(slice(None) if axis == "P" else CHOSEN[axis] for axis in axes)
    wanted = stack[index].reshape(-1, *SHAPE)
    numbers = {axis: str(CHOSEN[axis] + 1) for axis in axes if axis != "P"}
    choice = PlaneChoice(numbers.get("Z", "1"), numbers.get("T", "1"), numbers.get("C", "1"))
    usual = open_sample(path)
    images = read_images(open_sample(path, planes=choice))
    # GIF and WebP are read in colour; these are grey.
    found = [image[..., 0] if image.ndim == 3 else image for image in images]
    return len(usual) == len(found) == len(wanted) and all(map(np.array_equal, found, wanted))


def table() -> list[str]:
    """Return the lines of the table of formats and axes."""
    heads = ["one image", *AXES[1:]]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(AXES) + 1) + "|"]
    for name, (file, write, possible) in FORMATS.items():
        cells = []
        for axes in AXES:
            if axes not in possible:
                cells.append("")
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / file
                stack = planes(axes)
                write(path, stack, axes)
                cells.append("yes" if is_right(path, stack, axes) else "**no**")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def page() -> str:
    """Return the page."""
    text = PAGE.read_text("utf-8") if PAGE.exists() else ""
    before, _, rest = text.partition("<!-- table -->\n")
    _, _, after = rest.partition("<!-- end of the table -->\n")
    lines = "\n".join(table())
    return f"{before}<!-- table -->\n{lines}\n<!-- end of the table -->\n{after}"


def main() -> None:
    """Write the page, or say whether it is up to date."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="fail if the page would change")
    options = arguments.parse_args()
    new = page()
    is_same = PAGE.exists() and PAGE.read_text("utf-8") == new
    if options.check:
        print(
            f"Python {platform.python_version()}: {'as in' if is_same else 'differs from'} {PAGE}"
        )
        sys.exit(0 if is_same else 1)
    PAGE.write_text(new, "utf-8")
    print(new)


if __name__ == "__main__":
    main()
