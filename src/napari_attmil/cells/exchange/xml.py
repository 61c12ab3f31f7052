"""XML: reads and writes Pascal VOC, one file per image; reads "CVAT for images"."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from napari_attmil.cells.boxes import SOURCE_NAMES
from napari_attmil.cells.exchange.annotation_set import (
    CELL_LABEL,
    AnnotatedBox,
    AnnotatedImage,
    AnnotationSet,
    bounds,
    source_of,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_CVAT_SIDES = ("xtl", "ytl", "xbr", "ybr")


def read_xml(text: str) -> AnnotationSet:
    """Return the boxes of one VOC file, or of one CVAT file of many images.

    Raises
    ------
    ValueError, ElementTree.ParseError
        If it is neither, something is missing, or it defines entities (none of these programs
        writes any, and a small file could fill the memory with them).
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it defines entities, which no annotation file needs")
    root = ElementTree.fromstring(text)
    if root.tag == "annotation":
        return AnnotationSet("Pascal VOC", (_voc_image(root),))
    if root.tag == "annotations":
        return _cvat(root)
    raise ValueError(f"its root is <{root.tag[:40]}>, but <annotation> or <annotations> is needed")


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
    sides = "".join(f"<{k}>{v!r}</{k}>" for k, v in zip(_SIDES, box.xyxy, strict=True))
    return (
        f"  <object><name>{CELL_LABEL}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>0</difficult><bndbox>{sides}</bndbox><cell_id>{box.cell_id}</cell_id>"
        f"<source>{SOURCE_NAMES[box.source]}</source><score>{box.score!r}</score></object>"
    )


def _voc_image(root: Element) -> AnnotatedImage:
    boxes = tuple(
        AnnotatedBox(
            bounds(_text(each, f"bndbox/{side}") for side in _SIDES),
            each.findtext("name", "").strip(),
            int(each.findtext("cell_id", "0")),
            source_of(each.findtext("source", "")),
            float(each.findtext("score", "1")),
        )
        for each in root.iterfind("object")
    )
    size = int(root.findtext("size/width", "0")), int(root.findtext("size/height", "0"))
    return AnnotatedImage(
        _voc_name(root),
        boxes,
        int(root.findtext("page", "0")),
        size if min(size) > 0 else None,
        root.get("verified") == "yes",
    )


def _voc_name(root: Element) -> str:
    # LabelImg leaves the suffix out of the file name; the path, if there is one, has it.
    name = _text(root, "filename")
    path = root.findtext("path", "").strip()
    return path if path.replace("\\", "/").rpartition("/")[2].startswith(name) else name


def _cvat(root: Element) -> AnnotationSet:
    images, others = [], 0
    for image in root.iterfind("image"):
        boxes = tuple(
            AnnotatedBox(bounds(box.attrib[side] for side in _CVAT_SIDES), box.get("label", ""))
            for box in image.iterfind("box")
        )
        others += len(image) - len(boxes)
        size = (int(image.attrib["width"]), int(image.attrib["height"]))
        images.append(AnnotatedImage(image.attrib["name"], boxes, size_px=size))
    if not images:
        raise ValueError("it has no images; export the task as 'CVAT for images'")
    notes = [f"{others} shapes that are no boxes were left out."] if others else []
    return AnnotationSet("CVAT", tuple(images), tuple(notes))


def _text(element: Element, path: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise ValueError(f"<{path}> is missing or empty")
    return text
