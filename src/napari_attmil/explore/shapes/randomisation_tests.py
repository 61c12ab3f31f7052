"""Whether effects of few patients differ from 0, or from those of other patients.

The null hypotheses are only that an effect is as likely to be positive as negative, or that group
membership is arbitrary. All measures of a patient are rearranged together, so that the correction
for several measures accounts for their correlation (area and diameter).
"""

from __future__ import annotations

import itertools
from math import comb
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

EXACT_PATIENTS: Final = 12
"""Up to this many patients all sign flips are tried; with more, `RANDOM_DRAWS` random ones."""
EXACT_SPLITS: Final = 20_000
"""Up to this many splits into two groups all are tried; otherwise as many random ones."""
RANDOM_DRAWS: Final = 20_000
_ROUNDING: Final = 1e-9


def sign_flip_test(effects: npt.ArrayLike, seed: int = 0) -> tuple[Array, Array]:
    """Return two-sided p-values of the mean effects, alone and corrected for their number.

    Fisher's randomisation test (1935), and the single-step maximum of Westfall and Young (1993),
    which controls the family-wise error rate for any correlation of the measures.

    Parameters
    ----------
    effects
        (n, k) one row per patient, one column per measure; NaN where a patient has none.

    Returns
    -------
    two arrays (k,)
        NaN where no patient has the measure.
    """
    values = np.asarray(effects, dtype=np.float64)
    filled = np.nan_to_num(values)
    # Flips do not change the sum of squares, so this is equivalent to a t statistic.
    scale = np.sqrt((filled**2).sum(axis=0))
    scaled = _divided(filled, scale)
    signs = 1.0 - 2.0 * _subsets(len(values), seed)
    return _p_values(signs @ scaled, np.isnan(values).all(axis=0))


def group_test(effects: npt.ArrayLike, others: npt.ArrayLike, seed: int = 0) -> tuple[Array, Array]:
    """Return two-sided p-values that two groups' mean effects differ, alone and corrected.

    The randomisation test of two groups (Pitman 1937), corrected as `sign_flip_test` is.

    Parameters
    ----------
    effects, others
        (n, k) and (m, k), one row per patient, one column per measure; NaN where there is none.

    Returns
    -------
    two arrays (k,)
        NaN where no patient of a group has the measure.
    """
    first, second = (np.asarray(group, dtype=np.float64) for group in (effects, others))
    missing = ~(np.isfinite(first).any(axis=0) & np.isfinite(second).any(axis=0))
    values = np.where(missing, np.nan, np.vstack([first, second]))
    splits = _splits(len(first), len(values), seed)
    return _p_values(_differences_of_means(_centred(values), np.isfinite(values), splits), missing)


def _centred(values: Array) -> Array:
    """Return (n, k) values minus their mean, of length 1; 0 where NaN.

    Splits do not change mean and length, so differences of means are equivalent to a t statistic.
    """
    is_measured = np.isfinite(values)
    filled = np.where(is_measured, values, 0)
    means = filled.sum(axis=0) / np.maximum(is_measured.sum(axis=0), 1)
    centred = np.where(is_measured, filled - means, 0)
    length = np.sqrt((centred**2).sum(axis=0))
    return _divided(centred, length)


def _differences_of_means(
    centred: Array, is_measured: npt.NDArray[np.bool_], splits: npt.NDArray[np.float64]
) -> Array:
    """Return (r, k) the first group's mean minus the other's in each of r splits."""
    sums, inside = splits @ centred, splits @ is_measured.astype(np.float64)
    outside = is_measured.sum(axis=0) - inside
    # All values sum to 0, those of the other group to -sums: sums / inside + sums / outside.
    return _divided(sums * (inside + outside), inside * outside)


def _divided(values: Array, by: Array) -> Array:
    """Return values divided by a non-negative divisor, or 0 where that is 0."""
    return np.asarray(np.divide(values, by, out=np.zeros_like(values), where=by > 0))


def _p_values(outcomes: Array, missing: npt.ArrayLike) -> tuple[Array, Array]:
    """Return p-values from (r, k) statistics of rearrangements; the first is the observed one."""
    extreme = np.abs(outcomes) + _ROUNDING
    seen = np.abs(outcomes[0])
    alone = np.mean(extreme >= seen, axis=0)
    highest = extreme.max(axis=1, initial=0)
    corrected = np.mean(highest[:, np.newaxis] >= seen, axis=0)
    return np.where(missing, np.nan, alone), np.where(missing, np.nan, corrected)


def typical_interval(
    effects: npt.ArrayLike, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the confidence interval of the mean effect that corresponds to `sign_flip_test`.

    The means of all subsets of the patients divide the line into parts that contain the true mean
    with equal probability (Hartigan 1969, typical values), for any symmetric distribution.

    Parameters
    ----------
    effects
        (n,) one per patient.

    Returns
    -------
    two floats
        NaN if there are too few patients for this confidence.
    """
    values = np.asarray(effects, dtype=np.float64)
    chosen = _subsets(len(values), seed)[1:]
    count = chosen.sum(axis=1)
    means = np.sort((chosen @ values)[count > 0] / count[count > 0])
    left_out = int((1 - confidence) / 2 * (len(means) + 1))
    if not left_out:
        return np.nan, np.nan
    return float(means[left_out - 1]), float(means[-left_out])


def fewest_patients(significant: float) -> int:
    """Return the fewest patients with which `sign_flip_test` can reach significance."""
    # If all n patients have the same sign, p = 2 / 2^n.
    return int(np.floor(np.log2(2 / significant))) + 1


def fewest_others(patients: int, significant: float) -> int:
    """Return the fewest patients of the other group with which `group_test` can be significant.

    Parameters
    ----------
    patients
        Number of patients in the first group; one or more.
    significant
        p must be below it.
    """
    # With groups of equal size, the reversed split is as extreme.
    return next(
        others
        for others in itertools.count(1)
        if (1 + (others == patients)) / comb(patients + others, others) < significant
    )


def _splits(first: int, patients: int, seed: int) -> npt.NDArray[np.float64]:
    """Return (m, patients) of 0 and 1: possible first groups, starting with the observed one."""
    if comb(patients, first) <= EXACT_SPLITS:
        chosen = np.array(list(itertools.combinations(range(patients), first)), dtype=np.intp)
    else:
        order = np.random.default_rng(seed).random((EXACT_SPLITS, patients)).argsort(axis=1)
        chosen = order[:, :first]
        chosen[0] = np.arange(first)
    splits = np.zeros((len(chosen), patients))
    np.put_along_axis(splits, chosen, 1, axis=1)
    return splits


def _subsets(count: int, seed: int) -> npt.NDArray[np.float64]:
    """Return (m, count) of 0 and 1: all subsets, or random ones; the first is empty."""
    if count <= EXACT_PATIENTS:
        return (np.arange(2**count)[:, np.newaxis] >> np.arange(count) & 1).astype(np.float64)
    drawn = np.random.default_rng(seed).integers(2, size=(RANDOM_DRAWS, count))
    drawn[0] = 0
    return drawn.astype(np.float64)
