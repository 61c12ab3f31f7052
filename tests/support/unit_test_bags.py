"""The test bags of Raff and Holt, for whether a classifier learns as it must from bags alone.

"Reproducibility in Multiple Instance Learning: A Case For Algorithmic Unit Tests" (NeurIPS
2023), algorithms 1 to 3. A bag is positive because of what it holds, never because of what it
lacks. Each test lays out a shortcut that breaks this rule and that pays in training; in the test
bags it leads astray, so that a classifier which took it ranks them the wrong way round (area
under the ROC curve below one half).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_attmil.bags import Bag

if TYPE_CHECKING:
    from collections.abc import Callable

Vectors = npt.NDArray[np.float64]

DIMENSIONS = 16
ORDINARY_IN_SINGLE_CONCEPT = 10
POSITIVE, NEGATIVE = "positive", "negative"


def single_concept(rng: np.random.Generator, positive: bool, training: bool) -> Vectors:
    """Return the (n, 16) instances of algorithm 1: one positive instance makes a bag positive.

    The shortcut: a poison tells negative bags in training, and sits in positive ones in the test.
    """
    parts = [_ordinary(rng, ORDINARY_IN_SINGLE_CONCEPT)]
    if positive:
        for _ in range(rng.integers(1, 4)):
            parts.append(_around(rng, 0, 3) if rng.random() < 0.5 else _around(rng, 1, 1))
    return np.concatenate([*parts, *_poison(rng, positive, training)])


def multi_concept(rng: np.random.Generator, positive: bool, training: bool) -> Vectors:
    """Return the (n, 16) instances of algorithm 2: only two concepts together are positive.

    The shortcut is the same poison.
    """
    parts = [_ordinary(rng, rng.integers(1, 10))]
    if positive:
        each = int(rng.integers(1, 4))
        parts += [_concept(rng, 0, each), _concept(rng, 1, each)]
    else:
        parts.append(_concept(rng, int(rng.integers(2)), 1))
    return np.concatenate([*parts, *_poison(rng, positive, training)])


def false_frequency(rng: np.random.Generator, positive: bool, training: bool) -> Vectors:
    """Return the (n, 16) instances of algorithm 3: two concepts are positive, one often is not.

    The shortcut: in training positive bags have more concept instances than negative ones, which
    have a single one; the negative bags of the test have some forty of one concept.
    """
    ordinary = _ordinary(rng, rng.integers(1, 10))
    if positive:
        return np.concatenate([ordinary, _concept(rng, 0, 1), _concept(rng, 1, 1)])
    count = 1 if training else int(rng.integers(35, 45))
    return np.concatenate([ordinary, _concept(rng, 0, count)])


UNIT_TESTS: dict[str, Callable[[np.random.Generator, bool, bool], Vectors]] = {
    "single concept": single_concept,
    "multi-concept": multi_concept,
    "false frequency": false_frequency,
}


def unit_test_bags(name: str, count: int, training: bool, seed: int) -> list[Bag]:
    """Return labelled bags, half of them positive, with vectors as maps of one value a channel.

    Parameters
    ----------
    name
        One of `UNIT_TESTS`.
    count
        Number of bags.
    training
        Whether they are to learn from, or to test with.
    seed
        Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    return [_bag(index, UNIT_TESTS[name](rng, index % 2 == 1, training)) for index in range(count)]


def _bag(index: int, vectors: Vectors) -> Bag:
    # Two rows and columns, so that every embedding of maps of any side finds a middle.
    maps = np.broadcast_to(vectors[:, :, None, None], (*vectors.shape, 2, 2))
    label = POSITIVE if index % 2 == 1 else NEGATIVE
    cell_id = np.arange(1, len(vectors) + 1)
    return Bag(maps.astype(np.float16), cell_id, f"bag {index}", f"bag {index}", label)


def _around(rng: np.random.Generator, mean: float, deviation: float, count: int = 1) -> Vectors:
    return rng.normal(mean, deviation, (count, DIMENSIONS))


def _ordinary(rng: np.random.Generator, count: int | np.integer) -> Vectors:
    return _around(rng, 0, 1, int(count))


def _concept(rng: np.random.Generator, number: int, count: int) -> Vectors:
    return _around(rng, 2 + number, 0.1, count)


def _poison(rng: np.random.Generator, positive: bool, training: bool) -> list[Vectors]:
    return [_around(rng, -10, 0.1)] if positive != training else []
