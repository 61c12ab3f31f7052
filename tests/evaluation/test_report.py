from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.metrics import f1_score

from napari_attmil.bags.attribution.measures import CURVE_STEPS
from napari_attmil.bags.attribution.subsets import SCORES
from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.cells.settings import FeatureSettings
from napari_attmil.core.words import CAUTION
from napari_attmil.evaluation.cross_validation import Evaluation
from napari_attmil.evaluation.outcome import MEASURES, Outcome
from napari_attmil.evaluation.page import markdown, page
from napari_attmil.evaluation.report import evaluation_report, write_report
from napari_attmil.evaluation.rows import Row
from napari_attmil.evaluation.settings import EvaluationSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def by_hand() -> Evaluation:
    """Return two runs over six patients of two classes; one sample is missed in the second."""
    right, wrong = [0.9, 0.1], [0.4, 0.6]
    first = np.array([right] * 3 + [[0.2, 0.8]] * 3)
    second = first.copy()
    second[0] = wrong
    return Evaluation(
        classes=("healthy", "sickle"),
        reference="healthy",
        samples=tuple("stuvwx"),
        patients=tuple("STUVWX"),
        labels=("healthy",) * 3 + ("sickle",) * 3,
        cells=(10,) * 6,
        fold=np.array([[0, 1, 2, 0, 1, 2]] * 2),
        rows=(Row("mil-max", "MIL + max", "mil-max"),),
        outcomes={"mil-max": outcome_of(np.stack([first, second]))},
        settings=MILSettings(method="mil-att-sic"),
        evaluation=EvaluationSettings(folds=3, runs=2, methods=("mil-max",), ensemble=False),
        ensemble=EnsembleSettings(),
        reader_digest="abc",
        feature_settings=FeatureSettings(),
        device="processor, float32",
    )


def outcome_of(probabilities: np.ndarray) -> Outcome:
    """Return an outcome whose cells are scored alike in both runs; every set is an answer."""
    runs, n, _ = probabilities.shape
    measures = np.full((runs, n, len(SCORES), len(MEASURES)), 0.25)
    measures[..., :3] = np.nan
    measures[:, 3:, 0, 0] = [0.6, 0.7, 0.8]
    curves = np.zeros((runs, n, len(SCORES), CURVE_STEPS + 1))
    cells = np.tile(np.arange(10 * n, dtype=np.float32)[:, None], (runs, 1, len(SCORES)))
    healthy = np.arange(n) < 3
    return Outcome(
        probabilities=probabilities,
        uncalibrated=np.full_like(probabilities, 0.5),
        possible=(probabilities > np.array([0.5, 0.1])).astype(np.float64),
        measures=measures,
        deletion=curves,
        insertion=curves + 1,
        effective_number=np.tile(np.where(healthy, 9.0, 2.0), (runs, 1)),
        top_contribution=np.full((runs, n), 0.1),
        seconds=np.full((runs, n), 0.25),
        epoch_seconds=np.tile([0.5] * 3 + [1] * 3, (runs, 1)),
        cell_scores=cells,
    )


def test_figures_are_means_and_deviations_over_runs(by_hand: Evaluation) -> None:
    figures = evaluation_report(by_hand)["methods"]["mil-max"]
    assert figures["accuracy"]["mean"] == pytest.approx((1 + 5 / 6) / 2)
    assert figures["accuracy"]["std"] == pytest.approx(np.std([1, 5 / 6], ddof=1))
    missed = f1_score([0] * 3 + [1] * 3, [1, 0, 0, 1, 1, 1], average="macro")
    assert figures["f1_macro"]["mean"] == pytest.approx((1 + missed) / 2)
    assert figures["auroc"]["mean"] == 1
    assert figures["auprc"]["sickle"]["mean"] == 1
    found = figures["attribution"]["attention"]["instance_auroc"]
    assert found["mean"] == pytest.approx(0.7)
    assert found["samples"] == 3
    assert figures["seconds"] == 3
    assert figures["seconds_an_epoch"] == 0.75
    # The patient missed in one run of two is drawn 0 to 3 times.
    assert figures["accuracy"]["interval"] == pytest.approx([0.75, 1])


