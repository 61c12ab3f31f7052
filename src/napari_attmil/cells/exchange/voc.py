"""Pascal VOC: one XML file per image."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from napari_attmil.cells.boxes import SOURCE_NAMES
from napari_attmil.cells.exchange.annotation_set import (
    CELL_LABEL,
    AnnotatedBox,
    AnnotatedImage,
    Corners,
    bounds,
    id_of,
    sides,
    source_of,
)
from napari_attmil.core import ContentError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from napari_attmil.cells.exchange.account import Account

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(root: Element, account: Account) -> tuple[AnnotatedImage, ...]:
    """Return the image of a VOC file; objects that cannot be read are left out.

    Raises
    ------
    ValueError
        If it does not name its image, or its size is no number.
    """
    name = _voc_name(root)
    boxes: list[AnnotatedBox] = []
    for number, each in enumerate(root.iterfind("object"), start=1):
        with account.item(f"object {number}", name):
            boxes.append(_voc_box(each))
    size = [int(float(root.findtext(f"size/{side}") or 0)) for side in ("width", "height")]
    image = AnnotatedImage(
        name,
        tuple(boxes),
        int(root.findtext("page", "0")),
        (size[0], size[1]) if min(size) > 0 else None,
        root.get("verified") == "yes",
    )
    return (image,)


def write_voc(image: AnnotatedImage) -> str:
    """Return an image as the text of a VOC file; ids and sources get elements of their own."""
    width, height = image.size_px or (0, 0)
    lines = [
        f'<annotation verified="{"yes" if image.reviewed else "no"}">',
        f"  <filename>{escape(image.name)}</filename>",
        f"  <page>{image.page}</page>",
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
        *(_voc_object(box) for box in image.boxes),
        "</annotation>",
    ]
    return "\n".join(lines) + "\n"


def _voc_object(box: AnnotatedBox) -> str:
    whole = "".join(f"<{k}>{v}</{k}>" for k, v in zip(_SIDES, _in_whole_px(box.xyxy), strict=True))
    return (
        f"  <object><name>{CELL_LABEL}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox>{whole}</bndbox>"
        f"<exact>{' '.join(map(repr, box.xyxy))}</exact><cell_id>{box.cell_id}</cell_id>"
        f"<source>{SOURCE_NAMES[box.source]}</source><score>{box.score!r}</score></object>"
    )


def _voc_box(each: Element) -> AnnotatedBox:
    x0, y0, x1, y1 = bounds(_text(each, f"bndbox/{side}") for side in _SIDES)
    return AnnotatedBox(
        _exact(each, sides(x0, y0, x1 - x0, y1 - y0)),
        (each.findtext("name") or "").strip(),
        id_of(each.findtext("cell_id")),
        source_of(each.findtext("source", "")),
        float(each.findtext("score") or 1),
    )


def _in_whole_px(corners: Corners) -> tuple[int, int, int, int]:
    """Return the corners in whole pixels, as other programs need them; no side becomes 0."""
    (x0, x1), (y0, y1) = (_whole_side(*corners[axis::2]) for axis in (0, 1))
    return (x0, y0, x1, y1)


def _whole_side(start: float, end: float) -> tuple[int, int]:
    low, high = round(start), round(end)
    return (low, high) if high > low else (int(start), int(start) + 1)


def _exact(each: Element, whole: Corners) -> Corners:
    """Return the corners before they were rounded, unless another program has moved the box."""
    words = (each.findtext("exact") or "").split()
    if len(words) != len(whole):
        return whole
    exact = bounds(words)
    return exact if _in_whole_px(exact) == whole else whole


def _voc_name(root: Element) -> str:
    # LabelImg leaves the suffix out of the file name; the path, if there is one, has it.
    name = _text(root, "filename")
    path = root.findtext("path", "").strip()
    return path if path.replace("\\", "/").rpartition("/")[2].startswith(name) else name


def _text(element: Element, path: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise ContentError(f"<{path}> is missing or empty")
    return text
