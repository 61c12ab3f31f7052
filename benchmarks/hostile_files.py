"""Mutated models, annotation files, tables and images: what is read, told, and what breaks.

    python benchmarks/hostile_files.py [--cases 10000] --out hostile_files.json

Asked for: nothing but a sentence of ours where a file cannot be read; no traceback, nothing over
10 s or 2 GB. Sound files are made of each kind; bytes are flipped, cut, doubled, and numbers,
texts and values replaced by hostile ones. Each case is read as the program reads it in use: boxes
are placed in a study, images decoded, classifiers asked. Workers are killed that take too long.
Goes on where it was stopped; what broke is written beside the figures. `--only images` and
`--first 4711 --cases 1` show single cases. Needs a system with fork and limits of memory (Linux).
"""

from __future__ import annotations

import collections
import contextlib
import functools
import io
import json
import multiprocessing
import re
import resource
import struct
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile
from imports import NAMES, SIZE, TOOLS, study, truth
from PIL import Image
from reporting import Measured, parser, report

from napari_attmil.bags import Bag, Certainty, Classifier, MILSettings
from napari_attmil.cells import FeatureSettings
from napari_attmil.cells.exchange import plan_import, read_boxes
from napari_attmil.core import Device, UserError, finished
from napari_attmil.images import open_frames, read_frame

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from napari_attmil.images import Sample

LONGEST_S = 10.0
MOST_MIB = 2048.0
SHARES = {"annotations": 0.5, "images": 0.26, "tables": 0.1, "classifiers": 0.12, "detectors": 0.02}
CPU = Device("cpu", "float32", "processor")
CZI = Path(__file__).parents[1] / "tests" / "images" / "formats" / "czi"
HOSTILE: tuple[Any, ...] = (
    *(None, True, "", [], {}, -1, 0, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**400),
    *("nan", "1e999", "\0", "\ud800", "\x1b[2J", "a" * 20_000, "<b>a</b>", [[[]]], [1] * 1000),
)
TEXTS = (
    *("nan", "inf", "-1", "1e999", "9" * 400, "0" * 5000, "null", "true", '""', "[]", "{}", "\0"),
    *("<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;", "<a>" * 2000, "[" * 5000, "\ufeff", '"', ",", "\n"),
)
LIBRARYS_WORDS = re.compile(
    r"argument must|could not convert|invalid literal|object is|object has|not subscriptable|"
    r"to unpack|out of range|NoneType|Expecting|codec can|unhashable|not supported between|"
    r"\(\) |Error\b|must be real|byte string|0x[0-9a-f]{4}|\bnumpy\b|\btorch\b|validation error"
)
"""Words of Python and of libraries, which a person should not be shown."""


# --- mutations ------------------------------------------------------------------------------------