def test_one_run_has_no_deviation(by_hand: Evaluation) -> None:
    outcome = by_hand.outcomes["mil-max"]
    first = Outcome(**{f.name: getattr(outcome, f.name)[:1] for f in fields(Outcome)})
    first.measures[..., :3] = np.nan
    once = replace(by_hand, fold=by_hand.fold[:1], outcomes={"mil-max": first})
    report = evaluation_report(once)
    figures = report["methods"]["mil-max"]
    assert figures["accuracy"]["std"] is None
    assert figures["attribution"]["attention"]["instance_auroc"] is None
    assert figures["attribution"]["attention"]["spearman"] is None  # there is nothing to agree with
    assert "| MIL + max | 1.00 | 1.00 | 1.00 | – |" in markdown(report)
    assert any("no ground truth of altered cells" in note for note in report["notes"])


def test_predictions_name_patient_sample_and_fold(by_hand: Evaluation) -> None:
    predictions = evaluation_report(by_hand)["predictions"]
    assert len(predictions) == 12
    assert predictions[6] == {
        "method": "mil-max",
        "run": 1,
        "fold": 0,
        "patient": "S",
        "sample": "s",
        "label": "healthy",
        "predicted": "sickle",
        "probabilities": {"healthy": 0.4, "sickle": 0.6},
        "possible": ["sickle"],
        "instance_auroc": None,
    }


def test_the_report_says_what_a_reader_must_know(by_hand: Evaluation) -> None:
    report = evaluation_report(by_hand, notes=["Sample 'y' has no cells and was left out."])
    notes = "\n".join(report["notes"])
    assert "'y' has no cells" in notes
    assert "Class 'healthy' has 3 patients: every fold tests a single one of them" in notes
    assert CAUTION in notes
    text = markdown(report)
    assert all(note in text for note in report["notes"])
    assert "| Method | Accuracy | F1 Score | AU ROC | Instance AU ROC |" in text
    assert "| MIL + max | 0.92 ± 0.12 |" in text


def test_certainty_says_what_calibration_gained_and_how_sets_fare(by_hand: Evaluation) -> None:
    certainty = evaluation_report(by_hand)["methods"]["mil-max"]["certainty"]
    own = [0.9] * 5 + [0.4] + [0.8] * 6
    assert certainty["nll_before"]["mean"] == pytest.approx(np.log(2))
    assert certainty["nll_after"]["mean"] == pytest.approx(-np.log(own).mean())
    assert certainty["nll_gain"]["mean"] == pytest.approx(np.log(2) + np.log(own).mean())
    # Only the sample that is missed has no set of the right class.
    assert certainty["coverage"]["mean"] == pytest.approx(11 / 12)
    assert certainty["set_size"]["mean"] == 1
    assert certainty["abstained"]["mean"] == 0


def test_healthy_samples_are_told_apart_by_how_many_cells_share_the_attention(
    by_hand: Evaluation,
) -> None:
    apart = evaluation_report(by_hand)["methods"]["mil-max"]["stands_apart"]
    assert apart["effective_number"]["auroc"]["mean"] == 1
    assert apart["effective_number"]["reference"]["mean"] == 9
    assert apart["effective_number"]["others"]["mean"] == 2
    assert apart["effective_share"]["reference"]["mean"] == pytest.approx(0.9)  # of ten cells
    assert apart["top_contribution"]["auroc"]["mean"] == 0.5  # all alike


