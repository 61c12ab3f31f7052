"""How frequent the classes are where samples come from, and what follows for probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_attmil.core import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def checked_prior(given: Mapping[str, float], classes: Sequence[str]) -> dict[str, float]:
    """Return the share of each class, in the order of the classes; they sum to 1.

    Parameters
    ----------
    given
        How frequent each class is; any sum above 0, so that counts and per cent will do.
    classes
        All of them have to be given.

    Raises
    ------
    UserError
        If a class is missing or unknown, a value is negative or not a number, or fewer than two
        are above 0.
    """
    if set(given) != set(classes):
        raise UserError(
            f"Frequencies were given for {_listed(given)}, but the classes are "
            f"{_listed(classes)}; give each of these one."
        )
    values = {name: float(given[name]) for name in classes}
    wrong = [name for name, value in values.items() if not (math.isfinite(value) and value >= 0)]
    if wrong:
        raise UserError(
            f"The frequency of {wrong[0]} is {values[wrong[0]]:g}; give a number of 0 or more."
        )
    if sum(value > 0 for value in values.values()) < 2:
        raise UserError(
            "Fewer than two classes have a frequency above 0, so there is nothing to decide; give "
            "each class that may occur a frequency above 0."
        )
    if not math.isfinite(sum(values.values())):
        values = {name: value / len(values) for name, value in values.items()}
    together = sum(values.values())
    return {name: value / together for name, value in values.items()}


def assumed_in_training(
    classes: Sequence[str], balanced: bool, counts: Sequence[float]
) -> dict[str, float] | None:
    """Return how frequent probabilities take each class to be; None if that is not known.

    Parameters
    ----------
    classes
        The classes.
    balanced
        Whether all classes counted the same in training and calibration.
    counts
        (K,) of the patients of the calibration, or of the samples of the training.
    """
    if balanced:
        return dict.fromkeys(classes, 1 / len(classes))
    if len(counts) != len(classes) or not all(count > 0 for count in counts):
        return None
    return checked_prior(dict(zip(classes, counts, strict=True)), classes)


def log_posterior(
    log_probabilities: npt.ArrayLike, prior: Mapping[str, float], assumed: Mapping[str, float]
) -> npt.NDArray[np.float64]:
    """Return (..., K) log probabilities at other frequencies; see `posterior`."""
    with np.errstate(divide="ignore"):  # A class that does not occur.
        shift = np.log([share / assumed[name] for name, share in prior.items()])
    values = np.asarray(log_probabilities, dtype=np.float64) + shift
    return np.asarray(values - np.logaddexp.reduce(values, axis=-1, keepdims=True))


def posterior(
    probabilities: npt.ArrayLike, prior: Mapping[str, float], assumed: Mapping[str, float]
) -> npt.NDArray[np.float64]:
    """Return (..., K) the probabilities at other frequencies of the classes.

    By Bayes' rule, each is proportional to p prior / assumed (Saerens et al. 2002, eq. 2.4), if
    samples of one class look the same at either frequency.

    Parameters
    ----------
    probabilities
        (..., K), each row sums to 1.
    prior
        The K frequencies where the samples come from.
    assumed
        Those that the probabilities were made for, all above 0.
    """
    weights = np.array([share / assumed[name] for name, share in prior.items()])
    values = np.asarray(probabilities, dtype=np.float64) * weights
    together = values.sum(-1, keepdims=True)
    # What has a probability of 0 by rounding may be all that occurs.
    return np.where(together > 0, values / np.where(together > 0, together, 1), _shares(prior))


def shares_in_words(shares: Mapping[str, float]) -> str:
    """Return "healthy 90%, sickle 10%"; shares below 1 % with two digits that count."""
    return ", ".join(
        f"{name} {100 * share:.{4 if share >= 0.01 else 2}g}%" for name, share in shares.items()
    )


def are_equal(shares: Mapping[str, float]) -> bool:
    """Return whether all classes are equally frequent."""
    return bool(np.allclose(_shares(shares), 1 / len(shares)))


def _shares(shares: Mapping[str, float]) -> npt.NDArray[np.float64]:
    return np.array([*shares.values()])


def _listed(names: Mapping[str, float] | Sequence[str]) -> str:
    return ", ".join(names) or "no class"
