"""What a person said about single cells, on its way into a training."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from napari_attmil.cells.annotations import ALTERED, CANNOT_TELL, NOT_ALTERED, answers_in
from napari_attmil.core import counted
from napari_attmil.images import reference_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_attmil.bags import Bag, MILSettings
    from napari_attmil.cells import Boxes
    from napari_attmil.cells.annotations import Annotations


def answers_about(boxes: Boxes, annotations: Annotations | None) -> npt.NDArray[np.str_] | None:
    """Return (n,) what was said about the cells, "" for nothing; None if nothing was said."""
    said = {} if annotations is None else answers_in(annotations.notes)
    found = np.array([said.get(cell, "") for cell in boxes.cell_id.tolist()], dtype=np.str_)
    return found if (found != "").any() else None


def about_answers(bags: Sequence[Bag], settings: MILSettings) -> str:
    """Return a sentence on the answers that a training learns from; empty if there are none."""
    from napari_attmil.bags.network import judges_cells

    said = Counter(
        answer
        for bag in bags
        if bag.answers is not None
        for answer in bag.answers.tolist()
        if answer
    )
    if not said:
        return ""
    count = counted(said.total(), "answer")
    if settings.answers == 0 or not judges_cells(settings.method):
        why = "the method does not judge cells one by one" if settings.answers else "as chosen"
        return f"{count} about cells left out: {why}."
    others, unsure = said[NOT_ALTERED], said[CANNOT_TELL]
    altered = said.total() - others - unsure
    parts = (
        f"{altered} {ALTERED}, {others} {NOT_ALTERED}",
        f", {unsure} {CANNOT_TELL}" * bool(unsure),
    )
    taken = f"{count} about cells taken into account ({''.join(parts)})."
    unknown = said.total() - unsure - _teaching(bags, settings)
    verb = "teaches" if unknown == 1 else "teach"
    return f"{taken} {unknown} of them {verb} nothing: no disease is known." if unknown else taken


def _teaching(bags: Sequence[Bag], settings: MILSettings) -> int:
    """Return how many answers say what class a cell is of."""
    from napari_attmil.bags.training import told_classes

    classes = sorted({bag.label for bag in bags if bag.label})
    healthy = reference_class(classes, settings.reference_class)
    return sum(one is not None for bag in bags for one in told_classes(bag, classes, healthy))
