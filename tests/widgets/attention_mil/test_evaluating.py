from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QDialog, QLabel, QSpinBox
from support.pages.attention_mil import ClassifierPage
from support.pages.page import Page, choose

from napari_attmil import workflows
from napari_attmil.bags import TABLE_1
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.widgets.attention_mil.evaluate_dialog import EvaluateDialog
from napari_attmil.workflows import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from threading import Event

    from napari_attmil.evaluation import EvaluationSettings
    from napari_attmil.widgets.attention_mil.panel import AttentionMILWidget

ACCURACY = {"mean": 0.875, "interval": [0.6, 1.0]}
REPORT = {
    "main": "ensemble",
    "methods": {"ensemble": {"title": "Ensemble of attention", "accuracy": ACCURACY}},
    "evaluation": {"folds": 2},
}


@pytest.fixture
def cohort(docked_panel: AttentionMILWidget, tmp_path: Path) -> Cohort:
    """Return the study of two samples, one of each class, that is open in the panel."""
    samples = tuple(
        Sample(name, name, label, (Frame(tmp_path / f"{name}.tif"),))
        for name, label in (("s1", "healthy"), ("s2", "sickle"))
    )
    for sample in samples:
        tifffile.imwrite(sample.frames[0].path, np.full((60, 80), 90, dtype=np.uint8))
    cohort = Cohort(samples, tmp_path)
    docked_panel.context.image_choice.use_cohort(cohort)
    return cohort


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what evaluations are asked for; each writes an empty report."""
    calls: list[Any] = []

    def evaluate(study: Any, settings: Any, plan: Any, *rest: Any, stop: Event) -> Any:
        *_, out = rest
        calls.append((settings, plan, out))
        yield Progress(1, 1, "Training")
        if stop.is_set():
            return None
        out.mkdir(parents=True)
        (out / "report.html").write_text("<html></html>")
        return REPORT

    monkeypatch.setattr(workflows, "evaluate_study", evaluate)
    return calls


def test_a_study_is_evaluated_as_the_panel_is_set_and_the_report_can_be_opened(
    docked_panel: AttentionMILWidget,
    cohort: Cohort,
    wait_idle: Callable[[AttentionMILWidget], None],
    asked: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docked_panel.show_step("classifier")
    page, opened = Page(docked_panel), list[str]()
    ClassifierPage(docked_panel.classifier_step).choose_healthy("sickle")
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))

    def set_it(dialog: EvaluateDialog) -> int:
        folds, runs = dialog.findChildren(QSpinBox)
        folds.setValue(2)
        runs.setValue(4)
        choose(Page(dialog).combo("What else"), "the paper's four methods")
        # The four and the ensemble, in two folds of four runs.
        assert Page(dialog).text("effort").startswith("40 trainings,")
        return QDialog.DialogCode.Accepted

    monkeypatch.setattr(EvaluateDialog, "exec", set_it)
    page.press("Evaluate…")
    wait_idle(docked_panel)
    ((settings, plan, out),) = asked
    assert settings.reference_class == "sickle"
    assert (plan.folds, plan.runs, plan.methods, plan.ensemble) == (2, 4, TABLE_1, True)
    assert out == cohort.folder / "reports" / "evaluation"
    assert page.messages()[0] == (
        "Ensemble of attention: 88% of the samples of held-out patients right (95 % interval 60% "
        f"to 100%), 2 folds by patient. The report is {out / 'report.html'}."
    )
    page.press("Open report")
    assert opened == [str(out / "report.html")]


def test_where_one_model_is_trained_that_model_is_evaluated(tmp_path: Path, qtbot: Any) -> None:
    dialog = EvaluateDialog("mil-max", False, tmp_path)
    qtbot.addWidget(dialog)

    def plan() -> EvaluationSettings:
        return dialog.value()

    assert plan().methods == ("mil-max",)
    choose(Page(dialog).combo("What else"), "the paper's four methods")
    assert plan().methods == TABLE_1 and "mil-max" in TABLE_1
    assert any(
        "the classifier in use" in label.text().lower() for label in dialog.findChildren(QLabel)
    )
