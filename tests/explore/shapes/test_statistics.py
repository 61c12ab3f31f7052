from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from napari_attmil.core.errors import UserError
from napari_attmil.explore.shapes.statistics import (
    compare_high_cells,
    effects_by_patient,
    findings_in_short,
    findings_in_words,
    healthy_cells,
    severity_by_sample,
    severity_threshold,
    wilson_interval,
)

FEATURES = ["area_um2", "elongation", "solidity"]


def cohort(
    rng: np.random.Generator, patients: int = 12, cells: int = 30, shift: float = 0.0
) -> pd.DataFrame:
    """Return two samples a patient; the tenth of the cells with the highest attention is larger.

    Patients differ more than cells do, and in some the cells differ more than in others.
    """
    parts = []
    for patient in range(patients):
        level, spread = rng.normal(0, 5), rng.uniform(0.5, 2)
        for sample in ("first", "second"):
            table = pd.DataFrame(level + spread * rng.normal(size=(cells, 3)), columns=FEATURES)
            table["attention"] = rng.dirichlet(np.ones(cells))
            high = table["attention"].rank() > 0.9 * cells
            table.loc[high, "area_um2"] += shift * spread
            parts.append(table.assign(patient=f"p{patient}", sample=f"p{patient}-{sample}"))
    return pd.concat(parts, ignore_index=True)


def test_effect_of_a_patient_is_the_mean_of_its_samples_rank_effects() -> None:
    cells = cohort(np.random.default_rng(0), patients=1, shift=1)
    expected = []
    for _, sample in cells.groupby("sample"):
        ranked = sample.sort_values("attention", ascending=False)["area_um2"].to_numpy()
        u = mannwhitneyu(ranked[:3], ranked[3:]).statistic
        expected.append(2 * u / (3 * 27) - 1)
    found = effects_by_patient(cells, "attention", ["area_um2"])
    assert found.loc["p0", "area_um2"] == pytest.approx(np.mean(expected))


def test_larger_high_cells_are_found_and_nothing_else() -> None:
    table = compare_high_cells(cohort(np.random.default_rng(1), shift=2), "attention", FEATURES)
    area, *others = table.to_dict("records")
    assert area["feature"] == "area_um2" and area["patients"] == 12
    assert 0.5 < area["low"] < area["effect"] < area["high"] <= 1
    assert area["p_corrected"] < 0.01
    assert all(row["p_corrected"] > 0.05 for row in others)
    words = findings_in_words(table)
    assert len(words) == 1 and words[0].startswith("Cells with high attention have higher area:")


def test_without_a_difference_no_more_than_one_study_in_twenty_finds_one() -> None:
    studies = 30
    false = 0
    for seed in range(studies):
        table = compare_high_cells(cohort(np.random.default_rng(seed), 12), "attention", FEATURES)
        false += bool((table["p_corrected"] < 0.05).any())
    # 95 % of studies with a rate of 0.05 stay below this.
    assert false <= 4


def test_nothing_found_is_said_in_words() -> None:
    table = compare_high_cells(cohort(np.random.default_rng(3)), "attention", FEATURES)
    words = "No feature differs between cells with high attention and the others."
    assert findings_in_words(table) == [words] and findings_in_short(table) == words


def test_too_few_patients_are_told_and_not_taken_for_no_difference() -> None:
    cells = cohort(np.random.default_rng(4), patients=4, shift=3)
    words = findings_in_words(compare_high_cells(cells, "attention", FEATURES))
    assert words == ["4 patients cannot show a difference; 6 or more are needed."]


def test_a_score_that_ranks_nothing_finds_nothing_in_whatever_order_the_rows_are() -> None:
    cells = cohort(np.random.default_rng(7), patients=8).assign(attention=1 / 30)
    cells["area_um2"] = -np.arange(len(cells), dtype=float)  # as rows follow the detector's score
    table = compare_high_cells(cells, "attention", FEATURES)
    assert table["effect"].isna().all() and not table["is_found"].any()
    (words,) = findings_in_words(table)
    assert words.startswith("No patient can be compared: all cells of a sample have the same")


