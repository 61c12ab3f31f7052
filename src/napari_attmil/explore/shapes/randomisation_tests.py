"""Whether effects of few patients differ from 0, or from those of other patients.

Nothing is assumed of the effects but that, if a score says nothing, each is as likely to be
positive as negative; and that, if a group means nothing, any patient might have been in it. All
measures of a patient go together, so that measures which say the same (area and diameter) are not
paid for twice.
"""

from __future__ import annotations

import itertools
from math import comb
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

EXACT_PATIENTS: Final = 12
"""So many patients' signs are flipped in all ways; of more, `RANDOM_DRAWS` are drawn."""
EXACT_SPLITS: Final = 20_000
"""So many ways of parting patients into two groups are all tried; of more, as many are drawn."""
RANDOM_DRAWS: Final = 20_000
_ROUNDING: Final = 1e-9


def sign_flip_test(effects: npt.ArrayLike, seed: int = 0) -> tuple[Array, Array]:
    """Return two-sided p-values of the mean effects, alone and corrected for their number.

    Fisher's randomisation test (1935), and Westfall and Young's single-step maximum (1993), which
    holds the chance of any false finding at the level, whatever the measures' correlation.

    Parameters
    ----------
    effects
        (n, k) one row a patient, one column a measure; NaN where a patient has none.

    Returns
    -------
    two arrays (k,)
        NaN where no patient has the measure.
    """
    values = np.asarray(effects, dtype=np.float64)
    known = np.nan_to_num(values)
    # No flip changes the sum of squares, so this orders the flips as a t statistic would.
    scale = np.sqrt((known**2).sum(axis=0))
    scaled = _divided(known, scale)
    signs = 1.0 - 2.0 * _subsets(len(values), seed)
    return _p_values(signs @ scaled, np.isnan(values).all(axis=0))


def group_test(effects: npt.ArrayLike, others: npt.ArrayLike, seed: int = 0) -> tuple[Array, Array]:
    """Return two-sided p-values that two groups' mean effects differ, alone and corrected.

    The randomisation test of two groups (Pitman 1937), corrected as `sign_flip_test` is.

    Parameters
    ----------
    effects, others
        (n, k) and (m, k), one row a patient, one column a measure; NaN where a patient has none.

    Returns
    -------
    two arrays (k,)
        NaN where no patient of a group has the measure.
    """
    first, second = (np.asarray(group, dtype=np.float64) for group in (effects, others))
    unknown = ~(np.isfinite(first).any(axis=0) & np.isfinite(second).any(axis=0))
    values = np.where(unknown, np.nan, np.vstack([first, second]))
    splits = _splits(len(first), len(values), seed)
    return _p_values(_differences_of_means(_centred(values), np.isfinite(values), splits), unknown)


def _centred(values: Array) -> Array:
    """Return (n, k) values minus their mean, of length 1; 0 where NaN.

    No split changes mean and length, so that differences of means order the splits as a t
    statistic would.
    """
    is_known = np.isfinite(values)
    known = np.where(is_known, values, 0)
    means = known.sum(axis=0) / np.maximum(is_known.sum(axis=0), 1)
    centred = np.where(is_known, known - means, 0)
    length = np.sqrt((centred**2).sum(axis=0))
    return _divided(centred, length)


def _differences_of_means(
    centred: Array, is_known: npt.NDArray[np.bool_], splits: npt.NDArray[np.float64]
) -> Array:
    """Return (r, k) by how much the first group's mean is above the other's in each of r splits."""
    sums, inside = splits @ centred, splits @ is_known.astype(np.float64)
    outside = is_known.sum(axis=0) - inside
    # All values sum to 0, those of the other group to -sums: sums / inside + sums / outside.
    return _divided(sums * (inside + outside), inside * outside)


def _divided(values: Array, by: Array) -> Array:
    """Return values divided by what is not negative; 0 where that is 0."""
    return np.asarray(np.divide(values, by, out=np.zeros_like(values), where=by > 0))


def _p_values(outcomes: Array, unknown: npt.ArrayLike) -> tuple[Array, Array]:
    """Return p-values from (r, k) statistics of rearrangements, the first as it was seen."""
    extreme = np.abs(outcomes) + _ROUNDING
    seen = np.abs(outcomes[0])
    alone = np.mean(extreme >= seen, axis=0)
    highest = extreme.max(axis=1, initial=0)
    corrected = np.mean(highest[:, np.newaxis] >= seen, axis=0)
    return np.where(unknown, np.nan, alone), np.where(unknown, np.nan, corrected)


def typical_interval(
    effects: npt.ArrayLike, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the interval of the mean effect that goes with the test: 0 lies outside if p is small.

    The means of all subsets of the patients cut the line into parts that hold the truth equally
    often (Hartigan 1969, typical values), whatever the effects' distribution, if symmetric.

    Parameters
    ----------
    effects
        (n,) one a patient.

    Returns
    -------
    two floats
        NaN with so few patients that no interval is that sure.
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
    """Return how many patients the test needs for the smallest p that it can give to count."""
    # All of n patients on one side have p = 2 / 2^n.
    return int(np.floor(np.log2(2 / significant))) + 1


def fewest_others(patients: int, significant: float) -> int:
    """Return how many patients the other group needs for the smallest p that it can give to count.

    Parameters
    ----------
    patients
        Of the group that is compared; one or more.
    significant
        p must be below it.
    """
    # Of groups of one size, the split the other way round is as extreme.
    return next(
        others
        for others in itertools.count(1)
        if (1 + (others == patients)) / comb(patients + others, others) < significant
    )


def _splits(first: int, patients: int, seed: int) -> npt.NDArray[np.float64]:
    """Return (m, patients) of 0 and 1: which patients may be the first group; it itself first."""
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
