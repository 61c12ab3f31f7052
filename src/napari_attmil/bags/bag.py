"""A bag: a sample's cells with their features, and how it is made from boxes."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

from napari_attmil.bags.features import (
    FeatureReader,
    FeatureRows,
    KnownFeatures,
    drawn_cells,
    extract_features,
    feature_reader,
)
from napari_attmil.cells import Boxes, FeatureSettings
from napari_attmil.core import Int64Array, Progress, Remedy, UserError
from napari_attmil.images import Sample, read_images

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_attmil.bags.feature_store import FeatureFile, FeatureStore
    from napari_attmil.cells.detection import DetectorLike


_DETECTOR: Final = "detector", "that detector (--weights on the command line)"
_OTHER_READER: Final = {
    "maps": _DETECTOR,
    "profile": _DETECTOR,
    "vector": ("cell encoder", "the version that was installed then"),
    "combined": ("detector or cell encoder", "those of then (--weights on the command line)"),
}
"""What read the features, and what to use in its place, by `FeatureSettings.kept`."""


@dataclass(frozen=True, eq=False)
class Bag:
    """The cells of one sample with their features.

    Attributes
    ----------
    features
        (n, channels, rows, columns) float16, in memory or memory-mapped: 256 maps of 14 x 14,
        their profiles of 11 x 1, the vector of an encoder, whose channels are 1 x 1, or profiles
        and vector, 12 x 1.
    cell_id
        (n,) int64.
    sample, patient
        Names.
    label
        Class of the sample; None if unknown.
    boxes
        Where the cells are; None for a bag without images.
    altered
        (n,) bool, whether a cell is altered by the disease; None without ground truth, which only
        simulated and planted cohorts have.
    answers
        (n,) str, what a person said that a cell is (see `cells.annotations.answers_in`): "altered",
        "altered: CLASS", "not altered", "cannot tell"; "" for nothing. None if nobody was asked.
    reader_digest, feature_settings
        The networks that the features were read with, a detector, an encoder or both, and how; a
        classifier accepts only those of its training.
    sample_boxes
        Where all cells of the sample are, of which the bag may hold a draw; None without images.
    """

    features: npt.NDArray[np.float16]
    cell_id: Int64Array
    sample: str
    patient: str
    label: str | None = None
    boxes: Boxes | None = None
    altered: npt.NDArray[np.bool_] | None = None
    answers: npt.NDArray[np.str_] | None = None
    reader_digest: str = ""
    feature_settings: FeatureSettings = field(default_factory=FeatureSettings)
    sample_boxes: Boxes | None = None

    def __post_init__(self) -> None:
        """Check that the arrays agree."""
        n = len(self.cell_id)
        if self.features.ndim != 4 or len(self.features) != n:
            raise ValueError(
                f"features has shape {self.features.shape}, but {n} cells need ({n}, "
                "channels, rows, columns)."
            )
        if self.altered is not None and len(self.altered) != n:
            raise ValueError(f"altered is not as long as cell_id ({n}).")
        if self.answers is not None and len(self.answers) != n:
            raise ValueError(f"answers is not as long as cell_id ({n}).")

    def __len__(self) -> int:
        return len(self.cell_id)

    def __getitem__(self, rows: Any) -> Self:
        """Return the bag with the cells of a mask, of positions or of a slice."""
        return replace(
            self,
            features=self.features[rows],
            cell_id=self.cell_id[rows],
            boxes=None if self.boxes is None else self.boxes[rows],
            altered=None if self.altered is None else self.altered[rows],
            answers=None if self.answers is None else self.answers[rows],
        )

    def check_readable(self, reader_digest: str, feature_settings: FeatureSettings) -> None:
        """Refuse a bag without cells, or read otherwise than a classifier's training was.

        Parameters
        ----------
        reader_digest, feature_settings
            Those of the classifier.

        Raises
        ------
        UserError
            If it cannot be judged.
        """
        if len(self) == 0:
            raise UserError(
                f"Sample {self.sample!r} has no cells; run detection or draw one.",
                Remedy.DETECT_CELLS,
            )
        if self.feature_settings != feature_settings:
            raise UserError(
                f"The features of sample {self.sample!r} were computed with other settings than "
                "this classifier was trained with; compute them again with the classifier's.",
                Remedy.TRAIN_CLASSIFIER,
            )
        if self.reader_digest != reader_digest:
            network, again = _OTHER_READER[feature_settings.kept]
            raise UserError(
                f"The cells of sample {self.sample!r} were read with another {network} than this "
                f"classifier was trained with; use {again}, or train the classifier again.",
                Remedy.TRAIN_CLASSIFIER,
            )


def bag_of(
    sample: Sample,
    boxes: Boxes,
    detector: DetectorLike,
    settings: FeatureSettings,
    *,
    images: Sequence[npt.NDArray[Any]] | None = None,
    store: FeatureStore | None = None,
    previous: Bag | None = None,
) -> Generator[Progress, None, Bag]:
    """Read the features of one sample's boxes.

    Parameters
    ----------
    sample
        Names and label; its frames are read unless `images` is given.
    boxes
        The cells, of which `settings.most_cells` are drawn if there are more; only those that
        changed since `previous`, or since the sample was last stored, are computed.
    detector, settings
        The detector, whose maps are read unless an encoder alone is asked, and how.
    images
        Images that are already in memory, for instance those of a layer.
    store
        Where features are stored; None to store nothing.
    previous
        An earlier bag of the same images.

    Yields
    ------
    Progress
        In units of cells.

    Returns
    -------
    Bag
        The boxes with their features, or those that were drawn, beside all boxes.

    Raises
    ------
    UserError
        If there are no boxes.
    """
    if len(boxes) == 0:
        raise UserError(
            f"Sample {sample.name!r} has no cells; run detection or draw one.", Remedy.DETECT_CELLS
        )

    sample_boxes, boxes = boxes, drawn_cells(boxes, settings.most_cells)

    def progress(done: int) -> Progress:
        return Progress(done, len(boxes), f"Looking at cell {done} of {len(boxes)}")

    if not sample.frames:
        store = None  # Without files, outdated features could not be recognised.
    reader = feature_reader(detector, settings)
    key = (sample, boxes, reader.digest, settings)
    features = None if store is None else store.features(*key)
    if features is None:
        known = _known_features(sample, reader, settings, store, previous)
        images = read_images(sample) if images is None else images
        writing: contextlib.AbstractContextManager[FeatureRows | FeatureFile] = (
            contextlib.nullcontext(FeatureRows(len(boxes)))
            if store is None
            else store.writing(*key)
        )
        with writing as destination:
            for step in extract_features(detector, images, boxes, settings, known):
                destination.write(step.rows, step.features)
                yield progress(step.done)
        features = destination.features
    yield progress(len(boxes))
    return Bag(
        features,
        boxes.cell_id,
        sample.name,
        sample.patient,
        sample.label,
        boxes,
        reader_digest=reader.digest,
        feature_settings=settings,
        sample_boxes=sample_boxes,
    )


def _known_features(
    sample: Sample,
    reader: FeatureReader,
    settings: FeatureSettings,
    store: FeatureStore | None,
    previous: Bag | None,
) -> KnownFeatures | None:
    """Return earlier features that were computed in the same way, or None."""
    if previous is not None and previous.boxes is not None:
        made_with = (previous.reader_digest, previous.feature_settings)
        if made_with == (reader.digest, settings):
            return KnownFeatures(previous.boxes, previous.features)
    return None if store is None else store.known_features(sample, reader.digest, settings)
