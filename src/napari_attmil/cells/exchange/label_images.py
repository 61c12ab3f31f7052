"""Masks and label images: boxes of the objects in those of others, and the cells' own to write."""

from __future__ import annotations

import io
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from skimage.draw import ellipse, polygon
from skimage.measure import label, regionprops_table

from napari_attmil.cells.boxes import MIN_SIDE_PX
from napari_attmil.cells.exchange.annotation_set import AnnotatedBox, AnnotatedImage, bounds, sides
from napari_attmil.core import ContentError, UserError
from napari_attmil.images import open_frames, read_frame, without_mask_ending

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from numpy.typing import NDArray

    from napari_attmil.cells.exchange.account import Account
    from napari_attmil.cells.exchange.sources import SourceFile
    from napari_attmil.core import Float32Array

_OUTLINES = re.compile(r"[-_. ](cp_)?outlines$", re.IGNORECASE)


def boxes_of_labels(labels: NDArray[Any]) -> Float32Array:
    """Return the tight boxes of a label image's objects.

    Parameters
    ----------
    labels
        (Y, X), 0 for the background. With two values in all it is a mask: the lower is the
        background, and the connected parts are the objects (touching corners connect).

    Returns
    -------
    (n, 4) float32
        In the order of the labels.

    Raises
    ------
    UserError
        If it is a colour image or a photograph.
    """
    if labels.ndim != 2:
        raise UserError(
            f"A label image has one number a pixel, but the shape {labels.shape} is of a colour "
            "image; save the labels as a grey TIFF or PNG."
        )
    values = np.unique(labels)
    if len(values) <= 2:
        objects = label(labels > (values[0] if len(values) == 2 else 0), connectivity=2)
    else:
        objects = labels.astype(np.int64)
        _, parts = label(objects, connectivity=2, return_num=True)
        # The grey levels of a photograph are scattered; a cell has one label and few parts.
        if parts > 4 * len(values) + 50 or np.any(objects != labels) or values[0] < 0:
            raise UserError(
                "It looks like a photograph, not like a label image, in which all pixels of a cell "
                "have the cell's number; export the labels, not the picture."
            )
    table = regionprops_table(objects, properties=("bbox",))
    corners = [table[f"bbox-{place}"] for place in (1, 0, 3, 2)]
    return np.stack(corners, axis=1).astype(np.float32).reshape(-1, 4)


def is_outlines_name(path: PurePath) -> bool:
    """Tell whether a text file is named as Cellpose's outlines are."""
    return bool(_OUTLINES.search(path.stem))


def is_cellpose_name(path: PurePath) -> bool:
    """Tell whether a file is named as those are that Cellpose writes beside its masks."""
    return is_outlines_name(path) or path.name.lower().endswith("_seg.npy")


def without_ending(path: PurePath) -> str:
    """Return the path of the image that a mask or outlines are of, without its suffix."""
    stem = _OUTLINES.sub("", without_mask_ending(path.stem))
    return path.with_name(stem or path.stem).as_posix()


def read_label_image(file: SourceFile, account: Account) -> list[AnnotatedImage]:
    """Return the boxes of a label image, for the image of its name without "_mask" or the like.

    Raises
    ------
    UserError
        If it cannot be read, or is no label image.
    """
    name = without_ending(file.place)
    if file.suffix == ".npy":
        return [_labelled(_array(file), 0, name, account)]
    with ExitStack() as unpacked:
        path = file.path
        if path is None:
            folder = Path(unpacked.enter_context(tempfile.TemporaryDirectory()))
            path = folder / f"mask{file.suffix}"
            path.write_bytes(file.read())
        pages = [(frame.page, read_frame(frame)) for frame in open_frames(path)]
    return [_labelled(labels, page, name, account) for page, labels in pages]


def _array(file: SourceFile) -> NDArray[Any]:
    """Return the labels in a file of numpy, which is not unpickled: that could run a program."""
    try:
        labels: NDArray[Any] = np.load(io.BytesIO(file.read()), allow_pickle=False)
    except ValueError:
        raise ContentError(
            "it holds Python objects, which are not read, as they could run a program; save the "
            "masks in Cellpose as PNG or TIFF"
        ) from None
    return labels