def damaged(raw: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with some of its bytes or values replaced, doubled or cut."""
    with contextlib.suppress(ValueError, RecursionError):
        if raw[:1] in (b"{", b"[") and rng.random() < 0.6:
            return with_hostile_value(json.loads(raw), rng)
    content = bytearray(raw)
    for _ in range(rng.integers(1, 5)):
        step = int(rng.integers(7))
        # Headers are short: half of all damages are within the first bytes.
        end = len(content) if rng.random() < 0.5 else min(len(content), 600)
        start = int(rng.integers(end + 1))
        if step == 0:
            del content[start:]
        elif step == 1:
            del content[start : start + int(rng.integers(1, 64))]
        elif step == 2:
            content[start:start] = content[start : start + int(rng.integers(1, 200))]
        elif step == 3 and start < len(content):
            content[start] ^= 1 << int(rng.integers(8))
        elif step == 4:
            number = struct.pack("<I", int(rng.choice([0, 1, 0xFFFF, 2**31 - 1, 2**32 - 1])))
            content[start : start + 4] = number if rng.random() < 0.5 else number[::-1]
        elif step == 5:
            content[start : start + 64] = bytes(64)
        else:
            piece = TEXTS[rng.integers(len(TEXTS))].encode()
            found = [*re.finditer(rb"[\d.]+", content[:20_000])]
            if found and rng.random() < 0.7:
                start, end = found[rng.integers(len(found))].span()
                content[start:end] = piece
            else:
                content[start : start + int(rng.integers(6))] = piece
    return bytes(content)


def with_hostile_value(value: Any, rng: np.random.Generator) -> bytes:
    """Return JSON with one of its values, or one of its names, replaced or removed."""
    places = list(places_in(value))
    for _ in range(rng.integers(1, 3)):
        holder, key = places[rng.integers(len(places))]
        with contextlib.suppress(IndexError, KeyError):
            if rng.random() < 0.2:
                del holder[key]
            else:
                holder[key] = HOSTILE[rng.integers(len(HOSTILE))]
    return json.dumps(value).encode()


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a value in JSON: what holds it, and its name or number."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in list(inner):
        yield value, key
        if isinstance(each, dict | list):
            yield from places_in(each)


def damaged_model(raw: bytes, rng: np.random.Generator) -> bytes:
    """Return a model file with a value of its settings, its tables or its weights changed."""
    (length,) = struct.unpack("<Q", raw[:8])
    header, weights = json.loads(raw[8 : 8 + length]), bytearray(raw[8 + length :])
    step = int(rng.integers(10))
    if step < 5:
        name = "settings" if step < 4 else "provenance"
        changed = with_hostile_value(json.loads(header["__metadata__"][name]), rng)
        header["__metadata__"][name] = changed.decode()
    elif step < 7:
        at = int(rng.integers(len(weights) // 4)) * 4
        weights[at : at + 4] = rng.choice([b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f"])
    elif step < 8:
        header = json.loads(with_hostile_value(header, rng))
    else:
        return damaged(raw, rng)
    written = json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + weights


# --- sound files, and how each is read ------------------------------------------------------------


@functools.cache
def exports() -> list[tuple[str, Any]]:
    """Return other tools' files with all of their quirks."""
    rows = truth(np.random.default_rng(0))
    return [(case.tool, case) for tool in TOOLS for case in tool(rows)]


@functools.cache
def studys_images() -> Sample:
    """Return the images that the annotation files are about."""
    return study(Path(tempfile.mkdtemp(prefix="hostile-study-")))


def try_annotations(folder: Path, rng: np.random.Generator) -> list[str]:
    """Import a mutated export; return what a person is told."""
    _, case = exports()[rng.integers(len(exports()))]
    chosen = list(case.files)[rng.integers(len(case.files))]
    for name, content in case.files.items():
        raw = content if isinstance(content, bytes) else content.encode()
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damaged(raw, rng) if name == chosen else raw)
    found = read_boxes([folder / case.given])
    plan = finished(plan_import([studys_images()], found))
    _, outcome = plan.merged_into({})
    outcome.as_json()
    return outcome.sentences()


