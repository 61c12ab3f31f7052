"""A cross-validation as figures: `report.json` for programs, `report.md` for people."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_attmil.bags.attribution import RANDOM_AUROC
from napari_attmil.bags.metrics import bootstrap_weights, weighted_metrics
from napari_attmil.checkpoints import write_atomically
from napari_attmil.settings import METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from napari_attmil.bags.evaluation import Evaluation
    from napari_attmil.settings import Method

    Array = npt.NDArray[np.float64]

FORMAT = "napari-attmil evaluation/1"
REPLICATES = 2000
METRIC_NAMES = {
    "accuracy": "Accuracy",
    "f1_weighted": "F1 (weighted)",
    "f1_macro": "F1 (macro)",
    "auroc": "AU ROC",
}


def evaluation_report(
    evaluation: Evaluation, notes: Sequence[str] = (), replicates: int = REPLICATES
) -> dict[str, Any]:
    """Return all figures of a cross-validation as plain JSON values.

    Each figure is an object of ``mean`` and ``std`` over runs (``std`` null for a single run)
    and ``interval``, the 2.5th and 97.5th percentile of a bootstrap over patients.

    Parameters
    ----------
    evaluation
        The predictions.
    notes
        Sentences that readers should know, such as samples that were left out.
    replicates
        Resamplings of the bootstrap.
    """
    # One draw of patients for all methods, so that their intervals can be compared.
    weights = bootstrap_weights(
        evaluation.patients, evaluation.labels, replicates, evaluation.evaluation.seed
    )
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "cohort": _cohort(evaluation),
        "settings": evaluation.settings.model_dump(exclude={"method", "seed"}),
        "evaluation": evaluation.evaluation.model_dump(mode="json"),
        "methods": {
            method: _method_figures(evaluation, method, weights)
            for method in evaluation.evaluation.methods
        },
        "predictions": _predictions(evaluation),
        "notes": [*notes, *_notes(evaluation)],
    }


def markdown(report: Mapping[str, Any]) -> str:
    """Return a report as Markdown: the table in the form of Table 1, intervals and notes."""
    cohort, plan = report["cohort"], report["evaluation"]
    classes = ", ".join(
        f"{name} ({size['patients']} patients, {size['samples']} samples)"
        for name, size in cohort["classes"].items()
    )
    return "\n".join(
        [
            "# Cross-validation",
            "",
            f"{cohort['patients']} patients, {cohort['samples']} samples, {cohort['cells']} cells; "
            f"{plan['folds']} folds by patient, runs: {plan['runs']}. Classes: {classes}.",
            "",
            *_table_1(report["methods"]),
            "",
            "## 95 % intervals",
            "",
            *_interval_table(report["methods"]),
            "",
            "## Area under the precision-recall curve",
            "",
            *_class_table(report["methods"], list(cohort["classes"])),
            "",
            "## Notes",
            "",
            *(f"- {note}" for note in report["notes"]),
            "",
        ]
    )


def write_report(
    evaluation: Evaluation, folder: Path, notes: Sequence[str] = ()
) -> tuple[Path, Path]:
    """Write ``report.json`` and ``report.md`` into a folder, each whole or not at all.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    report = evaluation_report(evaluation, notes)
    texts = {
        "report.json": json.dumps(report, indent=2, allow_nan=False) + "\n",
        "report.md": markdown(report),
    }
    for name, text in texts.items():
        with write_atomically(Path(folder) / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return Path(folder) / "report.json", Path(folder) / "report.md"


def _cohort(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "samples": len(evaluation.samples),
        "patients": len(set(evaluation.patients)),
        "cells": sum(evaluation.cells),
        "classes": {
            name: {
                "patients": _patients_of(evaluation)[name],
                "samples": evaluation.labels.count(name),
            }
            for name in evaluation.classes
        },
    }


def _patients_of(evaluation: Evaluation) -> Counter[str]:
    pairs = set(zip(evaluation.patients, evaluation.labels, strict=True))
    return Counter(label for _, label in pairs)


def _method_figures(evaluation: Evaluation, method: Method, weights: Array) -> dict[str, Any]:
    truth = [evaluation.classes.index(label) for label in evaluation.labels]
    # Row 0 counts every sample once: the figure itself; the rest are the bootstrap.
    every = np.concatenate([np.ones((1, len(truth))), weights])
    runs = [weighted_metrics(truth, run, every) for run in evaluation.probabilities[method]]
    figures: dict[str, Any] = {
        name: _figure(np.stack([run[name] for run in runs])) for name in METRIC_NAMES
    }
    figures["auprc"] = {
        label: _figure(np.stack([run["auprc"][:, k] for run in runs]))
        for k, label in enumerate(evaluation.classes)
    }
    figures["instance_auroc"] = _instance_figure(evaluation.instance_auroc[method], every)
    figures["seconds"] = round(evaluation.seconds[method], 1)
    return figures


def _instance_figure(auroc: Array, weights: Array) -> dict[str, Any] | None:
    """Return the mean over the samples where it is defined; None where there are none."""
    known = ~np.isnan(auroc).any(axis=0)
    if not known.any():
        return None
    drawn = weights[:, known]
    total = drawn.sum(1)
    # A resampling without any of these samples says nothing of them.
    means = (auroc[:, known] @ drawn.T)[:, total > 0] / total[total > 0]
    return _figure(means) | {"random": RANDOM_AUROC, "samples": int(known.sum())}


def _figure(values: Array) -> dict[str, Any]:
    """Return mean, std and interval of (runs, 1 + replicates) values, the first the figure's."""
    of_runs, replicates = values[:, 0], values[:, 1:].mean(axis=0)
    low, high = np.percentile(replicates, (2.5, 97.5))
    return {
        "mean": float(of_runs.mean()),
        "std": float(of_runs.std(ddof=1)) if len(of_runs) > 1 else None,
        "interval": [float(low), float(high)],
    }


def _predictions(evaluation: Evaluation) -> list[dict[str, Any]]:
    predictions = []
    for method, runs in evaluation.probabilities.items():
        for run, samples in enumerate(runs):
            for row, shares in enumerate(samples):
                auroc = float(evaluation.instance_auroc[method][run, row])
                predictions.append(
                    {
                        "method": method,
                        "run": run,
                        "fold": int(evaluation.fold[run, row]),
                        "patient": evaluation.patients[row],
                        "sample": evaluation.samples[row],
                        "label": evaluation.labels[row],
                        "predicted": evaluation.classes[int(shares.argmax())],
                        "probabilities": {
                            name: round(float(share), 6)
                            for name, share in zip(evaluation.classes, shares, strict=True)
                        },
                        "instance_auroc": None if math.isnan(auroc) else auroc,
                    }
                )
    return predictions


def _notes(evaluation: Evaluation) -> list[str]:
    folds = evaluation.evaluation.folds
    few = [
        f"Class {name!r} has {count} patients for {folds} folds: one test patient a fold, so its "
        "figures rest on single patients."
        for name, count in sorted(_patients_of(evaluation).items())
        if count == folds
    ]
    return [
        *few,
        "Every figure is computed over all samples of a run, each classified by the model that "
        "never saw its patient, then averaged over runs; ± is the standard deviation over runs.",
        "Intervals: bootstrap over patients within classes, 2.5th to 97.5th percentile.",
        "Trainings stop early, if at all, by their training loss; no test fold is looked at.",
        "Instance AU ROC: attention against the cells known to be altered, per diseased sample, "
        f"then their mean; a random score reaches {RANDOM_AUROC}.",
        "Decision support for research; not for diagnosis.",
    ]


def _table_1(methods: Mapping[Method, Any]) -> list[str]:
    names = ["accuracy", "f1_weighted", "auroc", "instance_auroc"]
    rows = [
        [METHODS[method].title, *(_mean_and_std(figures[name]) for name in names)]
        for method, figures in methods.items()
    ]
    return _table(["Method", "Accuracy", "F1 Score", "AU ROC", "Instance AU ROC"], rows)


def _interval_table(methods: Mapping[Method, Any]) -> list[str]:
    names = [*METRIC_NAMES, "instance_auroc"]
    rows = [
        [METHODS[method].title, *(_interval(figures[name]) for name in names)]
        for method, figures in methods.items()
    ]
    return _table(["Method", *METRIC_NAMES.values(), "Instance AU ROC"], rows)


def _class_table(methods: Mapping[Method, Any], classes: list[str]) -> list[str]:
    rows = [
        [METHODS[method].title, *(_mean_and_std(figures["auprc"][name]) for name in classes)]
        for method, figures in methods.items()
    ]
    return _table(["Method", *classes], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    # A class is called what its folder is called, and that may hold the table's own sign.
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]


def _mean_and_std(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "–"
    spread = "" if figure["std"] is None else f" ± {figure['std']:.2f}"
    return f"{figure['mean']:.2f}{spread}"


def _interval(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "–"
    low, high = figure["interval"]
    return f"{figure['mean']:.2f} ({low:.2f}–{high:.2f})"