def _labelled(labels: NDArray[Any], page: int, name: str, account: Account) -> AnnotatedImage:
    rows = boxes_of_labels(labels).tolist()
    size = (labels.shape[1], labels.shape[0])
    boxes = [AnnotatedBox(bounds(row), "") for row in rows if _is_cell(row, size, name, account)]
    return AnnotatedImage(name, tuple(boxes), page, size)


def _is_cell(xyxy: list[float], size: tuple[int, int], name: str, account: Account) -> bool:
    """Tell whether an object can be a cell; if not, `account` says so."""
    x0, y0, x1, y1 = xyxy
    if min(x1 - x0, y1 - y0) < MIN_SIDE_PX:
        account.leave_out(f"the object at {x0:g}, {y0:g}", _TOO_SMALL, name)
    elif (x0, y0, x1, y1) == (0, 0, *size):
        account.leave_out("an object", _COVERS_ALL, name)
    else:
        return True
    return False


_TOO_SMALL = f"it has a side below {MIN_SIDE_PX:g} px"
_COVERS_ALL = "it covers the whole image; the background of a label image has the lowest value"


def read_outlines(text: str, file: SourceFile, account: Account) -> AnnotatedImage:
    """Return the boxes around Cellpose's outlines: a line each, x and y in turn, in pixels."""
    name, boxes = without_ending(file.place), list[AnnotatedBox]()
    for number, line in enumerate(filter(None, text.splitlines()), start=1):
        with account.item(f"outline {number}", name):
            x0, y0, x1, y1 = bounds(line.split(","))
            # Outlines run through the middles of a mask's outermost pixels.
            boxes.append(AnnotatedBox(sides(x0, y0, x1 - x0 + 1, y1 - y0 + 1), ""))
    return AnnotatedImage(name, tuple(boxes))


def labels_of(image: AnnotatedImage) -> NDArray[Any]:
    """Return the label image of an image's boxes: (Y, X) uint16, or uint32 for large numbers.

    A cell fills its outline, or where that is not known an ellipse in its box, with its cell_id,
    or its place in the list if it has none. Where two overlap, the pixels are the first one's.

    Raises
    ------
    UserError
        If the size of the image is not known.
    """
    if image.size_px is None:
        raise UserError(
            f"A label image needs it, but the size of {image.name} is not known; export as COCO."
        )
    width, height = image.size_px
    numbers = [box.cell_id or place for place, box in enumerate(image.boxes, start=1)]
    kind = np.uint16 if max(numbers, default=0) < 2**16 else np.uint32
    labels = np.zeros((height, width), dtype=kind)
    for box, number in zip(image.boxes, numbers, strict=True):
        rows, columns = _pixels(box, labels.shape)
        free = labels[rows, columns] == 0
        labels[rows[free], columns[free]] = number
    return labels


def write_labels(pages: Sequence[AnnotatedImage]) -> bytes:
    """Return a TIFF of the label images of a file's pages; pages without boxes are empty."""
    of_page = {image.page_in_file: labels_of(image) for image in pages}
    kind = np.result_type(*(labels.dtype for labels in of_page.values()))
    empty = np.zeros_like(next(iter(of_page.values())))
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as file:
        for page in range(max(of_page) + 1):
            labels = of_page.get(page, empty).astype(kind)
            file.write(labels, compression="zlib", photometric="minisblack", contiguous=False)
    return content.getvalue()


def _pixels(box: AnnotatedBox, shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the rows and columns of a cell's pixels."""
    if box.outline:
        x, y = np.asarray(box.outline).T
        # Pixel i covers i to i + 1, so that its centre is half a pixel further on.
        rows, columns = polygon(y - 0.5, x - 0.5, shape)
    else:
        x0, y0, x1, y1 = box.xyxy
        centre, radii = ((y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2), ((y1 - y0) / 2, (x1 - x0) / 2)
        rows, columns = ellipse(*centre, *radii, shape)
    return rows, columns
