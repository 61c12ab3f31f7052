"""The state of one sample: its annotations and its prediction."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from napari_attmil.cells import Boxes, Source
from napari_attmil.cells.annotations import Annotations
from napari_attmil.explore import attention_of

if TYPE_CHECKING:
    from napari_attmil.bags import Prediction


@dataclass(frozen=True, eq=False)
class SampleState(Annotations):
    """The annotations of one sample, and its prediction.

    Attributes
    ----------
    prediction
        The latest prediction of the classifier.
    classified
        The sample's cells when it was classified; the prediction may be of a draw of them.
    """

    prediction: Prediction | None = None
    classified: Boxes = field(default_factory=Boxes.empty)

    @classmethod
    def of(cls, annotations: Annotations) -> Self:
        """Return the state of a sample with annotations and without a prediction."""
        return cls(**vars(annotations))

    @property
    def is_worked_on(self) -> bool:
        """Whether the sample was searched or annotated."""
        return bool(self.searched or len(self.boxes)) or self.is_by_hand

    @property
    def is_by_hand(self) -> bool:
        """Whether a person has annotated the sample."""
        by_person = self.boxes.source != Source.MODEL
        return bool(by_person.any() or len(self.deleted) or self.reviewed or self.notes)

    @cached_property
    def is_stale(self) -> bool:
        """Whether boxes changed since the classification; panels ask whenever they are drawn."""
        return self.prediction is not None and not self.cells.is_unchanged_since(self.classified)

    def attention(self) -> npt.NDArray[np.float64]:
        """Return (n,) the attention of each box; NaN where none was given, as the box is newer."""
        if self.prediction is None:
            return np.full(len(self.boxes), np.nan)
        return attention_of(self.boxes, self.prediction, self.classified)


UNTOUCHED: Final = SampleState()
"""Shared by all samples at first: a study has thousands."""
