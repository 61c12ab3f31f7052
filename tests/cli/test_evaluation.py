"""`attmil evaluate` on a small simulated study."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from napari_attmil.bags.methods import METHODS, TABLE_1
from napari_attmil.cli.stages import method_names
from napari_attmil.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


def test_evaluate_writes_the_report_of_the_contract(
    attmil: Any, study: Path, tmp_path: Path
) -> None:
    options: tuple[object, ...] = (
        "--folds",
        3,
        "--runs",
        2,
        "--epochs",
        2,
        "--methods",
        "mil-att-sic,sic",
    )
    options += ("--no-ensemble", "--controls")
    evaluated = attmil("evaluate", study, "--out", tmp_path, *options)
    assert evaluated.code == 0
    methods = json.loads((tmp_path / "report.json").read_text())["methods"]
    assert set(methods) == {"sic", "mil-att-sic", "shuffled-labels", "untrained"}
    figures = methods["mil-att-sic"]
    for name in ("accuracy", "f1_weighted", "f1_macro", "auroc"):
        low, high = figures[name]["interval"]
        assert 0 <= low <= high <= 1
        assert {"mean", "std"} <= set(figures[name])
    assert set(figures["auprc"]) == {"healthy", "sickle"}
    assert "| MIL + att. + SIC |" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert "| MIL + att. + SIC |" in evaluated.out
    # Once more: what is there is not trained again.
    again = attmil("evaluate", study, "--out", tmp_path, *options)
    assert again.code == 0
    assert "24 of 24 trainings were already done" in again.err


def test_evaluate_of_a_published_preset_has_no_ensemble_that_training_would_not_make(
    attmil: Any, study: Path, tmp_path: Path
) -> None:
    options = ("--preset", "paper", "--folds", 2, "--runs", 1, "--epochs", 1)
    methods = ("--methods", "mil-att-sic")
    assert attmil("evaluate", study, "--out", tmp_path, *options, *methods).code == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["methods"]) == ["mil-att-sic"] and report["main"] == "mil-att-sic"
    assert report["ensemble"]["members"] == 1 and not report["ensemble"]["calibrate"]


def test_methods_are_named_by_table_or_by_name() -> None:
    assert method_names("table-1") == TABLE_1
    assert method_names("all") == tuple(METHODS)
    assert method_names("mil-top-sic,table-1") == (*TABLE_1, "mil-top-sic")
    with pytest.raises(UserError, match="no method 'mil'"):
        method_names("mil")
