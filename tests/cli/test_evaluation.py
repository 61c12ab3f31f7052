"""`attmil evaluate` on a small simulated study."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from napari_attmil.bags.methods import METHODS, TABLE_1
from napari_attmil.cli.stages import method_names
from napari_attmil.core.errors import UserError
from napari_attmil.core.workers import Workers

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


def test_several_workers_write_the_report_of_one(
    attmil: Any, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    executor = Workers.executor
    monkeypatch.setattr(
        Workers, "executor", lambda self, count: counts.append(count) or executor(self, count)
    )
    plan = ("--folds", 2, "--runs", 1, "--epochs", 1, "--methods", "mil-att-sic", "--no-ensemble")
    one = attmil("evaluate", study, "--out", tmp_path / "one", *plan)
    assert counts == []
    two = attmil("evaluate", study, "--out", tmp_path / "two", *plan, "--workers", 2)
    assert one.code == two.code == 0
    assert counts == [2]
    first, second = (
        _without_times(json.loads((tmp_path / name / "report.json").read_text()))
        for name in ("one", "two")
    )
    assert first == second and "confusion" in first["methods"]["mil-att-sic"]


def test_less_than_one_worker_is_refused(attmil: Any, study: Path, tmp_path: Path) -> None:
    refused = attmil("evaluate", study, "--out", tmp_path / "report", "--workers", 0)
    assert refused.code == 1 and not (tmp_path / "report").exists()
    assert refused.err == (
        "attmil: Invalid value for '--workers': Input should be greater than or equal to 1. "
        "See `attmil evaluate --help`."
    )


def _without_times(report: Any) -> Any:
    if not isinstance(report, dict):
        return report
    return {
        name: _without_times(own)
        for name, own in report.items()
        if name != "created" and "seconds" not in name
    }


def test_methods_are_named_by_table_or_by_name() -> None:
    assert method_names("table-1") == TABLE_1
    assert method_names("all") == tuple(METHODS)
    assert method_names("mil-top-sic,table-1") == (*TABLE_1, "mil-top-sic")
    with pytest.raises(UserError, match="no method 'mil'"):
        method_names("mil")
