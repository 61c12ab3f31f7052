"""What an expert's answers about single cells teach, and which cells should be asked about.

    python benchmarks/answers.py [--cohort parasites|standard|development] [--rate 0.05]
        [--counts 0,20,50,100] [--strategies highest disagreement mix random] [--seeds 5]
        [--wrong 0.05] [--members 1] [--set answers=2 epochs=30]

An oracle that knows every cell answers questions about the training samples of each fold; a share
`--wrong` of its answers is wrong. The first questions are asked of a classifier that learnt from
the samples' labels alone, the next ones of a classifier that learnt from the answers before. What
is reported is of held-out patients, about whom nobody is ever asked. A row is written as soon as it
is there; a run that was stopped goes on when it is called again with the same `--out`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import platformdirs
from painted_parasites import cohort as painted_cohort, paint
from planted_cohort import (
    CHULA,
    DEVELOPMENT_TYPES,
    FOLDS,
    HEALTHY,
    STANDARD_TYPES,
    CohortPlan,
    planted_bags,
    typed_cells,
)
from reporting import keep_rows, kept_rows, parser, report
from sklearn.metrics import average_precision_score, roc_auc_score

from napari_attmil.bags import (
    STRATEGIES,
    EnsembleSettings,
    JudgedCells,
    Question,
    cells_to_ask,
    features_for,
    mil_preset,
)
from napari_attmil.bags.training import EnsembleTrainer
from napari_attmil.cells.annotations import ALTERED, NOT_ALTERED
from napari_attmil.cells.detection import Detector
from napari_attmil.core import choose_device

if TYPE_CHECKING:
    import argparse

    from napari_attmil.bags import Bag, Classifier, MILSettings
    from napari_attmil.core import Device

PARASITES: Final = "parasites"
TYPES: Final = {"standard": STANDARD_TYPES, "development": DEVELOPMENT_TYPES}
RANDOM: Final = "random"
"""In place of a strategy: any cells of diseased samples."""
Cohort = tuple[list["Bag"], np.ndarray]
AUROC, CELLS_AUROC, CELLS_AP = "AUROC", "cells AUROC", "cells AP"


def cohorts(asked: argparse.Namespace, settings: MILSettings, device: Device) -> list[Cohort]:
    """Return the cohorts that the person asks for: bags, and the fold of each."""
    detector, features = Detector.load(None, device), features_for(settings)
    seeds = range(asked.seed, asked.seed + asked.seeds)
    if asked.cohort == PARASITES:
        if not (asked.cache / "cells.csv").is_file():
            paint(asked.cache)
        cells = typed_cells(detector, features, asked.cache, asked.cache)
        return [painted_cohort(cells, asked.patients, asked.rate, seed) for seed in seeds]
    cells, types = typed_cells(detector, features, asked.cache), TYPES[asked.cohort]
    plans = [
        CohortPlan(types=types, witness_rate=asked.rate, patients=asked.patients, seed=seed)
        for seed in seeds
    ]
    return [planted_bags(cells, plan) for plan in plans]


def trained(
    bags: list[Bag], settings: MILSettings, members: int, classes: list[str], device: Device
) -> Classifier:
    """Return a classifier of some bags, without calibration."""
    ensemble = EnsembleSettings(members=members, calibrate=False)
    assert {bag.label for bag in bags} == set(classes)
    trainer = EnsembleTrainer(bags, settings, ensemble, device)
    for _ in trainer.epochs():
        pass
    return trainer.best


def asked_about(
    bags: list[Bag], classifier: Classifier, count: int, strategy: str, rng: np.random.Generator
) -> list[Question]:
    """Return questions about the diseased samples among some bags."""
    judged = [JudgedCells.of(classifier, bag) for bag in bags if bag.label != HEALTHY]
    for name in STRATEGIES:
        if name == strategy:
            return cells_to_ask(judged, count, name)
    free = [
        Question(cells.sample, int(cell), 0, 0)
        for cells in judged
        for cell in cells.cell_id[~cells.is_answered]
    ]
    return [free[place] for place in rng.permutation(len(free))[:count]]


def told(
    bags: list[Bag], questions: list[Question], wrong: float, rng: np.random.Generator
) -> list[Bag]:
    """Return the bags with the oracle's answers beside those that they have."""
    by_sample: dict[str, list[int]] = {}
    for question in questions:
        by_sample.setdefault(question.sample, []).append(question.cell_id)
    return [_answered(bag, by_sample.get(bag.sample, []), wrong, rng) for bag in bags]


def _answered(bag: Bag, cells: list[int], wrong: float, rng: np.random.Generator) -> Bag:
    assert bag.altered is not None  # every cell of these cohorts is known
    answers = np.full(len(bag), "", dtype="<U16") if bag.answers is None else bag.answers.copy()
    rows = np.flatnonzero(np.isin(bag.cell_id, cells))
    said = bag.altered[rows] ^ (rng.random(len(rows)) < wrong)
    answers[rows] = np.where(said, ALTERED, NOT_ALTERED)
    return replace(bag, answers=answers)


def answers_in(bags: list[Bag], kind: str = "") -> int:
    """Return how many answers there are about cells of some bags, of one kind or of any."""
    said = [one for bag in bags if bag.answers is not None for one in bag.answers.tolist() if one]
    return sum(not kind or one == kind for one in said)


