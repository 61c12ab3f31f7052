"""Boxes of other tools' files, with their known quirks: those that are right, told, and wrong.

    python benchmarks/imports.py [--seeds 3] [--out figures.json]

A corpus is written of twelve tools' kinds, each file with one quirk: turned boxes, confidences,
keypoints, crowds, ids as text, bad items, files of a Mac, renamed images, decimal commas, archives.
What its right boxes are is known, as is how much of it cannot be read. A box is right if its
corners are within a pixel; a box that is missing has to be told; a box that is there but belongs
nowhere, and one that is missing without a word, are silently wrong: there should be none.
"""

from __future__ import annotations

import io
import json
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import roifile
from PIL import Image
from reporting import parser, report

from napari_attmil.cells.exchange import plan_import, read_boxes
from napari_attmil.core import UserError, finished
from napari_attmil.images import Frame, Sample

Row = tuple[float, float, float, float]
Content = Mapping[str, str | bytes]
SIZE = (200, 160)
NAMES = ("P1/S1/Snapshot (1).png", "P1/S2/i.png", "P2/S1/décran 2.png")
PLACES = tuple((x, y) for x in (10, 60, 110, 150) for y in (10, 60, 110))
NEAR_PX = 1.0


@dataclass
class Case:
    """One export of a tool: its files, the boxes it is of, and how many items cannot be read."""

    tool: str
    quirk: str
    files: Content
    expected: dict[str, list[Row]]
    left_out: int = 0
    given: str = ""
    """What a person gives: a file, or the folder of all of them."""


@dataclass
class Tally:
    """What became of a tool's files."""

    files: int = 0
    boxes: int = 0
    right: int = 0
    told: int = 0
    to_tell: int = 0
    silently_wrong: int = 0
    faults: list[str] = field(default_factory=list)


def truth(rng: np.random.Generator) -> dict[str, list[Row]]:
    """Return four boxes of whole pixels for each image, none near another."""
    rows: dict[str, list[Row]] = {}
    for name in NAMES:
        chosen = rng.choice(len(PLACES), 4, replace=False)
        sides = rng.integers(12, 36, (4, 2))
        rows[name] = [
            (PLACES[p][0], PLACES[p][1], PLACES[p][0] + w, PLACES[p][1] + h)
            for p, (w, h) in zip(chosen.tolist(), sides.tolist(), strict=True)
        ]
    return rows


# --- tools ----------------------------------------------------------------------------------------


