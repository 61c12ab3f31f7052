"""Everything that is known of one cell: for the card in the viewer, notebooks and the prompt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_attmil.core import UserError
from napari_attmil.explore import CellFacts, cell_facts, measures_of, similar_cells
from napari_attmil.workflows.measure import measure_cells
from napari_attmil.workflows.prepare import CellsAtHand, bag_at_hand
from napari_attmil.workflows.steps import NEVER, Progress, Stage, until, within

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    import pandas as pd

    from napari_attmil.bags import Classifier, Prediction
    from napari_attmil.bags.attribution import WhatIf
    from napari_attmil.cells import Boxes
    from napari_attmil.core import Float32Array
    from napari_attmil.images import Sample
    from napari_attmil.workflows.classify import ClassifiedSample
    from napari_attmil.workflows.study import Study

MOST_MEASURED = 3000
"""Cells of a sample that are measured for one card; more take longer than a person waits."""


@dataclass(frozen=True, eq=False)
class AskedCell:
    """A cell that somebody asks about, with what is at hand for the answer.

    Attributes
    ----------
    cells
        All cells of its sample.
    cell_id
        Which of them.
    prediction, classified
        The sample's prediction, if any, and the sample's cells when it was made.
    others
        Other classified samples with the boxes of their classification, to find similar cells in.
    study_samples
        All samples of the study: they decide the unit of length.
    """

    cells: CellsAtHand
    cell_id: int
    prediction: Prediction | None = None
    classified: Boxes | None = None
    others: Sequence[CellsAtHand] = ()
    study_samples: Sequence[Sample] = ()

    def facts(self) -> CellFacts:
        """Return what is known without any computing."""
        cells = self.cells
        return cell_facts(cells.sample, cells.boxes, self.cell_id, self.prediction, self.classified)


@dataclass(frozen=True, eq=False)
class EmbeddedCells:
    """The n cells of a sample that a classifier looks at, and their (n, D) embeddings."""

    boxes: Boxes
    vectors: Float32Array


@dataclass(eq=False)
class CellReader:
    """What has been computed of samples, kept so that further cells are answered at once.

    It belongs to one classifier, and is used by one stage at a time. Each value has the fingerprint
    of the boxes that it is of: the same cells are other objects after an answer that changes none.
    """

    shapes: dict[str, tuple[str, pd.DataFrame]] = field(default_factory=dict)
    what_if: dict[str, tuple[str, WhatIf]] = field(default_factory=dict)
    embeddings: dict[str, tuple[str, EmbeddedCells]] = field(default_factory=dict)


def look_at_cell(
    asked: AskedCell,
    study: Study,
    classifier: Classifier | None = None,
    device_name: str = "auto",
    reader: CellReader | None = None,
    stop: Event = NEVER,
) -> Stage[CellFacts]:
    """Find out everything about one cell; stopped early, return what is known by then.

    Parameters
    ----------
    asked
        The cell.
    study
        The study that the sample belongs to, where features may be stored.
    classifier
        What classified the sample; without one, the cell is only measured.
    device_name
        "auto", "cpu", "cuda:0", ...
    reader
        Keeps what takes long for further cells.

    Yields
    ------
    Progress
        `detail` are the `CellFacts` known so far.
    """
    reader = reader or CellReader()
    facts = asked.facts()
    yield Progress(0, 3, "Measuring the cells", facts)
    shapes = yield from until(_shapes(asked, reader), stop)
    if shapes is not None:
        row = int(asked.cells.boxes.index_of([asked.cell_id])[0])
        facts = replace(facts, measures=measures_of(shapes, row))
    if classifier is None or facts.attention is None or stop.is_set():
        return facts
    yield Progress(1, 3, "Classifying the sample without the cell", facts)
    if asked.prediction is not None and asked.prediction.before_prior is not None:
        # As the sample was classified: probabilities with and without the cell are compared.
        classifier = classifier.with_prior(asked.prediction.assumed)
    read = _Reading(reader, study, classifier, device_name, stop)
    what_if = yield from read.what_if(_classified(asked))
    if what_if is None:
        return facts
    if facts.cells > 1:
        left = what_if.without([asked.cell_id]).tolist()
        facts = replace(facts, without=dict(zip(classifier.classes, left, strict=True)))
    yield Progress(2, 3, "Looking for similar cells in other samples", facts)
    return (yield from _with_similar(facts, asked, read))


def asked_cell(found: Sequence[ClassifiedSample], sample: Sample, cell_id: int) -> AskedCell:
    """Return the question about one cell of a classified sample; the others have similar cells.

    Raises
    ------
    UserError
        If the sample has no such cell.
    """
    own = [one for one in found if one.sample.frames == sample.frames]
    if not own or cell_id not in own[0].boxes.cell_id:
        cells = own[0].boxes.cell_id if own else ()
        known = f"its cells are {min(cells)} to {max(cells)}" if len(cells) else "it has none"
        raise UserError(
            f"Sample {sample.name!r} has no cell {cell_id}: {known}; choose one from the table "
            "that `attmil classify` writes."
        )
    others = [
        CellsAtHand(one.sample, one.boxes) for one in found if one.sample.frames != sample.frames
    ]
    at_hand = CellsAtHand(own[0].sample, own[0].boxes)
    return AskedCell(at_hand, cell_id, own[0].prediction, others=others)


@dataclass(frozen=True, eq=False)
class _Reading:
    """Reads the cells of samples with a classifier, each sample once."""

    reader: CellReader
    study: Study
    classifier: Classifier
    device_name: str
    stop: Event

    def what_if(self, cells: CellsAtHand) -> Stage[WhatIf | None]:
        """Return the predictions of a sample without some of its cells; stopped early, None."""
        if not _is_known(self.reader.what_if, cells):
            yield from self._read(cells, keeps_what_if=True)
        return self.reader.what_if[cells.sample.name][1] if not self.stop.is_set() else None

    def embeddings(self, cells: CellsAtHand) -> Stage[EmbeddedCells | None]:
        """Return the embeddings of a sample's cells; stopped early, None."""
        if not _is_known(self.reader.embeddings, cells):
            yield from self._read(cells, keeps_what_if=False)
        return self.reader.embeddings[cells.sample.name][1] if not self.stop.is_set() else None

    def _read(self, cells: CellsAtHand, keeps_what_if: bool) -> Stage[None]:
        from napari_attmil.bags.attribution import WhatIf, cell_embeddings

        classifier, name = self.classifier, cells.sample.name
        bag = yield from bag_at_hand(self.study, cells, classifier, self.device_name, self.stop)
        if bag is None:
            return
        digest = cells.boxes.digest()
        assert bag.boxes is not None  # bags of images always have them
        embedded = EmbeddedCells(bag.boxes, cell_embeddings(classifier, bag))
        self.reader.embeddings[name] = (digest, embedded)
        if keeps_what_if:
            self.reader.what_if = {name: (digest, WhatIf(classifier, bag))}


