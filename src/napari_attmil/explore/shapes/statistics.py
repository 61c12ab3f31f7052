"""Whether cells of high score look different, and how many cells of a sample support a class.

The cells of a patient are not independent: cells are compared within their sample, samples are
averaged within their patient, and statistics count patients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_attmil.core import Remedy, UserError, counted, with_interval
from napari_attmil.explore.cell_export import CONTRIBUTION
from napari_attmil.explore.shapes.morphology import feature_title, without_unit
from napari_attmil.explore.shapes.randomisation_tests import (
    fewest_others,
    fewest_patients,
    group_test,
    sign_flip_test,
    typical_interval,
)
from napari_attmil.images import reference_class

Array = npt.NDArray[np.float64]

HIGH_SHARE: Final = 0.1
"""Share of a sample's cells that count as high."""
FEWEST_CELLS: Final = 3
"""Minimum number of measured high cells, and of measured other cells, to compare a sample."""
SIGNIFICANT: Final = 0.05
HEALTHY_ABOVE: Final = 0.05
"""Share of the cells of healthy samples above the severity threshold of a class."""
CONFIDENCE: Final = 0.95


def compare_high_cells(
    cells: pd.DataFrame,
    score: str,
    features: Sequence[str],
    healthy: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the cells with the highest score with the others, feature by feature.

    A classifier also attends to odd cells in healthy samples. Effects are therefore compared with
    those in healthy samples: only effects that differ are signs of the disease.

    Parameters
    ----------
    cells
        One row per cell with the columns sample, patient, `score` and `features`.
    score
        The score that defines high cells: attention, or the contribution to a class.
    features
        Measures to compare; NaN where a cell was not measured.
    healthy
        The cells of healthy patients in the same form, if there are any.
    seed
        Of the random draws, if there are too many patients for all rearrangements.

    Returns
    -------
    DataFrame
        One row per feature, in order: feature; effect (-1 to 1, see `effects_by_patient`, the mean
        over patients) with low and high (95 %, see `typical_interval`); p and p_corrected (for the
        number of features; see `sign_flip_test`); patients; healthy (the effect in healthy
        patients) and p_healthy (for a difference from it, corrected; see `group_test`), NaN without
        healthy patients; healthy_patients; is_found: whether the effect differs from 0 and, if
        there are healthy patients, goes beyond theirs.
    """
    effects = effects_by_patient(cells, score, features)
    p, p_corrected = sign_flip_test(effects.to_numpy(), seed)
    intervals = [
        typical_interval(effects[feature].dropna().to_numpy(), CONFIDENCE, seed)
        for feature in features
    ]
    low, high = np.array(intervals).reshape(-1, 2).T
    columns = {"feature": list(features), "effect": effects.mean().to_numpy()}
    columns |= {"low": low, "high": high, "p": p, "p_corrected": p_corrected}
    table = pd.DataFrame(columns | {"patients": effects.notna().sum().to_numpy()})
    return _beside_healthy(table, effects, healthy, score, seed)


def healthy_class_of(cells: pd.DataFrame, stated: str | None = None) -> str | None:
    """Return the class of the healthy samples of a cohort's cells.

    Parameters
    ----------
    cells
        One row per cell with the column class.
    stated
        The class, if the classifier defines it; otherwise it is recognised by its name.
    """
    return stated or reference_class(sorted(map(str, cells["class"].unique())))


def healthy_cells(
    cells: pd.DataFrame, name: str, score: str, healthy_class: str | None = None
) -> pd.DataFrame | None:
    """Return the cells of a cohort's healthy samples to compare those of a class with.

    Parameters
    ----------
    cells
        One row per cell of the whole cohort with the columns class and `score`.
    name
        The class to compare.
    score
        The score of the comparison; cells without it are left out.
    healthy_class
        As for `healthy_class_of`.

    Returns
    -------
    DataFrame or None
        None if no class is recognised as healthy, if it is `name`, or if it has no such cell.
    """
    reference = healthy_class_of(cells, healthy_class)
    if reference in (None, name) or score not in cells:
        return None
    found = cells[(cells["class"] == reference) & cells[score].notna()]
    return None if found.empty else found


def effects_by_patient(cells: pd.DataFrame, score: str, features: Sequence[str]) -> pd.DataFrame:
    """Return how much higher each feature is in a patient's high cells.

    The effect within a sample is Cliff's delta: how much more often a high cell exceeds another one
    than the reverse, from -1 (never) to 1 (always). High cells are the `HIGH_SHARE` with the
    highest score, at least `FEWEST_CELLS`; tied cells at the border share the remaining places, so
    that the order of rows does not matter.

    Returns
    -------
    DataFrame
        One row per patient, one column per feature: the mean over the patient's samples, NaN if no
        sample has enough cells of different scores.

    Raises
    ------
    UserError
        If no cell has a score.
    """
    scored = cells[cells[score].notna()]
    if scored.empty:
        raise UserError(
            f"No cell has a value of {score!r}; classify the samples, or choose another column.",
            Remedy.CLASSIFY,
        )
    values = {
        key: [_cliffs_delta(sample[feature].to_numpy(float), high_shares) for feature in features]
        for key, sample in scored.groupby(["patient", "sample"], sort=False)
        for high_shares in [_high_shares(sample[score].to_numpy(float))]
    }
    by_sample = pd.DataFrame.from_dict(values, orient="index", columns=list(features))
    by_sample.index = pd.MultiIndex.from_tuples(by_sample.index, names=["patient", "sample"])
    return by_sample.groupby("patient", sort=False).mean()


def severity_by_sample(cells: pd.DataFrame, contribution: str, threshold: float) -> pd.DataFrame:
    """Return the share of each sample's cells that support a class.

    Parameters
    ----------
    cells
        One row per cell with the columns sample, patient and `contribution`.
    contribution
        The signed share of a class's logit.
    threshold
        A cell above it counts.

    Returns
    -------
    DataFrame
        One row per sample, those of a patient together and in their order: class (empty if
        unknown), patient, sample, number (1 for the patient's first), cells, share, low and high
        (Wilson's 95 % interval, for cells drawn at random from the sample).
    """
    scored = cells[cells[contribution].notna()]
    marked = scored.assign(is_above=scored[contribution] > threshold)
    if "class" not in marked:
        marked["class"] = ""
    groups = marked.groupby(["class", "patient", "sample"], sort=False)["is_above"]
    table = groups.agg(cells="size", share="mean").reset_index()
    table["low"], table["high"] = wilson_interval(groups.sum(), table["cells"])
    order = pd.factorize(table["patient"])[0]
    table = table.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)
    table.insert(3, "number", table.groupby("patient").cumcount() + 1)
    return table


def severity_threshold(
    cells: pd.DataFrame, contribution: str, healthy_class: str | None = None
) -> tuple[float, str]:
    """Return the contribution above which a cell supports a class, and its definition in words.

    A share `HEALTHY_ABOVE` of the cells of healthy samples exceeds it; without such samples it is
    0.

    Parameters
    ----------
    cells
        One row per cell of the whole cohort with the columns class and `contribution`.
    contribution
        The signed share of a class's logit.
    healthy_class
        As for `healthy_class_of`.
    """
    healthy = healthy_class_of(cells, healthy_class)
    of_healthy = cells.loc[cells["class"] == healthy, contribution].dropna()
    if of_healthy.empty or contribution == f"{CONTRIBUTION}{healthy}":
        return 0.0, "whose contribution is above 0"
    threshold = float(of_healthy.quantile(1 - HEALTHY_ABOVE))
    share = f"{1 - HEALTHY_ABOVE:.0%} of the cells of {healthy} samples"
    return threshold, f"whose contribution is above that of {share}"


def findings_in_words(table: pd.DataFrame, score: str = "attention") -> list[str]:
    """Return the findings of a comparison, one sentence per feature, or one if there are none."""
    sentences = [_in_words(row, score) for row in table[table["is_found"]].to_dict("records")]
    unproven = table[(table["p_corrected"] < SIGNIFICANT) & ~table["is_found"]]
    is_beyond = _goes_beyond(unproven)
    if not is_beyond.all():
        sentences.append(
            f"Cells with high {score} also differ in {_in_titles(unproven[~is_beyond])}, but no "
            "more than in healthy samples: this shows what the classifier looks at, not the "
            "disease."
        )
    if is_beyond.any():
        sentences.append(
            f"Cells with high {score} also differ in {_in_titles(unproven[is_beyond])}, but the "
            "patients are too few to say whether this goes beyond healthy samples"
            f"{_healthy_needed(unproven[is_beyond])}."
        )
    if sentences:
        return sentences
    patients = int(table["patients"].max()) if len(table) else 0
    needed = fewest_patients(SIGNIFICANT)
    if not patients:
        return [
            f"No patient can be compared: all cells of a sample have the same {score}, or too few "
            "of them were measured."
        ]
    if patients < needed:
        return [
            f"{counted(patients, 'patient')} cannot show a difference; {needed} or more are needed."
        ]
    return [f"No feature differs between cells with high {score} and the others."]


def findings_in_short(table: pd.DataFrame, score: str = "attention") -> str:
    """Return the findings of a comparison in short, without the numbers of each feature."""
    found = table[table["is_found"]]
    if found.empty:
        return " ".join(findings_in_words(table, score))
    parts = [
        f"{word} {_in_titles(rows)}"
        for word, rows in (
            ("lower", found[found["effect"] < 0]),
            ("higher", found[found["effect"] > 0]),
        )
        if len(rows)
    ]
    beyond = "" if found["healthy"].isna().any() else ", each beyond that of healthy samples"
    return (
        f"Cells with high {score} have {' and '.join(parts)}: p ≤ {found['p_corrected'].max():.2g} "
        f"after correction, {found['patients'].max()} patients{beyond}."
    )


def wilson_interval(above: Iterable[int], cells: Iterable[int]) -> Array:
    """Return (2, n) the ends of the 95 % intervals of shares of cells (Wilson 1927)."""
    from scipy.stats import binomtest  # 0.2 s that no panel waits for

    counts = zip(above, cells, strict=True)
    tests = [binomtest(int(above), int(cells)) for above, cells in counts]
    ends = [test.proportion_ci(CONFIDENCE, method="wilson") for test in tests]
    return np.array(ends).reshape(-1, 2).T


def _beside_healthy(
    table: pd.DataFrame, effects: pd.DataFrame, healthy: pd.DataFrame | None, score: str, seed: int
) -> pd.DataFrame:
    """Return a comparison with the columns on healthy patients, and is_found."""
    differs = table["p_corrected"] < SIGNIFICANT
    if healthy is None:
        unknown = {"healthy": np.nan, "p_healthy": np.nan, "healthy_patients": 0}
        return table.assign(**unknown, is_found=differs)
    theirs = effects_by_patient(healthy, score, list(table["feature"]))
    _, p_healthy = group_test(effects.to_numpy(), theirs.to_numpy(), seed)
    table = table.assign(
        healthy=theirs.mean().to_numpy(),
        p_healthy=p_healthy,
        healthy_patients=theirs.notna().sum().to_numpy(),
    )
    is_beyond = _goes_beyond(table) & (table["p_healthy"] < SIGNIFICANT)
    return table.assign(is_found=differs & (table["healthy"].isna() | is_beyond))


def _goes_beyond(table: pd.DataFrame) -> pd.Series[bool]:
    """Return which effects are further from 0 than those of healthy patients, on the same side."""
    return (table["effect"] - table["healthy"]) * table["effect"] > 0


def _in_words(row: Mapping[Any, Any], score: str) -> str:
    """Return one finding as a sentence."""
    words = (
        f"Cells with high {score} have {'higher' if row['effect'] > 0 else 'lower'} "
        f"{_in_title(row['feature'])}: effect "
        f"{with_interval(row['effect'], row['low'], row['high'], signed=True)}, "
        f"p = {row['p_corrected']:.2g} after correction, {row['patients']} patients"
    )
    if np.isnan(row["healthy"]):
        return f"{words}."
    return f"{words}; in healthy samples {row['healthy']:+.2f}, p = {row['p_healthy']:.2g}."


def _healthy_needed(unproven: pd.DataFrame) -> str:
    """Return how many healthy patients are needed for significance; empty if there are enough."""
    needed = unproven["patients"].map(lambda patients: fewest_others(int(patients), SIGNIFICANT))
    lacking = needed[unproven["healthy_patients"] < needed]
    return "" if lacking.empty else f"; {lacking.max()} or more healthy patients are needed"


def _in_titles(rows: pd.DataFrame) -> str:
    return ", ".join(map(_in_title, rows["feature"]))


def _in_title(feature: object) -> str:
    return feature_title(without_unit(str(feature)))


def _high_shares(score: Array) -> Array:
    """Return (n,) 1 for high cells and 0 for others; for ties, the chance of being high.

    Ties are thought to be broken at random.
    """
    count = min(max(FEWEST_CELLS, round(HIGH_SHARE * len(score))), len(score))
    border = np.sort(score)[-count]
    above, tied = score > border, score == border
    places_left = count - np.count_nonzero(above)
    return np.asarray(above + tied * (places_left / np.count_nonzero(tied)))


def _cliffs_delta(values: Array, high_shares: Array) -> float:
    """Return Cliff's delta, averaged over random orders of cells with tied scores.

    NaN if too few cells were measured, or if the measured cells all have the same score.
    """
    from scipy.stats import rankdata

    is_measured = np.isfinite(values)
    high = high_shares[is_measured]
    count = round(float(high.sum()), 6)  # a whole number up to rounding
    others = len(high) - count
    if min(count, others) < FEWEST_CELLS or np.ptp(high) == 0:
        return np.nan
    # By how many more cells a cell exceeds than exceed it; high cells cancel out among themselves.
    exceeds = 2 * rankdata(values[is_measured]) - len(high) - 1
    return float((high * exceeds).sum() / (count * others))
