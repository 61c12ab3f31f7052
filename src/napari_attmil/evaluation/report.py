"""The report of a cross-validation: for programs as JSON, for people as Markdown and HTML."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_attmil.bags import bootstrap_weights, patients_needed
from napari_attmil.bags.attribution import MOST_CELLS_LEFT_OUT
from napari_attmil.core import CAUTION, __version__, write_atomically
from napari_attmil.evaluation.figures import RECALLS, RowFigures, paired_differences
from napari_attmil.evaluation.page import markdown, page

if TYPE_CHECKING:
    from napari_attmil.evaluation.cross_validation import Evaluation

FORMAT = "napari-attmil evaluation/2"
REPLICATES = 2000


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
        Sentences that readers should know, for instance about samples that were left out.
    replicates
        Number of bootstrap replicates.
    """
    # All rows share one draw of patients, so that they can be compared pairwise. The first
    # weighting counts every sample once and gives the figure itself.
    drawn = bootstrap_weights(
        evaluation.patients, evaluation.labels, replicates, evaluation.evaluation.seed
    )
    weights = np.concatenate([np.ones((1, len(evaluation.samples))), drawn])
    of_rows = {row.name: RowFigures(evaluation, row.name, weights) for row in evaluation.rows}
    # The rows of the settings' own method; the last of them is the one for routine use.
    own = [
        row.name
        for row in evaluation.rows
        if row.method == evaluation.settings.method and not row.is_control
    ]
    return {
        "format": FORMAT,
        "caution": CAUTION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_with": _made_with(evaluation),
        "cohort": _cohort(evaluation),
        "settings": evaluation.settings.model_dump(exclude={"seed"}),
        "evaluation": evaluation.evaluation.model_dump(mode="json"),
        "ensemble": evaluation.ensemble.model_dump(),
        "features": evaluation.feature_settings.model_dump(),
        "main": own[-1] if own else evaluation.rows[0].name,
        "recalls": list(RECALLS),
        "methods": {
            row.name: {"title": row.title, "method": row.method, "kind": row.kind}
            | of_rows[row.name].all()
            for row in evaluation.rows
        },
        "differences": paired_differences(
            {name: figures.metrics for name, figures in of_rows.items()}, own
        ),
        "predictions": _predictions(evaluation),
        "notes": [*notes, *_notes(evaluation)],
    }


def write_report(evaluation: Evaluation, folder: Path, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Write ``report.json``, ``report.md`` and ``report.html``, each whole or not at all.

    Returns
    -------
    dict
        What `evaluation_report` returns.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    report = evaluation_report(evaluation, notes)
    texts = {
        "report.json": json.dumps(report, indent=1, allow_nan=False) + "\n",
        "report.md": markdown(report),
        "report.html": page(report),
    }
    for name, text in texts.items():
        with write_atomically(Path(folder) / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return report


def _made_with(evaluation: Evaluation) -> dict[str, str]:
    packages = ("torch", "numpy", "scipy", "scikit-learn")
    return {
        "napari-attmil": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "device": evaluation.device,
        "detector_digest": evaluation.reader_digest,
    }


def _cohort(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "samples": len(evaluation.samples),
        "patients": len(set(evaluation.patients)),
        "cells": sum(evaluation.cells),
        "reference_class": evaluation.reference,
        "classes": {
            name: {
                "patients": patients,
                "samples": evaluation.labels.count(name),
                "few": bool(_folds_of_one(evaluation, name)),
            }
            for name, patients in _patients_of(evaluation).items()
        },
    }


def _folds_of_one(evaluation: Evaluation, name: str) -> str:
    """Return which folds test a single patient of a class; empty if there are none."""
    patients = _patients_tested(evaluation, name)
    if min(patients) > 1:
        return ""
    return "every fold tests" if max(patients) == 1 else "some folds test"


def _patients_tested(evaluation: Evaluation, name: str) -> list[int]:
    """Return how many patients of a class each fold of each run tests, without folds of none."""
    is_class = np.array(evaluation.labels) == name
    patients = pd.Series(evaluation.patients)[is_class]
    of_runs = (patients.groupby(fold[is_class]).nunique() for fold in evaluation.fold)
    return [int(count) for counts in of_runs for count in counts]


def _patients_of(evaluation: Evaluation) -> dict[str, int]:
    counts = pd.Series(evaluation.patients).groupby(list(evaluation.labels)).nunique()
    return {name: int(counts.get(name, 0)) for name in evaluation.classes}


def _predictions(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [
        _prediction(evaluation, row.name, run, sample)
        for row in evaluation.rows
        for run, sample in np.ndindex(*evaluation.fold.shape)
    ]


def _prediction(evaluation: Evaluation, row: str, run: int, sample: int) -> dict[str, Any]:
    outcome, classes = evaluation.outcomes[row], evaluation.classes
    shares, possible = outcome.probabilities[run, sample], outcome.possible[run, sample]
    auroc = outcome.measure("attention", "instance_auroc")[run, sample]
    return {
        "method": row,
        "run": run,
        "fold": int(evaluation.fold[run, sample]),
        "patient": evaluation.patients[sample],
        "sample": evaluation.samples[sample],
        "label": evaluation.labels[sample],
        "predicted": classes[int(shares.argmax())],
        "probabilities": {
            name: round(float(share), 6) for name, share in zip(classes, shares, strict=True)
        },
        "possible": None
        if np.isnan(possible).any()
        else [name for name, is_in in zip(classes, possible, strict=True) if is_in],
        "instance_auroc": None if np.isnan(auroc) else round(float(auroc), 6),
    }


def _notes(evaluation: Evaluation) -> list[str]:
    """Return what readers of the figures must know."""
    few = [
        f"† Class {name!r} has {count} patients: {folds} a single one of them, so its figures rest "
        "on single patients."
        for name, count in _patients_of(evaluation).items()
        if (folds := _folds_of_one(evaluation, name))
    ]
    return [*few, *_notes_on_certainty(evaluation), *_notes_on_cells(evaluation), CAUTION]


def _notes_on_certainty(evaluation: Evaluation) -> list[str]:
    ensembles = [row.name for row in evaluation.rows if row.kind == "ensemble"]
    if not ensembles or not evaluation.ensemble.calibrate:
        return []
    if np.isnan(evaluation.outcomes[ensembles[0]].possible).any():
        return [
            "The ensemble was not calibrated: a fold leaves a class with a single patient to learn "
            "from."
        ]
    coverage = evaluation.ensemble.coverage
    patients, needed = _patients_of(evaluation), patients_needed(coverage)
    fewest = min(patients[name] - max(_patients_tested(evaluation, name)) for name in patients)
    if fewest >= needed:
        return []
    return [
        f"Calibration has as few as {fewest} patients of a class, and a class needs {needed} for "
        f"a {coverage:.0%} guarantee of its own: prediction sets then hold over all classes "
        "together, not for each."
    ]


def _notes_on_cells(evaluation: Evaluation) -> list[str]:
    notes = []
    large = sum(cells > MOST_CELLS_LEFT_OUT for cells in evaluation.cells)
    if large:
        notes.append(
            f"{large} samples have more than {MOST_CELLS_LEFT_OUT} cells; leave-one-out was not "
            "tried on them."
        )
    if evaluation.reference is None:
        notes.append(
            "No class is plainly called healthy or control, so whether healthy samples stand apart "
            "was not measured; name the reference class in the settings."
        )
    first = next(iter(evaluation.outcomes.values()))
    if np.isnan(first.measure("random", "instance_auroc")).all():
        notes.append(
            "This cohort has no ground truth of altered cells, so rankings were not scored."
        )
    return notes
