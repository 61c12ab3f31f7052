"""XML: Pascal VOC, one file an image, both ways; and CVAT's own "for images", read only."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from napari_attmil.cells.boxes import SOURCE_NAMES
from napari_attmil.cells.exchange.listing import (
    CELL_LABEL,
    ListedBox,
    ListedImage,
    Listing,
    bounds,
    source_of,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_CVAT_SIDES = ("xtl", "ytl", "xbr", "ybr")


def read_xml(text: str) -> Listing:
    """Return the boxes of one VOC file, or of one CVAT file of many images.

    Raises
    ------
    ValueError, ElementTree.ParseError
        If it is neither, something is missing, or it defines entities (which none of these
        programs writes, and with which a small file can fill the memory).
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it defines entities, which no annotation file needs")
    root = ElementTree.fromstring(text)
    if root.tag == "annotation":
        return Listing("Pascal VOC", (_voc_image(root),))
    if root.tag == "annotations":
        return _cvat(root)
    raise ValueError(f"its root is <{root.tag[:40]}>, but <annotation> or <annotations> is needed")


def write_voc(image: ListedImage) -> str:
    """Return an image as the text of a VOC file; ids and sources have elements of their own."""
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


def _voc_object(box: ListedBox) -> str:
    sides = "".join(f"<{k}>{v!r}</{k}>" for k, v in zip(_SIDES, box.xyxy, strict=True))
    return (
        f"  <object><name>{CELL_LABEL}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox>{sides}</bndbox><cell_id>{box.cell_id}</cell_id>"
        f"<source>{SOURCE_NAMES[box.source]}</source><score>{box.score!r}</score></object>"
    )


def _voc_image(root: Element) -> ListedImage:
    boxes = []
    for each in root.iterfind("object"):
        sides = [float(_text(each, f"bndbox/{side}")) for side in _SIDES]
        boxes.append(
            ListedBox(
                bounds(sides[0::2], sides[1::2]),
                each.findtext("name", "").strip(),
                int(each.findtext("cell_id", "0")),
                source_of(each.findtext("source", "")),
                float(each.findtext("score", "1")),
            )
        )
    size = int(root.findtext("size/width", "0")), int(root.findtext("size/height", "0"))
    return ListedImage(
        # LabelImg leaves the suffix out of the file name; the path, if there is one, has it.
        _voc_name(root),
        tuple(boxes),
        int(root.findtext("page", "0")),
        size if min(size) > 0 else None,
        root.get("verified") == "yes",
    )


def _voc_name(root: Element) -> str:
    name = _text(root, "filename")
    path = root.findtext("path", "").strip()
    return path if path.replace("\\", "/").rpartition("/")[2].startswith(name) else name


def _cvat(root: Element) -> Listing:
    images, others = [], 0
    for image in root.iterfind("image"):
        found = [_cvat_box(box) for box in image.iterfind("box")]
        others += len(image) - len(found)
        size = (int(image.attrib["width"]), int(image.attrib["height"]))
        images.append(ListedImage(image.attrib["name"], tuple(found), size_px=size))
    if not images:
        raise ValueError("it has no images; export the task as 'CVAT for images'")
    notes = [f"{others} shapes that are no boxes were left out."] if others else []
    return Listing("CVAT", tuple(images), tuple(notes))


def _cvat_box(box: Element) -> ListedBox:
    sides = [float(box.attrib[side]) for side in _CVAT_SIDES]
    return ListedBox(bounds(sides[0::2], sides[1::2]), box.get("label", ""))


def _text(element: Element, path: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise ValueError(f"<{path}> is missing or empty")
    return text