def judged_held_out(
    one: Cohort, strategy: str, asked: argparse.Namespace, settings: MILSettings, device: Device
) -> list[dict[str, Any]]:
    """Return the figures of one cohort after each number of answers, over all folds."""
    bags, folds = one
    classes = sorted({bag.label or "" for bag in bags})
    shares = np.empty((len(asked.counts), len(bags), len(classes)))
    scores: list[list[np.ndarray]] = [[np.empty(0)] * len(bags) for _ in asked.counts]
    altered = np.zeros((len(asked.counts), FOLDS))
    for fold in range(FOLDS):
        rng = np.random.default_rng([settings.seed, fold])
        train = [bag for bag, own in zip(bags, folds, strict=True) if own != fold]
        classifier = trained(train, settings, asked.members, classes, device)
        for place, count in enumerate(asked.counts):
            before = answers_in(train)
            if count > before:
                questions = asked_about(train, classifier, count - before, strategy, rng)
                train = told(train, questions, asked.wrong, rng)
                classifier = trained(train, settings, asked.members, classes, device)
            altered[place, fold] = answers_in(train, ALTERED)
            for row in np.flatnonzero(folds == fold):
                shares[place, row] = classifier.classify(bags[row]).probabilities
                scores[place][row] = JudgedCells.of(classifier, bags[row]).score
    return [
        {"answers": count, "altered among them": float(of_count.mean())}
        | figures(bags, classes, probabilities, of_cells)
        for count, of_count, probabilities, of_cells in zip(
            asked.counts, altered, shares, scores, strict=True
        )
    ]


def figures(
    bags: list[Bag], classes: list[str], shares: np.ndarray, scores: list[np.ndarray]
) -> dict[str, float]:
    """Return the samples' AUROC, a mean over classes, and the cells', means over the diseased."""
    labels = np.array([bag.label for bag in bags])
    of_samples = [roc_auc_score(labels == name, shares[:, k]) for k, name in enumerate(classes)]
    found = [
        (bag.altered, score)
        for bag, score in zip(bags, scores, strict=True)
        if bag.label != HEALTHY and bag.altered is not None
    ]
    return {
        AUROC: float(np.mean(of_samples)),
        CELLS_AUROC: float(np.mean([roc_auc_score(*of_one) for of_one in found])),
        CELLS_AP: float(np.mean([average_precision_score(*of_one) for of_one in found])),
    }


def means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of all cohorts as one a strategy and number of answers."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["strategy"], row["answers"]), []).append(row)
    return [
        {"strategy": strategy, "answers": answers, "cohorts": len(group)}
        | {
            name: float(np.mean([row[name] for row in group]))
            for name in ("altered among them", AUROC, CELLS_AUROC, CELLS_AP)
        }
        for (strategy, answers), group in groups.items()
    ]


def options() -> argparse.Namespace:
    """Return what the person asks for."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--cohort", choices=[PARASITES, *TYPES], default=PARASITES)
    arguments.add_argument("--rate", type=float, default=0.05, help="share of altered cells")
    arguments.add_argument("--patients", type=int, default=24, help="of each class")
    arguments.add_argument("--counts", default="0,20,50,100", help="answers, with commas")
    ways = [*STRATEGIES, RANDOM]
    arguments.add_argument("--strategies", nargs="*", choices=ways, default=ways)
    arguments.add_argument("--seeds", type=int, default=5, help="cohorts")
    arguments.add_argument("--seed", type=int, default=10, help="of the first")
    arguments.add_argument("--wrong", type=float, default=0.0, help="share of wrong answers")
    arguments.add_argument("--members", type=int, default=1, help="models of each classifier")
    arguments.add_argument("--set", nargs="*", default=[], help="settings, as name=value")
    arguments.add_argument("--cache", type=Path, help="folder of the cells' features")
    asked = arguments.parse_args()
    asked.counts = sorted(map(int, asked.counts.split(",")))
    if asked.cache is None:
        name = "parasites" if asked.cohort == PARASITES else "planted"
        asked.cache = platformdirs.user_cache_path("napari-attmil") / name
    return asked


def main() -> None:
    """Ask by each strategy in each cohort, and print the means."""
    asked = options()
    device = choose_device(asked.device)
    settings = mil_preset("default", **dict(change.split("=") for change in asked.set))
    plan = [asked.cohort, asked.rate, asked.patients, asked.wrong, asked.members, *asked.set]
    rows = [row for row in kept_rows(asked.out) if row["plan"] == plan and "seed" in row]
    for number, one in enumerate(cohorts(asked, settings, device)):
        seed = asked.seed + number
        for strategy in asked.strategies:
            if any(row["seed"] == seed and row["strategy"] == strategy for row in rows):
                continue
            start = time.perf_counter()
            found = judged_held_out(one, strategy, asked, settings.replace(seed=seed), device)
            seconds = time.perf_counter() - start
            rows += [{"plan": plan, "seed": seed, "strategy": strategy} | row for row in found]
            keep_rows(rows, asked.out)
            print(f"{strategy}, cohort {seed}: {seconds:.0f} s", flush=True)
    title = (
        f"Answers about cells, {asked.cohort} {asked.rate:.0%}, {asked.patients} patients a class, "
        f"{asked.wrong:.0%} of the answers wrong, {CHULA.name}"
    )
    report(title, means(rows), None)


if __name__ == "__main__":
    main()