@functools.cache
def pictures() -> list[tuple[str, bytes]]:
    """Return a small image in each format and kind that is read."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    grey, deep = noise[..., 0], noise[..., 0].astype(np.uint16) * 200
    made = [
        ("a.png", bytes(imagecodecs.png_encode(noise))),
        ("b.png", bytes(imagecodecs.png_encode(deep))),
        ("a.jpg", pillow(Image.fromarray(noise), "JPEG")),
        ("a.bmp", pillow(Image.fromarray(grey), "BMP")),
        ("palette.png", pillow(Image.fromarray(noise).quantize(16), "PNG")),
        ("palette.tif", pillow(Image.fromarray(noise).quantize(16), "TIFF")),
    ]
    kinds: list[tuple[Any, dict[str, Any]]] = [
        (grey, {"metadata": None}),
        (deep, {"compression": "zlib", "predictor": True}),
        (noise, {"compression": "lzw", "photometric": "rgb"}),
        (noise, {"compression": "jpeg", "tile": (16, 16), "photometric": "rgb"}),
        (np.stack([grey] * 5), {"imagej": True, "metadata": {"axes": "TYX", "unit": "um"}}),
        (np.stack([deep] * 4), {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.1}}),
        (np.stack([grey] * 3), {"bigtiff": True, "photometric": "minisblack"}),
        (deep, {"byteorder": ">", "resolution": (9e4, 9e4), "resolutionunit": "CENTIMETER"}),
        (grey > 99, {"compression": "packbits"}),
    ]
    for number, (image, options) in enumerate(kinds):
        out = io.BytesIO()
        tifffile.imwrite(out, image, **options)
        made.append((f"{number}.tif", bytes(out.getvalue())))
    return made + [(path.name, path.read_bytes()) for path in sorted(CZI.glob("*.czi"))]


def pillow(image: Image.Image, kind: str) -> bytes:
    """Return an image as Pillow writes it."""
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def try_images(folder: Path, rng: np.random.Generator) -> list[str]:
    """Open a mutated image and read a few of its pages."""
    name, raw = pictures()[rng.integers(len(pictures()))]
    (folder / name).write_bytes(damaged(raw, rng))
    for frame in open_frames(folder / name)[:3]:
        read_frame(frame)
    return []


def try_tables(folder: Path, rng: np.random.Generator) -> list[str]:
    """Open a study of a mutated table, in one of the ways in which spreadsheets write it."""
    from napari_attmil.workflows import open_cohort

    rows = [("image", "sample", "patient", "label")]
    rows += [(f"{n}.png", f"s{n % 4}", f"p{n % 2}", "ab"[n % 2]) for n in range(8)]
    mark = (",", ";", "\t")[rng.integers(3)]
    text = "\r\n".join(mark.join(row) for row in rows)
    code = ("utf-8", "utf-8-sig", "utf-16", "latin-1")[rng.integers(4)]
    for name, *_ in rows[1:]:
        (folder / name).write_bytes(pictures()[0][1])
    (folder / "cohort.csv").write_bytes(damaged(text.encode(code), rng))
    return list(open_cohort(folder).notes)


@functools.cache
def sound_classifier() -> bytes:
    """Return the file of a small classifier of two models, with all that one may have."""
    from napari_attmil.bags.network import AttentionMIL

    settings = MILSettings(embedding="profile", components=0, embedding_size=8, attention_size=4)
    models = tuple(AttentionMIL(2, settings, CPU, 4).eval() for _ in range(2))
    certainty = Certainty(1.5, 0.9, (0.2, 0.3), (9, 9), (True, True), "", (0.1, -0.1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "classifier.safetensors")
        Classifier(models, ("a", "b"), "digest", FeatureSettings(), certainty).save(path)
        return path.read_bytes()


def try_classifiers(folder: Path, rng: np.random.Generator) -> list[str]:
    """Load a mutated classifier and have it classify a sample."""
    path = folder / "classifier.safetensors"
    path.write_bytes(damaged_model(sound_classifier(), rng))
    classifier = Classifier.load(path, CPU)
    features = np.random.default_rng(0).normal(0, 1, (6, 4, 14, 14)).astype(np.float16)
    bag = Bag(features, np.arange(1, 7), sample="s", patient="p", reader_digest="digest")
    classifier.classify(bag)
    return [classifier.description, classifier.on_new_patients]


@functools.cache
def sound_detector() -> bytes:
    """Return the detector's file that comes with the program."""
    import napari_attmil

    return Path(napari_attmil.__path__[0], "weights", "detector.safetensors").read_bytes()


def try_detectors(folder: Path, rng: np.random.Generator) -> list[str]:
    """Load a mutated detector and have it search an image."""
    from napari_attmil.cells import DetectionSettings
    from napari_attmil.cells.detection import Detector

    path = folder / "detector.safetensors"
    path.write_bytes(damaged_model(sound_detector(), rng))
    image = np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8)
    for _ in Detector.load(path, CPU).detect_frames([image], DetectionSettings()):
        pass
    return []


TRIES: dict[str, Callable[[Path, np.random.Generator], list[str]]] = {
    "annotations": try_annotations,
    "images": try_images,
    "tables": try_tables,
    "classifiers": try_classifiers,
    "detectors": try_detectors,
}


# --- running --------------------------------------------------------------------------------------