def test_differences_are_paired_by_run_and_by_patient_drawn(by_hand: Evaluation) -> None:
    outcome = by_hand.outcomes["mil-max"]
    better = replace(outcome, probabilities=outcome.probabilities[[0, 0]])
    both = replace(
        by_hand,
        rows=(*by_hand.rows, Row("mil-att-sic", "MIL + att. + SIC", "mil-att-sic")),
        outcomes={"mil-max": outcome, "mil-att-sic": better},
    )
    (pair,) = evaluation_report(both)["differences"]
    assert (pair["reference"], pair["other"]) == ("mil-att-sic", "mil-max")
    assert pair["accuracy"]["mean"] == pytest.approx((0 + 1 / 6) / 2)
    # The patient missed in one run of two is drawn 0 to 3 times of 6.
    assert pair["accuracy"]["interval"] == pytest.approx([0, 0.25])


def test_a_class_with_few_patients_is_marked_next_to_its_figures(by_hand: Evaluation) -> None:
    report = evaluation_report(by_hand)
    assert "| Method | healthy † | sickle † |" in markdown(report)
    assert "healthy †" in page(report)
    assert report["notes"][0].startswith("† Class 'healthy' has 3 patients: every fold tests a ")


def test_patients_are_counted_in_the_folds_in_which_they_were_tested(by_hand: Evaluation) -> None:
    # Three patients would do for two folds on average, but one is alone in its fold.
    uneven = replace(by_hand, fold=np.array([[0, 0, 1, 0, 0, 0]] * 2))
    report = evaluation_report(uneven)
    assert "| Method | healthy † | sickle |" in markdown(report)
    assert [note for note in report["notes"] if "†" in note] == [
        "† Class 'healthy' has 3 patients: some folds test a single one of them, so its figures "
        "rest on single patients."
    ]
    # Two samples of a patient are one patient.
    twins = replace(uneven, patients=tuple("SSUVVV"))
    assert "| Method | healthy † | sickle † |" in markdown(evaluation_report(twins))


def test_the_page_needs_no_other_file_and_is_well_formed(by_hand: Evaluation) -> None:
    odd = "a<b & c|d"
    renamed = replace(
        by_hand,
        classes=(odd, "sickle"),
        reference=odd,
        labels=(odd,) * 3 + ("sickle",) * 3,
    )
    html = page(evaluation_report(renamed))
    assert "http" not in html and "src=" not in html and "@import" not in html
    assert "prefers-color-scheme: dark" in html
    assert CAUTION in html
    for svg in re.findall("<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(svg)
    assert odd not in html  # escaped
    # Two classes, and reliability, deletion and insertion of the one row.
    assert html.count('role="img"') == 2 + 3


def test_names_on_the_page_are_escaped(by_hand: Evaluation) -> None:
    hostile = "</title><script>alert('a & b')</script>"
    renamed = replace(
        by_hand,
        classes=(hostile, "sickle"),
        reference=hostile,
        labels=(hostile,) * 3 + ("sickle",) * 3,
        rows=(Row("mil-max", hostile, "mil-max"),),
        device=hostile,
    )
    html = page(evaluation_report(renamed, notes=[hostile]))
    assert "<script" not in html and "&lt;script&gt;" in html
    assert html.count("</title>") == 1 + 2 + 9  # of the page, and of the lines of its charts


def test_the_report_says_how_to_run_it_again(by_hand: Evaluation) -> None:
    report = evaluation_report(by_hand)
    made_with = report["made_with"]
    assert made_with["detector_digest"] == "abc"
    assert made_with["device"] == "processor, float32"
    assert {"napari-attmil", "torch", "python"} <= set(made_with)
    for text in (markdown(report), page(report)):
        assert "abc" in text
        assert "learning_rate" in text


def test_all_three_files_are_written(by_hand: Evaluation, tmp_path: Path) -> None:
    returned = write_report(by_hand, tmp_path / "reports")
    report = json.loads((tmp_path / "reports" / "report.json").read_text(encoding="utf-8"))
    assert report == returned
    assert report["cohort"]["cells"] == 60
    assert report["cohort"]["classes"]["sickle"] == {"patients": 3, "samples": 3, "few": True}
    text = (tmp_path / "reports" / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Cross-validation")
    page_text = (tmp_path / "reports" / "report.html").read_text(encoding="utf-8")
    assert page_text.startswith("<!DOCTYPE html>")
