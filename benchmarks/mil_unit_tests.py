"""Which way of pooling passes which of Raff and Holt's algorithmic unit tests.

    python benchmarks/mil_unit_tests.py [--bags 200] [--epochs 40] [--out unit_tests.json]

Prints a Markdown table too. A test is passed where both areas under the ROC curve, of the bags
learnt from and of the test bags, are above one half by twice the standard error of the seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from reporting import parser, report
from sklearn.metrics import roc_auc_score

from napari_attmil.bags import METHODS, Method, MILSettings
from napari_attmil.bags.network import judges_cells
from napari_attmil.bags.training import Trainer
from napari_attmil.core import Device, choose_device

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.unit_test_bags import NEGATIVE, POSITIVE, UNIT_TESTS, unit_test_bags

if TYPE_CHECKING:
    from napari_attmil.bags import Bag, Classifier


def auroc(classifier: Classifier, bags: list[Bag]) -> float:
    """Return the area under the ROC curve of the positive class."""
    place = classifier.classes.index(POSITIVE)
    scores = [classifier.logits(bag)[place] for bag in bags]
    return float(roc_auc_score([bag.label == POSITIVE for bag in bags], scores))


def plain_settings(method: Method, epochs: int) -> MILSettings:
    """Return settings that leave a method to its pooling, without what helps it in the project."""
    return MILSettings(
        embedding="profile",
        method=method,
        reference_class=NEGATIVE,
        components=0,
        exclusion=0,
        guidance=0,
        healthy_is_the_rest=False,
        # Leaving cells out would take a bag's only positive one.
        cell_dropout=0,
        dropout=0.1,
        bags_per_step=8,
        learning_rate=5e-3,
        schedule="constant",
        epochs=epochs,
        stop_loss=0,
    )


def trial(name: str, settings: MILSettings, count: int, device: Device) -> tuple[float, float]:
    """Return the areas of one training: of its own bags and of the test's."""
    train = unit_test_bags(name, count, True, 2 * settings.seed)
    test = unit_test_bags(name, count, False, 2 * settings.seed + 1)
    trainer = Trainer(train, settings, device, (NEGATIVE, POSITIVE))
    for _ in trainer.epochs():
        pass
    return auroc(trainer.best, train), auroc(trainer.best, test)


def compared(epochs: int) -> dict[str, MILSettings]:
    """Return every method that weighs cells, some also with a class that no cell speaks for."""
    plain = {
        METHODS[method].title: plain_settings(method, epochs)
        for method in METHODS
        if not METHODS[method].by_type
    }
    silent = {
        f"{title}, healthy is the rest": settings.replace(healthy_is_the_rest=True)
        for title, settings in plain.items()
        if judges_cells(settings.method)
    }
    return plain | silent


def row(
    title: str, name: str, settings: MILSettings, options: Any, device: Device
) -> dict[str, Any]:
    """Return mean areas over the seeds, and whether the test is passed."""
    areas = np.array(
        [
            trial(name, settings.replace(seed=seed), options.bags, device)
            for seed in range(options.seeds)
        ]
    )
    mean, error = areas.mean(0), areas.std(0, ddof=1) / np.sqrt(len(areas))
    return {
        "method": title,
        "test": name,
        "AUROC learnt": float(mean[0]),
        "AUROC test": float(mean[1]),
        "standard error": float(error[1]),
        "passed": bool(((mean - 2 * error) > 0.5).all()),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return one line a method with the tests' areas; those passed are marked."""
    lines = [f"| pooling | {' | '.join(UNIT_TESTS)} |", f"|---|{'---|' * len(UNIT_TESTS)}"]
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = [
            f"{row['AUROC test']:.2f}{' passed' if row['passed'] else ''}"
            for row in rows
            if row["method"] == method
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train every method on every test's bags."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--bags", type=int, default=200)
    arguments.add_argument("--epochs", type=int, default=40)
    arguments.add_argument("--seeds", type=int, default=3)
    options = arguments.parse_args()
    device = choose_device(options.device)
    rows = [
        row(title, name, settings, options, device)
        for title, settings in compared(options.epochs).items()
        for name in UNIT_TESTS
    ]
    report("Algorithmic unit tests of Raff & Holt 2023", rows, options.out)
    print(markdown(rows))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