def outcome(kind: str, number: int) -> dict[str, Any]:
    """Read one case; return what became of it."""
    rng = np.random.default_rng([list(TRIES).index(kind), number])
    result: dict[str, Any] = {"kind": kind, "case": number, "became": "read", "text": ""}
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder, Measured() as measured:
        try:
            sentences = TRIES[kind](Path(folder), rng)
        except UserError as error:
            result["became"], sentences = "told", [str(error)]
        except BaseException as error:
            place = traceback.extract_tb(error.__traceback__)
            result["became"], sentences = "traceback", []
            ours = [each for each in place if "napari_attmil" in each.filename]
            where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "outside"
            result["text"] = f"{type(error).__name__} in {where}: {str(error)[:300]}"
    for sentence in sentences:
        odd = "\n" in sentence or len(sentence) > 1000 or LIBRARYS_WORDS.search(sentence)
        if odd and result["became"] != "traceback":
            result |= {"became": "odd text", "text": sentence[:400]}
    result |= {"seconds": measured.seconds, "peak_mib": measured.peak_mib}
    return result


def work(cases: list[tuple[str, int]], told: Connection) -> None:
    """Read cases one after the other in a process of limited memory."""
    warnings.simplefilter("ignore")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    # Twice: address space is not memory, and threads take some that they never use.
    most = used + 2 * int(MOST_MIB) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for kind, number in cases:
        told.send({"kind": kind, "case": number, "became": "begun"})
        told.send(outcome(kind, number))


def results_of(cases: list[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    """Yield what becomes of cases; a worker that takes too long or dies is replaced."""
    processes = multiprocessing.get_context("fork")
    while cases:
        hears, tells = processes.Pipe(duplex=False)
        worker = processes.Process(target=work, args=(cases, tells), daemon=True)
        worker.start()
        tells.close()
        done, current = 0, {"kind": cases[0][0], "case": cases[0][1]}
        start = time.monotonic()
        with contextlib.suppress(EOFError):
            # Twice as long as is allowed: the machine may be busy with others.
            while done < len(cases) and hears.poll(2 * LONGEST_S):
                heard = hears.recv()
                if heard["became"] == "begun":
                    current, start = heard, time.monotonic()
                else:
                    done += 1
                    yield heard
        worker.kill()
        worker.join()
        if done < len(cases):
            seconds = time.monotonic() - start
            became = "too long" if seconds > LONGEST_S else "died"
            yield current | {"became": became, "text": "", "seconds": seconds, "peak_mib": 0.0}
            done += 1
        cases = cases[done:]


def rows_of(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each kind of file, and one for all."""
    rows = []
    for kind in [*TRIES, "all"]:
        own = [each for each in results if kind in (each["kind"], "all")]
        if not own:
            continue
        became = collections.Counter(each["became"] for each in own)
        slow = sum(each["seconds"] > LONGEST_S for each in own)
        large = sum(each["peak_mib"] > MOST_MIB for each in own)
        rows.append(
            {
                "files": kind,
                "cases": len(own),
                "read": became["read"],
                "told": became["told"],
                "tracebacks": became["traceback"] + became["died"],
                "a library's words": became["odd text"],
                "over 10 s": slow,
                "over 2 GB": large,
                "slowest s": max(each["seconds"] for each in own),
                "most MiB": max(each["peak_mib"] for each in own),
            }
        )
    return rows


def main() -> None:
    """Run it."""
    options = parser(__doc__ or "")
    options.add_argument("--cases", type=int, default=10_000)
    options.add_argument("--first", type=int, default=0, help="number of the first case of a kind")
    options.add_argument("--only", choices=list(TRIES))
    arguments = options.parse_args()
    shares = {arguments.only: 1.0} if arguments.only else SHARES
    cases = [
        (kind, arguments.first + number)
        for kind, share in shares.items()
        for number in range(round(share * arguments.cases))
    ]
    kept = arguments.out and arguments.out.with_suffix(".cases.jsonl")
    results: list[dict[str, Any]] = []
    if kept and kept.exists():
        results = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    known = {(each["kind"], each["case"]) for each in results}
    _ = exports(), pictures(), sound_classifier(), sound_detector(), studys_images(), NAMES, SIZE
    for result in results_of([case for case in cases if case not in known]):
        results.append(result)
        if result["became"] not in ("read", "told"):
            print(result["kind"], result["case"], result["became"], result["text"], flush=True)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
    report("Mutated files", rows_of(results), arguments.out)


if __name__ == "__main__":
    main()