def coco(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield COCO files, as CVAT and others write them."""

    def content(names: dict[str, str] | None = None, **of_annotation: Any) -> dict[str, Any]:
        ids = {name: number for number, name in enumerate(rows, start=1)}
        images = [
            {"id": n, "file_name": (names or {}).get(name, name), "width": 200, "height": 160}
            for name, n in ids.items()
        ]
        boxes = [(ids[name], row) for name, of_image in rows.items() for row in of_image]
        annotations = [
            {"id": n, "image_id": i, "category_id": 1, "iscrowd": 0}
            | {"bbox": xywh(r)}
            | of_annotation
            for n, (i, r) in enumerate(boxes, start=1)
        ]
        return {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "name": "RBC"}],
        }

    def case(quirk: str, value: dict[str, Any], left: int = 0) -> Case:
        return Case("COCO", quirk, {"a.json": json.dumps(value)}, rows, left, "a.json")

    yield case("plain", content())
    yield case("crowd as text", content(iscrowd="0"))
    mixed = content()
    for entry in mixed["annotations"]:
        entry["image_id"] = str(entry["image_id"])
    yield case("ids as text", mixed)
    bad = content()
    first = bad["annotations"][0]
    bad["annotations"] += [
        first | {"id": 90, "bbox": [1, 2, -3, 4]},
        first | {"id": 91, "bbox": [1, 2, None, 4]},
        first | {"id": 92, "image_id": 77},
        first | {"id": 93, "iscrowd": 1},
        first | {"id": 94, "category_id": 9},
    ]
    yield case("bad annotations", bad, 5)
    polygons = content(bbox=None)
    for entry, row in zip(polygons["annotations"], every(rows), strict=True):
        entry["segmentation"] = [diamond(row)]
    yield case("polygons", polygons)
    yield case("upload prefixes", content({n: "cb0618f6-" + quote(base(n)) for n in rows}))
    yield case("other letters", content({n: decomposed(n) for n in rows}))
    turned = content(attributes={"rotation": 90.0})
    for entry, (x0, y0, x1, y1) in zip(turned["annotations"], every(rows), strict=True):
        x, y, w, h = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
        entry["bbox"] = [x - h / 2, y - w / 2, h, w]
    yield case("turned boxes", turned)


def yolo(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield label files of YOLO, as Ultralytics, CVAT and LabelImg write them."""

    def lines(name: str, end: str = "", number: str = "0") -> str:
        return "".join(f"{number} {centre(row)}{end}\n" for row in rows[name])

    def labels(end: str = "", number: str = "0", folder: str = "labels") -> Content:
        return {f"{folder}/{stem(name)}.txt": lines(name, end, number) for name in rows}

    def case(quirk: str, files: Content, left: int = 0) -> Case:
        return Case("YOLO", quirk, files, rows, left)

    yield case("plain", {**labels(), "classes.txt": "RBC\n"})
    yield case("confidence last", labels(" 0.91"))
    yield case("confidence and track", labels(" 0.91 12"))
    yield case("class of numpy", labels(number="0.000e+00"))
    yield case("names as a mapping", {**labels(), "data.yaml": "names: {0: RBC}\n"})
    yield case("dataset.yaml", {**labels(), "dataset.yaml": "names:\n  0: RBC\n"})
    poses = {
        f"labels/{stem(name)}.txt": "".join(f"0 {centre(r)} {keypoints(r)}\n" for r in rows[name])
        for name in rows
    }
    yield case("keypoints", poses)
    outlines = {
        f"labels/{stem(name)}.txt": "".join(
            "0 " + " ".join(str(v) for v in fractions(diamond(r))) + "\n" for r in rows[name]
        )
        for name in rows
    }
    yield case("polygons", outlines)
    short = {**labels(), "labels/P1/S2/i.txt": lines("P1/S2/i.png") + "0 0.5\n0 0.5 0.5 -0.1 0.1\n"}
    yield case("bad lines", short, 2)
    mac = {"labels/P1/S2/._i.txt": b"\0\5\x16\7\0\2", "._data.yaml": b"\0\5\x16\7"}
    yield case("files of a Mac", {**labels(), **mac}, 2)
    files = {**labels(folder="obj_train_data"), "obj.names": "RBC\n"}
    yield Case("YOLO", "archive", {"export.zip": zipped(files)}, rows, 0, "export.zip")


def roboflow(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield what Roboflow exports: renamed images, augmented copies."""

    def name(of: str, mark: str = "0f1e") -> str:
        file = base(of).rpartition(".")[0].replace(" ", "-").replace("(", "").replace(")", "")
        return f"{file}_png.rf.{mark}"

    own = {each: rows[each] for each in rows if base(each) != "i.png"}
    labels = {
        f"train/labels/{name(n)}.txt": "".join(f"0 {centre(r)}\n" for r in of)
        for n, of in own.items()
    }
    files: Content = {**labels, "data.yaml": "nc: 1\nnames: ['RBC']\n", "README.roboflow.txt": "x"}
    yield Case("Roboflow", "renamed", files, own)
    yield Case("Roboflow", "archive", {"r.zip": zipped(files)}, own, 0, "r.zip")
    copies = {k.replace("0f1e", mark): v for k, v in labels.items() for mark in ("0f1e", "aaaa")}
    left = 2 * sum(map(len, own.values()))
    yield Case("Roboflow", "augmented copies", copies, {}, left)
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    table = header + "".join(
        f"{name(n)}.jpg,200,160,RBC,{','.join(map(str, r))}\n" for n, of in own.items() for r in of
    )
    yield Case("Roboflow", "TensorFlow table", {"_annotations.csv": table}, own)


def voc(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield Pascal VOC files, as LabelImg writes them."""

    def text(name: str, extra: str = "", decimals: str = "") -> str:
        sides = ("xmin", "ymin", "xmax", "ymax")
        objects = "".join(
            "<object><name>RBC</name><bndbox>"
            + "".join(f"<{k}>{v}{decimals}</{k}>" for k, v in zip(sides, row, strict=True))
            + "</bndbox></object>"
            for row in rows[name]
        )
        size = "<size><width>200</width><height>160</height><depth>3</depth></size>"
        path = (
            f"<filename>{base(name)}</filename><path>C:\\data\\{name.replace('/', chr(92))}</path>"
        )
        return f"<annotation>{path}{size}{objects}{extra}</annotation>"

    def files(extra: str = "", decimals: str = "") -> Content:
        return {f"{stem(n)}.xml": text(n, extra if n == NAMES[0] else "", decimals) for n in rows}

    bad = (
        "<object><name>RBC</name><bndbox><xmin>1</xmin><ymin>2</ymin></bndbox></object>"
        "<object><name>RBC</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>5</xmax><ymax>9</ymax>"
        "</bndbox></object>"
    )
    yield Case("Pascal VOC", "plain", files(), rows)
    yield Case("Pascal VOC", "decimals", files(decimals=".0"), rows)
    yield Case("Pascal VOC", "bad objects", files(bad), rows, 2)
    yield Case("Pascal VOC", "broken file beside", {**files(), "z.xml": "<annotation>"}, rows, 1)
    yield Case("Pascal VOC", "file of a Mac", {**files(), "._a.xml": b"\0\5\x16\7"}, rows, 1)
    yield Case("Pascal VOC", "archive", {"v.zip": zipped(files())}, rows, 0, "v.zip")


def cvat(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield files of "CVAT for images"."""

    def text(shape: Callable[[Row], str], extra: str = "") -> str:
        images = "".join(
            f'<image id="{n}" name="{name}" width="200" height="160">'
            + "".join(map(shape, rows[name]))
            + (extra if n == 0 else "")
            + "</image>"
            for n, name in enumerate(rows)
        )
        return f"<annotations><version>1.1</version>{images}</annotations>"

    def box(row: Row, degrees: float = 0) -> str:
        x0, y0, x1, y1 = row
        if degrees:
            x, y, w, h = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
            x0, y0, x1, y1 = x - h / 2, y - w / 2, x + h / 2, y + w / 2
        return (
            f'<box label="RBC" xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}" rotation="{degrees}"/>'
        )

    def polygon(row: Row) -> str:
        points = np.reshape(diamond(row), (-1, 2)).tolist()
        return f'<polygon label="RBC" points="{";".join(f"{x},{y}" for x, y in points)}"/>'

    def ellipse(row: Row) -> str:
        x0, y0, x1, y1 = row
        return (
            f'<ellipse label="RBC" cx="{(x0 + x1) / 2}" cy="{(y0 + y1) / 2}" '
            f'rx="{(x1 - x0) / 2}" ry="{(y1 - y0) / 2}"/>'
        )

    extra = '<polyline label="RBC" points="1,2;3,4"/><box label="RBC" xtl="1" ytl="2"/>'
    for quirk, shape, more, left in (
        ("plain", box, "", 0),
        ("turned boxes", lambda row: box(row, 90), "", 0),
        ("polygons", polygon, "", 0),
        ("ellipses", ellipse, "", 0),
        ("other shapes and a bad box", box, extra, 2),
    ):
        files: Content = {"annotations.xml": text(shape, more)}
        yield Case("CVAT", quirk, files, rows, left)
    files = {"annotations.xml": text(box)}
    yield Case("CVAT", "archive", {"c.zip": zipped(files)}, rows, 0, "c.zip")


def label_studio(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield Label Studio's JSON in both forms."""
    size = {"original_width": 200, "original_height": 160}

    def rectangle(row: Row) -> dict[str, Any]:
        x0, y0, x1, y1 = row
        place = {"x": x0 / 2, "y": y0 / 1.6, "width": (x1 - x0) / 2, "height": (y1 - y0) / 1.6}
        return {**place, "rotation": 0, "rectanglelabels": ["RBC"]}

    def full(address: Callable[[str], str], extra: list[dict[str, Any]] | None = None) -> str:
        tasks = []
        for number, (name, of) in enumerate(rows.items(), start=1):
            result = [{"type": "rectanglelabels", "value": rectangle(r), **size} for r in of]
            result += (extra or []) if number == 1 else []
            annotations = [{"id": 1, "result": result, "was_cancelled": False}]
            tasks.append(
                {"id": number, "data": {"image": address(name)}, "annotations": annotations}
            )
        return json.dumps(tasks)

    def short(tag: str) -> str:
        tasks = []
        for number, (name, of) in enumerate(rows.items(), start=1):
            regions = [rectangle(row) | size for row in of]
            tasks.append({"id": number, "image": f"/data/local-files/?d={name}", tag: regions})
        return json.dumps(tasks)

    brush = {"type": "brushlabels", "value": {"format": "rle", "rle": [1]}}
    addresses: dict[str, Callable[[str], str]] = {
        "local files": lambda name: f"/data/local-files/?d={name}",
        "percent-encoded": lambda name: f"/data/local-files/?d={quote(name)}",
        "uploads": lambda name: f"/data/upload/1/cb0618f6-{quote(base(name))}",
    }
    for quirk, address in addresses.items():
        yield Case("Label Studio", quirk, {"a.json": full(address)}, rows)
    stored = full(lambda name: f"s3://bucket/{name}", [brush])
    yield Case("Label Studio", "brush", {"a.json": stored}, rows, 1)
    for tag in ("label", "bbox", "rbc"):
        yield Case("Label Studio", f"short form, tag {tag}", {"a.json": short(tag)}, rows)


def tables(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield tables, as spreadsheets write them."""

    def table(separator: str, decimal: str, extra: str = "") -> str:
        lines = [separator.join(("image", "x_min", "y_min", "x_max", "y_max"))]
        for name, of in rows.items():
            for row in of:
                values = [f"{value:.2f}".replace(".", decimal) for value in row]
                lines.append(separator.join((name, *values)))
        return "\n".join(lines) + "\n" + extra

    bad = f"{NAMES[0]},1,2\n{NAMES[0]},1,2,nine,12\n"
    yield Case("Spreadsheet", "plain", {"a.csv": table(",", ".")}, rows)
    yield Case("Spreadsheet", "decimal commas, semicolons", {"a.csv": table(";", ",")}, rows)
    yield Case("Spreadsheet", "decimal commas, tabs", {"a.csv": table("\t", ",")}, rows)
    yield Case("Spreadsheet", "sep=;", {"a.csv": "sep=;\n" + table(";", ".")}, rows)
    yield Case("Spreadsheet", "bad rows", {"a.csv": table(",", ".", bad)}, rows, 2)
    yield Case("Spreadsheet", "UTF-16", {"a.csv": table("\t", ".").encode("utf-16")}, rows)


def labelme(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield files of labelme, one an image."""

    def files(shape: Callable[[Row], dict[str, Any]], extra: bool = False) -> Content:
        point = {"label": "RBC", "shape_type": "point", "points": [[1, 2]]}
        made: dict[str, str | bytes] = {}
        for name, of in rows.items():
            shapes = [{"label": "RBC"} | shape(row) for row in of]
            shapes += [point] if extra and name == NAMES[0] else []
            content: dict[str, Any] = {"version": "5", "shapes": shapes}
            path = name.replace("/", "\\")
            content |= {"imageWidth": 200, "imageHeight": 160, "imagePath": path}
            made[f"{stem(name)}.json"] = json.dumps(content)
        return made

    def rectangle(row: Row) -> dict[str, Any]:
        return {"shape_type": "rectangle", "points": [[row[2], row[3]], [row[0], row[1]]]}

    def polygon(row: Row) -> dict[str, Any]:
        return {"shape_type": "polygon", "points": np.reshape(diamond(row), (-1, 2)).tolist()}

    yield Case("labelme", "rectangles, corners swapped", files(rectangle), rows)
    yield Case("labelme", "polygons", files(polygon), rows)
    yield Case("labelme", "a point", files(rectangle, True), rows, 1)


def createml(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield files of CreateML, with both names of its keys."""
    for names in (("image", "annotations"), ("imagefilename", "annotation")):
        content: list[dict[str, Any]] = []
        for name, of in rows.items():
            boxes = [
                {"x": (a + c) / 2, "y": (b + d) / 2, "width": c - a, "height": d - b}
                for a, b, c, d in of
            ]
            entries = [{"label": "RBC", "coordinates": box} for box in boxes]
            content.append({names[0]: name, names[1]: entries})
        yield Case("CreateML", names[0], {"a.json": json.dumps(content)}, rows)
        content[0][names[1]].append({"label": "RBC", "coordinates": {"x": 1}})
        yield Case("CreateML", f"{names[0]}, bad box", {"a.json": json.dumps(content)}, rows, 1)


def imagej(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield archives of ImageJ's ROIs."""

    def rectangle(row: Row) -> bytes:
        x0, y0, x1, y1 = map(int, row)
        kind = roifile.ROI_TYPE.RECT
        return bytes(
            roifile.ImagejRoi(roitype=kind, left=x0, top=y0, right=x1, bottom=y1).tobytes()
        )

    def polygon(row: Row) -> bytes:
        made = roifile.ImagejRoi.frompoints(np.reshape(diamond(row), (-1, 2)))
        made.roitype = roifile.ROI_TYPE.FREEHAND
        return bytes(made.tobytes())

    for quirk, shape in (("rectangles", rectangle), ("freehand", polygon)):
        files: Content = {
            f"{stem(name)}_RoiSet.zip": zipped({f"{n:04d}.roi": shape(r) for n, r in enumerate(of)})
            for name, of in rows.items()
        }
        yield Case("ImageJ", quirk, files, rows)
    line = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.LINE, x1=1, y1=2, x2=3, y2=4).tobytes()
    content: Content = {f"{n:04d}.roi": rectangle(r) for n, r in enumerate(rows[NAMES[1]])}
    archive = {"P1/S2/i/RoiSet.zip": zipped({**content, "9.roi": bytes(line), "10.roi": b"Iout"})}
    yield Case("ImageJ", "a line and a bad ROI", archive, {NAMES[1]: rows[NAMES[1]]}, 2)


def qupath(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield QuPath's GeoJSON, one file an image."""

    def feature(points: list[float], kind: str, label: str = "RBC") -> dict[str, Any]:
        ring = np.reshape(points, (-1, 2)).tolist()
        properties: dict[str, Any] = {"objectType": kind}
        if label:
            properties["classification"] = {"name": label}
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        return {"type": "Feature", "geometry": geometry, "properties": properties}

    region = feature([0, 0, 200, 0, 200, 160, 0, 160], "annotation", "")
    for quirk, kind, extra, left in (
        ("annotations", "annotation", [], 0),
        ("detections in a region", "detection", [region], 3),
    ):
        files: dict[str, str | bytes] = {}
        for name, of in rows.items():
            features = [feature(diamond(row), kind) for row in of] + extra
            content = {"type": "FeatureCollection", "features": features}
            files[f"{name}.geojson"] = json.dumps(content)
        yield Case("QuPath", quirk, files, rows, left)


def masks(rows: dict[str, list[Row]]) -> Iterator[Case]:
    """Yield masks, label images and outlines of Cellpose."""

    def labelled(of: list[Row], binary: bool) -> np.ndarray[Any, Any]:
        labels = np.zeros(SIZE[::-1], np.uint8 if binary else np.uint16)
        for number, row in enumerate(of, start=1):
            x0, y0, x1, y1 = map(int, row)
            labels[y0:y1, x0:x1] = 255 if binary else number
        return labels

    def png(array: np.ndarray[Any, Any]) -> bytes:
        out = io.BytesIO()
        Image.fromarray(array).save(out, "PNG")
        return out.getvalue()

    cellpose: Content = {
        f"{stem(n)}_cp_masks.png": png(labelled(of, False)) for n, of in rows.items()
    }
    binary: Content = {f"masks/{stem(n)}.png": png(labelled(of, True)) for n, of in rows.items()}
    yield Case("Masks", "Cellpose", cellpose, rows)
    yield Case("Masks", "in folders of the images' names", binary, rows)
    small = labelled(rows[NAMES[1]], False)
    small[0, 0] = 99
    yield Case("Masks", "a speck", {"P1/S2/i_masks.png": png(small)}, {NAMES[1]: rows[NAMES[1]]}, 1)
    photo = np.random.default_rng(0).integers(0, 255, SIZE[::-1], np.uint8)
    yield Case("Masks", "a photograph", {"P1/S2/i_masks.png": png(photo)}, {}, 1)
    outlines: Content = {
        f"{stem(n)}_cp_outlines.txt": "".join(
            f"{x0},{y0},{x1 - 1},{y0},{x1 - 1},{y1 - 1},{x0},{y1 - 1}\n" for x0, y0, x1, y1 in of
        )
        for n, of in rows.items()
    }
    yield Case("Masks", "Cellpose's outlines", outlines, rows)


TOOLS = (
    *(coco, yolo, roboflow, voc, cvat, label_studio),
    *(tables, labelme, createml, imagej, qupath, masks),
)


# --- shapes and names -----------------------------------------------------------------------------


def every(rows: dict[str, list[Row]]) -> list[Row]:
    """Return the boxes of all images."""
    return [row for of_image in rows.values() for row in of_image]


def xywh(row: Row) -> list[float]:
    """Return a box by its corner and its size."""
    return [row[0], row[1], row[2] - row[0], row[3] - row[1]]


def diamond(row: Row) -> list[float]:
    """Return the corners of a polygon that the row is the box of."""
    x0, y0, x1, y1 = row
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return [x, y0, x1, y, x + 1, y1, x, y1, x0, y]


def fractions(points: list[float]) -> list[float]:
    """Return points as fractions of the image."""
    return (np.reshape(points, (-1, 2)) / SIZE).ravel().tolist()


def centre(row: Row) -> str:
    """Return a box as YOLO writes it."""
    x0, y0, x1, y1 = row
    values = ((x0 + x1) / 2 / 200, (y0 + y1) / 2 / 160, (x1 - x0) / 200, (y1 - y0) / 160)
    return " ".join(f"{value:.6f}" for value in values)


def keypoints(row: Row) -> str:
    """Return two keypoints with their visibility."""
    x, y = (row[0] + row[2]) / 400, (row[1] + row[3]) / 320
    return f"{x - 0.005:.6f} {y:.6f} 2 {x + 0.005:.6f} {y:.6f} 1"


def base(name: str) -> str:
    """Return a name without its folders."""
    return name.rpartition("/")[2]


def stem(name: str) -> str:
    """Return a name without its suffix."""
    return name.rpartition(".")[0]


def decomposed(name: str) -> str:
    """Return a name with its letters taken apart, as a Mac writes them."""
    return unicodedata.normalize("NFD", name)


def zipped(files: Content) -> bytes:
    """Return an archive of some files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


# --- judging --------------------------------------------------------------------------------------


def study(folder: Path) -> Sample:
    """Write the images that all files are about."""
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", SIZE, 128).save(folder / name)
    return Sample("s", "s", None, tuple(Frame(folder / name) for name in NAMES))


def imported(case: Case, sample: Sample) -> tuple[dict[str, list[Row]], int]:
    """Return the boxes that come in, by image, and how many items are told to be left out."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in case.files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            found = read_boxes([Path(folder, case.given)])
        except UserError:
            return {}, 1  # refused with a sentence
        plan = finished(plan_import([sample], found))
    boxes: dict[str, list[Row]] = {}
    for placed in plan.images:
        boxes.setdefault(NAMES[placed.index], []).extend(box.xyxy for box in placed.image.boxes)
    return boxes, sum(each.count for each in plan.left_out)


def judge(case: Case, sample: Sample, tally: Tally) -> None:
    """Compare what comes in with the truth."""
    boxes, told = imported(case, sample)
    expected = sum(map(len, case.expected.values()))
    right = wrong = 0
    for name, rows in boxes.items():
        missing = list(case.expected.get(name, ()))
        for row in rows:
            near = [m for m in missing if np.abs(np.subtract(m, row)).max() <= NEAR_PX]
            right += bool(near)
            wrong += not near
            if near:
                missing.remove(near[0])
    # What is missing has to be among what is told, beside the items that cannot be read.
    unsaid = max(0, expected - right + case.left_out - told)
    tally.files += 1
    tally.boxes += expected
    tally.right += right
    tally.told += told
    tally.to_tell += case.left_out
    tally.silently_wrong += wrong + unsaid
    if wrong + unsaid or right < expected or told != case.left_out:
        found = f"{right} of {expected} right, {wrong} wrong, {told} told of {case.left_out}"
        tally.faults.append(f"{case.quirk}: {found}")


def main() -> None:
    """Write the corpus, import each file, and print one row a tool."""
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=3, help="truths for each quirk")
    arguments = options.parse_args()
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as folder:
        sample = study(Path(folder))
        for seed in range(arguments.seeds):
            rows = truth(np.random.default_rng(seed))
            for tool in TOOLS:
                for case in tool(rows):
                    judge(case, sample, tallies.setdefault(case.tool, Tally()))
    names = ("files", "boxes", "right", "to_tell", "told", "silently_wrong")
    table: list[dict[str, Any]] = [
        {"tool": name} | {key: getattr(tally, key) for key in names}
        for name, tally in tallies.items()
    ]
    total: dict[str, Any] = {"tool": "all"} | {key: sum(r[key] for r in table) for key in names}
    for name, tally in tallies.items():
        for fault in dict.fromkeys(tally.faults):
            print(f"{name}, {fault}")
    report("Other tools' files", [*table, total], arguments.out)


if __name__ == "__main__":
    main()
