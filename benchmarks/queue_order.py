"""Whether images taken by the queue teach the detector faster than images taken at random.

    python benchmarks/queue_order.py [--counts 5,10,20] [--seeds 5] [--out queue.json]

A study of poor unstained fields, each with faults of its own (a quarter of them beyond anything in
the training of the shipped detector), of which only some can be reviewed. They are taken as
`attmil queue` ranks them, or at random, the detector is fitted to them, and scored on fields that
neither order can take. Each seed has a study and a test set of its own; differences are paired by
seed. Cell sizes are given. With `--out`, a run that was stopped goes on.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from detection_quality import simulated_poor
from finetuning import DIAMETER_PX, score
from reporting import parser, report
from scipy import stats

from napari_attmil.cells import DetectionSettings, FinetuneSettings
from napari_attmil.cells.annotations import most_uncertain_first
from napari_attmil.cells.detection import Detector
from napari_attmil.cells.finetuning import LabelledImage, finetune
from napari_attmil.core import Device, choose_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_attmil.cells.detection import DetectionScore

STUDY_IMAGES, TEST_IMAGES = 60, 20
BEYOND = 0.25
GIVEN_SIZE = DetectionSettings(cell_diameter_px=DIAMETER_PX)
ORDERS = ("queue", "random")


def poor_fields(count: int, seed: int, part: int) -> list[LabelledImage]:
    """Return labelled fields, each poor in its own way."""
    fields = simulated_poor(BEYOND, count, (seed, part))
    return [
        LabelledImage(image, xyxy, stained=False, name=f"{index:02d}")
        for index, (image, xyxy, _) in enumerate(fields)
    ]


def rows_of_seed(
    seed: int, counts: Sequence[int], steps: int, device: Device, known: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield a row an order and count of images, but for those that are known."""
    study, test = poor_fields(STUDY_IMAGES, seed, 0), poor_fields(TEST_IMAGES, seed, 1)
    shipped = Detector.load(None, device)
    found = [shipped.detect([image.grey], GIVEN_SIZE).score for image in study]
    at_random = np.random.default_rng(seed).permutation(STUDY_IMAGES)
    ranked = {"queue": most_uncertain_first(found), "random": at_random}
    done = {(row["seed"], row["order"], row["images"]) for row in known}
    if (seed, "none", 0) not in done:
        yield row_of(seed, "none", 0, score(shipped, test))
    for count in counts:
        for order in ORDERS:
            if (seed, order, count) in done:
                continue
            chosen = [study[place] for place in ranked[order][:count]]
            yield row_of(seed, order, count, score(tuned(chosen, steps, seed, device), test))


def row_of(seed: int, order: str, images: int, reached: DetectionScore) -> dict[str, Any]:
    """Return one result."""
    return {
        "seed": seed,
        "order": order,
        "images": images,
        "AP50": round(reached.ap50, 4),
        "AP": round(reached.ap, 4),
    }


def tuned(images: Sequence[LabelledImage], steps: int, seed: int, device: Device) -> Detector:
    """Return the shipped detector fitted to images, one in five held out to stop by."""
    # Steps are the limit here, not the clock of a machine that others use too.
    settings = FinetuneSettings(steps=steps, minutes=600, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tuned.safetensors"
        for _ in finetune(images, settings, out, device):
            pass
        return Detector.load(out if out.exists() else None, device)


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean AP of both orders by count of images, and their paired difference."""
    table = []
    for count in sorted({row["images"] for row in rows if row["images"]}):
        ap = {
            order: {r["seed"]: r["AP"] for r in rows if (r["order"], r["images"]) == (order, count)}
            for order in ORDERS
        }
        seeds = sorted(ap["queue"].keys() & ap["random"].keys())
        if len(seeds) < 2:
            continue
        ahead = np.array([ap["queue"][seed] - ap["random"][seed] for seed in seeds])
        half = stats.t.ppf(0.975, len(seeds) - 1) * stats.sem(ahead)
        table.append(
            {
                "images": count,
                "seeds": len(seeds),
                "AP before": f"{np.mean([r['AP'] for r in rows if r['order'] == 'none']):.3f}",
                "AP, queue": f"{np.mean(list(ap['queue'].values())):.3f}",
                "AP, random": f"{np.mean(list(ap['random'].values())):.3f}",
                "queue ahead by": f"{ahead.mean():+.3f} ({ahead.mean() - half:+.3f} to "
                f"{ahead.mean() + half:+.3f})",
            }
        )
    return table


def main() -> None:
    """Fit detectors to both orders' images, seed by seed."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--counts", default="5,10,20")
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=FinetuneSettings().steps)
    options = arguments.parse_args()
    device = choose_device(options.device)
    counts = [int(count) for count in options.counts.split(",")]
    rows: list[dict[str, Any]] = []
    kept = None if options.out is None else options.out.with_suffix(".rows.json")
    if kept is not None and kept.exists():
        rows = json.loads(kept.read_text("utf-8"))
    for seed in range(options.seeds):
        for row in rows_of_seed(seed, counts, options.steps, device, rows):
            print(row, flush=True)
            rows.append(row)
            if kept is not None:
                kept.write_text(json.dumps(rows), "utf-8")
    if table := summary(rows):
        report("The first images of a study: the queue's against random ones", table, options.out)


if __name__ == "__main__":
    main()