def _with_similar(facts: CellFacts, asked: AskedCell, read: _Reading) -> Stage[CellFacts]:
    """Return the facts with similar cells of the other samples that could be read."""
    here = Progress(2, 3, "Looking for similar cells in other samples", facts)
    mine = yield from within(read.embeddings(_classified(asked)), here)
    found = []
    for cells in asked.others:
        embedded = yield from within(read.embeddings(cells), here)
        if embedded is None or mine is None:
            return facts
        found.append((cells.sample, embedded.boxes, embedded.vectors))
    if mine is None:
        return facts
    row = int(mine.boxes.index_of([asked.cell_id])[0])
    return replace(facts, similar=similar_cells(mine.vectors[row], found))


def _shapes(asked: AskedCell, reader: CellReader) -> Stage[pd.DataFrame | None]:
    """Return the measures of the sample's cells; None if there are too many to do it at once."""
    cells, name = asked.cells, asked.cells.sample.name
    if not _is_known(reader.shapes, cells):
        if len(cells.boxes) > MOST_MEASURED:
            return None
        (measured,) = yield from within(
            measure_cells([cells], asked.study_samples),
            Progress(0, 3, "Measuring the cells", asked.facts()),
        )
        reader.shapes[name] = (cells.boxes.digest(), measured.columns)
    return reader.shapes[name][1]


def _classified(asked: AskedCell) -> CellsAtHand:
    """Return the sample with the cells that it had when its prediction was made."""
    if asked.classified is None:
        return asked.cells
    return replace(asked.cells, boxes=asked.classified)


def _is_known(known: dict[str, tuple[str, Any]], cells: CellsAtHand) -> bool:
    """Return whether something was computed of just these boxes."""
    digest, _ = known.get(cells.sample.name, ("", None))
    return digest == cells.boxes.digest()