def test_a_sample_of_one_score_has_no_say_in_its_patient_s_effect() -> None:
    cells = cohort(np.random.default_rng(8), patients=2, shift=1)
    second = cells["sample"] == "p0-second"
    expected = effects_by_patient(cells[~second], "attention", FEATURES)
    cells.loc[second, "attention"] = 0.0
    pd.testing.assert_frame_equal(effects_by_patient(cells, "attention", FEATURES), expected)


def test_cells_tied_at_the_border_share_the_places_of_the_high_ones() -> None:
    # 3 of 9 cells are high: the first, and two of the four tied ones. By hand, of the six pairs of
    # tied cells the mean of Cliff's delta over the pairs.
    score = np.array([5, 4, 4, 4, 4, 1, 1, 1, 1.0])
    value = np.array([3, 9, 8, 4, 1, 2, 6, 5, 7.0])
    deltas = []
    for pair in itertools.combinations(range(1, 5), 2):
        high = np.isin(np.arange(9), (0, *pair))
        u = mannwhitneyu(value[high], value[~high]).statistic
        deltas.append(2 * u / (3 * 6) - 1)
    for order in (np.arange(9), np.arange(9)[::-1]):
        cells = pd.DataFrame({"attention": score, "area_um2": value})
        cells = cells.iloc[order].assign(patient="p", sample="s")
        found = effects_by_patient(cells, "attention", ["area_um2"])
        assert found.loc["p", "area_um2"] == pytest.approx(np.mean(deltas))


def test_tied_cells_that_share_places_are_counted_whole() -> None:
    # 18 tied cells for 3 places: their shares add up to 2.9999999999999996 in a computer.
    table = pd.DataFrame({"area_um2": np.arange(20.0), "attention": np.repeat([1.0, 0.0], [18, 2])})
    found = effects_by_patient(table.assign(patient="p", sample="s"), "attention", ["area_um2"])
    assert found.loc["p", "area_um2"] == pytest.approx(-2 / 17)


def test_cells_that_could_not_be_measured_are_passed_over() -> None:
    cells = cohort(np.random.default_rng(5), shift=2)
    cells.loc[cells.index % 7 == 0, "area_um2"] = np.nan
    cells["solidity"] = np.nan
    table = compare_high_cells(cells, "attention", FEATURES).set_index("feature")
    assert table["p_corrected"]["area_um2"] < 0.05
    assert table["patients"]["solidity"] == 0 and np.isnan(table["p"]["solidity"])


def test_cohort_that_was_not_classified_is_refused_in_words() -> None:
    cells = cohort(np.random.default_rng(6)).assign(attention=np.nan)
    with pytest.raises(UserError, match="classify the samples"):
        compare_high_cells(cells, "attention", FEATURES)


def test_wilson_interval_is_that_of_the_textbook() -> None:
    low, high = wilson_interval([10, 0], [100, 20])
    np.testing.assert_allclose(low, [0.0552, 0.0], atol=1e-4)
    np.testing.assert_allclose(high, [0.1744, 0.1611], atol=1e-4)


def test_severity_is_the_share_of_cells_above_the_threshold_in_order_of_samples() -> None:
    cells = pd.DataFrame(
        {
            "patient": ["a"] * 4 + ["b"] * 2 + ["a"] * 2,
            "sample": ["a1"] * 4 + ["b1"] * 2 + ["a2"] * 2,
            "contribution": [1, 0, 0, 0, 0, 0, 1, 1],
        }
    )
    table = severity_by_sample(cells, "contribution", 0.5)
    assert table["sample"].tolist() == ["a1", "a2", "b1"]
    assert table["number"].tolist() == [1, 2, 1]
    assert table["share"].tolist() == [0.25, 1, 0]
    assert table["cells"].tolist() == [4, 2, 2]
    assert (table["low"] <= table["share"]).all() and (table["share"] <= table["high"]).all()


def test_five_percent_of_healthy_cells_lie_above_the_threshold() -> None:
    cells = pd.DataFrame({"class": "healthy", "contribution_sickle": np.arange(101.0)})
    sick = cells.assign(**{"class": "sickle"})
    sick["contribution_sickle"] += 1000
    both = pd.concat([cells, sick])
    threshold, words = severity_threshold(both, "contribution_sickle")
    assert threshold == pytest.approx(95)
    assert words == "whose contribution is above that of 95% of the cells of healthy samples"


