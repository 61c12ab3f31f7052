"""Whether effects of few patients differ from 0: every patient's may have had the other sign.

Nothing is assumed of the effects but that, if a score says nothing, each is as likely to be
positive as negative. All measures of a patient turn their sign together, so that measures which
go together (area and diameter) are not paid for twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

EXACT_PATIENTS: Final = 12
"""So many patients' signs are flipped in all ways; of more, `RANDOM_DRAWS` are drawn."""
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
    scaled = np.divide(known, scale, out=np.zeros_like(known), where=scale > 0)
    signs = 1.0 - 2.0 * _subsets(len(values), seed)
    outcomes = np.abs(signs @ scaled) + _ROUNDING
    seen = np.abs(scaled.sum(axis=0))
    alone = np.mean(outcomes >= seen, axis=0)
    highest = outcomes.max(axis=1, initial=0)
    corrected = np.mean(highest[:, np.newaxis] >= seen, axis=0)
    unknown = np.isnan(values).all(axis=0)
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


def _subsets(count: int, seed: int) -> npt.NDArray[np.float64]:
    """Return (m, count) of 0 and 1: all subsets, or random ones; the first is empty."""
    if count <= EXACT_PATIENTS:
        return (np.arange(2**count)[:, np.newaxis] >> np.arange(count) & 1).astype(np.float64)
    drawn = np.random.default_rng(seed).integers(2, size=(RANDOM_DRAWS, count))
    drawn[0] = 0
    return drawn.astype(np.float64)
