"""The report of an evaluation for people: as Markdown, and as an HTML page with charts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from napari_attmil.evaluation.charts import precision_recall_chart, row_charts, scores_with_curves
from napari_attmil.evaluation.tables import marked_classes, tables
from napari_attmil.reports import from_template

Report = Mapping[str, Any]

HOW_FIGURES_ARE_MADE: Final = (
    "Every figure is computed over all samples of a run, each classified by a model that never saw "
    "its patient, then averaged over runs; ± is the standard deviation over runs. Folds are "
    "stratified by class and never part a patient; all rows meet the same folds and seeds.",
    "Intervals: bootstrap over patients within classes, 2.5th to 97.5th percentile. Differences "
    "are paired: the same runs, and the same patients drawn.",
    "Trainings stop early, if at all, by their training loss; calibration and prediction sets "
    "come from inner folds of the training patients. No test fold is looked at.",
)
RECIPE: Final = ("created", "made_with", "evaluation", "settings", "ensemble", "features")
"""Entries of the report that are needed to repeat the evaluation."""


def in_short(report: Report) -> str:
    """Return the sentence that matters most: how often what people use is right."""
    row = report["methods"][report["main"]]
    accuracy, (low, high) = row["accuracy"]["mean"], row["accuracy"]["interval"]
    return (
        f"{row['title']}: {accuracy:.0%} of the samples of held-out patients right (95 % interval "
        f"{low:.0%} to {high:.0%}), {report['evaluation']['folds']} folds by patient."
    )


def markdown(report: Report) -> str:
    """Return a report as Markdown: all tables, how to repeat it, and notes."""
    return from_template("evaluation/report.md.jinja", **_text(report))


def page(report: Report) -> str:
    """Return a report as a self-contained HTML page: the text of the Markdown, and charts."""
    classes = marked_classes(report)
    rows = [
        {
            "title": row["title"],
            "confusion": row["confusion"],
            "scores": scores_with_curves(row),
            "charts": row_charts(row),
        }
        for row in report["methods"].values()
    ]
    return from_template(
        "evaluation/page.html.jinja",
        **_text(report),
        main=report["methods"][report["main"]]["title"],
        classes=list(classes.values()),
        precision_recall=[
            precision_recall_chart(report, name, title) for name, title in classes.items()
        ],
        rows=rows,
    )


def _text(report: Report) -> dict[str, Any]:
    """Return the values that both templates need."""
    return {
        "title": "Cross-validation",
        "caution": report["caution"],
        "cohort": _cohort_sentence(report),
        "tables": tables(report),
        "how": HOW_FIGURES_ARE_MADE,
        "notes": report["notes"],
        "recipe": json.dumps({name: report[name] for name in RECIPE}, indent=1),
    }


def _cohort_sentence(report: Report) -> str:
    """Describe the cohort and how it was split."""
    cohort, plan = report["cohort"], report["evaluation"]
    sizes = zip(marked_classes(report).values(), cohort["classes"].values(), strict=True)
    classes = ", ".join(
        f"{name} ({size['patients']} patients, {size['samples']} samples)" for name, size in sizes
    )
    return (
        f"{cohort['patients']} patients, {cohort['samples']} samples, {cohort['cells']} cells; "
        f"{plan['folds']} folds by patient, runs: {plan['runs']}. Classes: {classes}."
    )