def test_without_healthy_samples_a_cell_counts_from_zero_on() -> None:
    cells = pd.DataFrame({"class": ["a", "b"], "contribution_a": [5.0, 6]})
    assert severity_threshold(cells, "contribution_a")[0] == 0


def test_what_healthy_samples_show_too_is_not_taken_for_the_disease() -> None:
    rng = np.random.default_rng(8)
    cells, healthy = cohort(rng, shift=2), cohort(rng, shift=2)
    area = compare_high_cells(cells, "attention", FEATURES, healthy).iloc[0]
    assert area["p_corrected"] < 0.05 < area["p_healthy"] and not area["is_found"]
    assert abs(area["effect"] - area["healthy"]) < 0.3
    words = findings_in_words(compare_high_cells(cells, "attention", FEATURES, healthy))
    assert words == [
        "Cells with high attention also differ in area, but no more than in healthy samples: this "
        "shows what the classifier looks at, not the disease."
    ]


def test_a_few_healthy_patients_are_not_taken_for_showing_the_same() -> None:
    rng = np.random.default_rng(11)
    cells, healthy = cohort(rng, 8, shift=4), cohort(rng, 1)
    table = compare_high_cells(cells, "attention", FEATURES, healthy)
    area = table.iloc[0]
    assert area["effect"] > area["healthy"] and area["p_healthy"] == pytest.approx(1 / 9)
    assert area["healthy_patients"] == 1 and not area["is_found"]
    assert findings_in_words(table) == [
        "Cells with high attention also differ in area, but the patients are too few to say "
        "whether this goes beyond healthy samples; 2 or more healthy patients are needed."
    ]
    enough = table.assign(healthy_patients=2)  # Enough to show it, but they did not.
    (words,) = findings_in_words(enough)
    assert words.endswith("too few to say whether this goes beyond healthy samples.")


def test_what_goes_beyond_healthy_samples_is_found_and_they_are_named() -> None:
    rng = np.random.default_rng(9)
    cells, healthy = cohort(rng, shift=2), cohort(rng)
    table = compare_high_cells(cells, "attention", FEATURES, healthy)
    assert table["is_found"].tolist() == [True, False, False]
    (words,) = findings_in_words(table)
    assert "12 patients; in healthy samples" in words
    assert findings_in_short(table).startswith(
        "Cells with high attention have higher area: p ≤ 0.0"
    )
    assert findings_in_short(table).endswith(", each beyond that of healthy samples.")


def test_an_effect_that_healthy_samples_show_more_is_not_found() -> None:
    rng = np.random.default_rng(10)
    table = compare_high_cells(
        cohort(rng, shift=1), "attention", FEATURES, cohort(rng, shift=6)
    ).iloc[0]
    assert table["p_healthy"] < 0.05 and table["p_corrected"] < 0.05 and not table["is_found"]


def test_the_class_that_a_classifier_knows_as_healthy_goes_before_names() -> None:
    classes = ["donor", "healthy", "sickle"]
    cells = pd.DataFrame({"class": classes, "attention": 0.5, "contribution_sickle": [3.0, 2, 1]})
    found = healthy_cells(cells, "sickle", "attention", "donor")
    assert found is not None and found.index.tolist() == [0]
    assert severity_threshold(cells, "contribution_sickle", "donor")[0] == 3
    assert healthy_cells(cells, "sickle", "attention", "absent") is None


def test_healthy_cells_are_those_of_the_reference_class_that_were_classified() -> None:
    cells = pd.DataFrame({"class": ["healthy", "healthy", "sickle"], "attention": [0.5, np.nan, 1]})
    found = healthy_cells(cells, "sickle", "attention")
    assert found is not None and found.index.tolist() == [0]
    assert healthy_cells(cells, "healthy", "attention") is None
    assert healthy_cells(cells, "sickle", "contribution_sickle") is None
    assert healthy_cells(cells[cells["class"] == "sickle"], "sickle", "attention") is None
