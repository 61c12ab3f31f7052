"""Which cells an expert should be asked about: those whose answers teach a classifier most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_attmil.bags.methods import STRATEGIES, Strategy
from napari_attmil.core import Float32Array, Int64Array, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_attmil.bags.bag import Bag
    from napari_attmil.bags.classifier import Classifier


@dataclass(frozen=True, eq=False)
class JudgedCells:
    """The cells of one sample as a classifier judges them one by one.

    Attributes
    ----------
    sample
        Name of the sample.
    cell_id
        (n,) its cells.
    altered
        (M, n) float32, how probably a cell is altered by the sample's disease, by each model.
    is_answered
        (n,) bool, whether somebody has said what the cell is.
    """

    sample: str
    cell_id: Int64Array
    altered: Float32Array
    is_answered: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, classifier: Classifier, bag: Bag) -> JudgedCells:
        """Return how a classifier judges the cells of a sample.

        Without a label that it knows, or in a healthy sample, a cell is as altered as for the class
        that it speaks for most.
        """
        healthy, classes = classifier.healthy_class, classifier.classes
        wanted = [bag.label] if bag.label in classes and bag.label != healthy else classes
        columns = [k for k, name in enumerate(classes) if name in wanted and name != healthy]
        altered = _cell_probabilities(classifier, bag)[:, :, columns].max(2)
        said = np.zeros(len(bag), dtype=bool) if bag.answers is None else bag.answers != ""
        return cls(bag.sample, bag.cell_id, altered, said)

    @property
    def score(self) -> Float32Array:
        """(n,) how probably a cell is altered, by all models together."""
        return np.asarray(self.altered.mean(0), dtype=np.float32)

    @property
    def doubt(self) -> Float32Array:
        """(n,) how far the models disagree: the bits that an answer would settle between them.

        It is the entropy of the models' mean less the mean of their entropies (Houlsby et al.
        2011). Of a single model it is the entropy: how undecided that is.
        """
        together, alone = _entropy(self.altered.mean(0)), _entropy(self.altered).mean(0)
        return np.asarray(together - alone * (len(self.altered) > 1), dtype=np.float32)


@dataclass(frozen=True)
class Question:
    """A cell to ask about, and why: how probably it is altered, and how unsure that is."""

    sample: str
    cell_id: int
    score: float
    doubt: float


def cells_to_ask(
    judged: Sequence[JudgedCells], count: int, strategy: Strategy = STRATEGIES[0]
) -> list[Question]:
    """Return the cells to ask about, the one that teaches most first.

    No sample is asked about twice before all have been asked about once: a sample's next cell is
    much like its first.

    Parameters
    ----------
    judged
        The cells of diseased samples; in healthy ones every answer is known.
    count
        Most cells; fewer if no more are without an answer.
    strategy
        ``"disagreement"``: the cell the models disagree about most; ``"highest"``: the one most
        probably altered; ``"mix"``: in turns.

    Raises
    ------
    UserError
        If the strategy is unknown.
    """
    strategy = checked_strategy(strategy)
    by_score = _in_rounds(judged, [cells.score for cells in judged])
    by_doubt = _in_rounds(judged, [cells.doubt for cells in judged])
    orders = {"highest": [by_score], "disagreement": [by_doubt], "mix": [by_score, by_doubt]}
    turns = zip(*orders[strategy], strict=True)
    chosen = dict.fromkeys(place for places in turns for place in places)
    return [_question(judged[bag], cell) for bag, cell in [*chosen][: max(count, 0)]]


def checked_strategy(name: str) -> Strategy:
    """Return the strategy of a name; errors as `cells_to_ask`."""
    for strategy in STRATEGIES:
        if strategy == name:
            return strategy
    raise UserError(f"There is no strategy {name!r}; choose from {', '.join(STRATEGIES)}.")


def _in_rounds(
    judged: Sequence[JudgedCells], values: Sequence[Float32Array]
) -> list[tuple[int, int]]:
    """Return all cells without an answer, as sample and position, a cell of each sample a round.

    The round of a cell is its rank in its sample, behind as many cells as have an answer there.
    """
    found = []
    for bag, (cells, value) in enumerate(zip(judged, values, strict=True)):
        open_cells = np.flatnonzero(~cells.is_answered)
        order = open_cells[np.argsort(-value[open_cells], kind="stable")].tolist()
        asked = len(cells.cell_id) - len(order)
        found += [(asked + rank, -float(value[c]), bag, c) for rank, c in enumerate(order)]
    return [(bag, cell) for _, _, bag, cell in sorted(found)]


def _question(cells: JudgedCells, place: int) -> Question:
    score, doubt = float(cells.score[place]), float(cells.doubt[place])
    return Question(cells.sample, int(cells.cell_id[place]), score, doubt)


def _cell_probabilities(classifier: Classifier, bag: Bag) -> Float32Array:
    """Return (M, n, K) how probably each cell alone is of each class, by each model.

    Only of the models that weigh single cells. Where these judge cells one by one, a cell can be of
    no class at all; by a SIC branch or a bag head it is of one.
    """
    import torch

    from napari_attmil.bags.network import Packing

    classifier.check(bag)
    embedded = classifier.embeddings(bag, classifier.weighing_models)
    found = []
    for model, cells in zip(classifier.models, embedded, strict=False):
        with torch.inference_mode():
            packing = Packing.of([len(bag)], cells.device)
            logits = model.pool(cells, packing).instance_logits
            shares = logits.sigmoid() if model.judges_cells else logits.softmax(1)
        found.append(shares.cpu().numpy())
    return np.stack(found)


def _entropy(share: Float32Array) -> npt.NDArray[np.float64]:
    """Return the entropy in bits of being altered with some probabilities."""
    p = np.clip(share.astype(np.float64), 1e-12, 1 - 1e-12)
    return np.asarray(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)))
