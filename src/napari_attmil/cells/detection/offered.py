"""Detectors of other packages, by name.

A package offers a detector by an entry point of the group `napari_attmil.detectors`: its name, and
a function that takes a `core.Device` and returns a `BoxFinder`. Only installed packages are asked,
never a path in a model file: the file of a stranger must not run code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import nms

from napari_attmil.cells.boxes import median_diameter_px
from napari_attmil.cells.detection.detector import Detector, Found
from napari_attmil.cells.detection.found_cells import DetectionProgress
from napari_attmil.cells.detection.network_file import load_network
from napari_attmil.cells.detection.offered_names import GROUP
from napari_attmil.cells.detection.working_scale import CellSize
from napari_attmil.core import Remedy, UserError, load_entry, reason_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from napari_attmil.cells.settings import DetectionSettings
    from napari_attmil.core import Device, Progress

UNKNOWN_DIAMETER_PX: Final = 50.0
"""Taken for the margin of a view, where no cell has been found yet and no diameter is given."""


_MEND: Final = "update the package that offers it, or choose another detector"


class BoxFinder(Protocol):
    """What another package offers: something that draws boxes around the cells of an image."""

    @property
    def digest(self) -> str:
        """Fingerprint of the weights; cells found by another one are found anew."""

    def find(self, image: npt.NDArray[Any]) -> tuple[npt.ArrayLike, npt.ArrayLike]:
        """Return (n, 4) x_min, y_min, x_max, y_max in pixels, and (n,) scores from 0 to 1.

        The image is (Y, X) or (Y, X, 3), of uint8 or uint16, as its file has it.
        """


class OfferedDetector(Detector):
    """Finds cells with the detector of another package, and reads features with the shipped one.

    The working scale, tiles and batches are matters of that package: it is given whole images, one
    after the other, and a cell diameter changes nothing.
    """

    _name: str
    _finder: BoxFinder

    @classmethod
    def offered(cls, name: str, device: Device) -> Self:
        """Return the detector of a name.

        Raises
        ------
        UserError
            If no installed package offers it, or what is offered is no `BoxFinder`.
        """
        factory: Callable[[Device], BoxFinder] | None = load_entry(GROUP, name)
        if factory is None:
            raise UserError(
                f"There is no detector {name!r}; install the package that offers it, or choose a "
                "model file.",
                Remedy.LOAD_MODEL,
            )
        finder, shipped = factory(device), load_network()
        own = getattr(finder, "digest", None)
        if not (own and isinstance(own, str) and callable(getattr(finder, "find", None))):
            raise UserError(
                f"The detector {name!r} of another package lacks a digest (a text) or the method "
                f"find; {_MEND}.",
                Remedy.LOAD_MODEL,
            )
        digest = f"{name}:{own}+{shipped.digest}"
        made = cls(shipped.network, shipped.architecture, device, digest, {"data": name})
        made._name, made._finder = name, finder
        return made

    def cell_sizes(
        self, images: Sequence[npt.NDArray[Any]], settings: DetectionSettings
    ) -> Generator[Progress, None, list[CellSize]]:
        """Return the given diameter for each image, or a usual one: nothing is measured."""
        yield from ()
        return [CellSize(settings.cell_diameter_px or UNKNOWN_DIAMETER_PX)] * len(images)

    def part_count(self, shape: tuple[int, ...], cell_diameter_px: float) -> int:
        """Return 1: images are given whole."""
        del shape, cell_diameter_px
        return 1

    def detect_parts(
        self,
        images: Sequence[npt.NDArray[Any]],
        settings: DetectionSettings,
        sizes: Sequence[CellSize],
    ) -> Iterator[DetectionProgress]:
        """Find the cells of a stack, image by image; see `Detector.detect_parts`."""
        for index in range(len(images)):
            found = _as_found(self._finder.find(np.asarray(images[index])), self._name)
            xyxy, score = _chosen(found, settings)
            size = CellSize(median_diameter_px(xyxy)) if len(xyxy) else sizes[index]
            yield DetectionProgress(index + 1, len(images), index, xyxy, score, size)


def _as_found(given: Any, name: str) -> Found:
    """Return what a detector of another package gave as boxes and scores.

    Raises
    ------
    UserError
        If it is anything else, or there is not one score for each box.
    """
    try:
        boxes, scores = given
        xyxy, score = np.asarray(boxes, dtype=np.float32), np.asarray(scores, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"The detector {name!r} of another package gave no pair of boxes and scores "
            f"({reason_in_words(error)}); {_MEND}.",
            Remedy.LOAD_MODEL,
        ) from error
    if xyxy.size and xyxy.shape[1:] != (4,):
        raise UserError(
            f"The detector {name!r} of another package gave boxes of the shape {xyxy.shape}, not "
            f"(n, 4); {_MEND}.",
            Remedy.LOAD_MODEL,
        )
    xyxy, score = xyxy.reshape(-1, 4), score.reshape(-1)
    if len(xyxy) != len(score):
        raise UserError(
            f"The detector {name!r} gave {len(xyxy)} boxes, but {len(score)} scores; {_MEND}.",
            Remedy.LOAD_MODEL,
        )
    return xyxy, score


def _chosen(found: Found, settings: DetectionSettings) -> Found:
    """Return the boxes that the settings ask for, the surest first."""
    xyxy, score = found
    real = (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1) & np.isfinite(xyxy).all(axis=1)
    real &= score >= settings.min_score
    xyxy, score = xyxy[real], score[real]
    kept = nms(torch.from_numpy(xyxy), torch.from_numpy(score), settings.max_overlap).numpy()
    kept = kept[: settings.max_cells_per_image]
    return xyxy[kept], score[kept]
