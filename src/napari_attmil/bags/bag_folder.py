"""Bags in a folder, for workers in other processes, which cannot see this one's memory."""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from napari_attmil.bags.bag import Bag
from napari_attmil.cells import Boxes, FeatureSettings
from napari_attmil.core import Remedy, UserError

if TYPE_CHECKING:
    import numpy.typing as npt

_LIST: Final = "bags.json"
_BOX: Final = "boxes."
_PER_CELL: Final = ("cell_id", "altered", "answers")
_TEXTS: Final = ("sample", "patient", "label", "reader_digest")


class BagFolder(Sequence[Bag]):
    """Bags that a folder holds; only the folder's path travels to another process.

    Features are memory-mapped, so that all processes of a computer share them. Those that are
    mapped already, as they are from a feature store, are read where they lie.

    Parameters
    ----------
    folder
        What `write` has filled.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)

    @classmethod
    def write(cls, folder: Path, bags: Sequence[Bag]) -> Self:
        """Write bags into a new folder.

        Raises
        ------
        UserError
            If the folder cannot be written or the disk is full.
        """
        try:
            folder.mkdir(parents=True)
            rows = [_write(bag, folder / str(number)) for number, bag in enumerate(bags)]
            (folder / _LIST).write_text(json.dumps(rows), "utf-8")
        except OSError as error:
            raise UserError(
                f"The cells could not be handed to other workers by {folder} "
                f"({error.strerror or error}); free some space, or choose 1 worker.",
                Remedy.TRY_AGAIN,
            ) from error
        return cls(folder)

    def __len__(self) -> int:
        return len(self._listed)

    def __getitem__(self, place: Any) -> Any:
        """Read a bag, or those of a slice."""
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        number = range(len(self))[int(place)]
        texts = dict(self._listed[number])
        features = np.load(texts.pop("features"), mmap_mode="c", allow_pickle=False)
        settings = FeatureSettings.model_validate(texts.pop("feature_settings"))
        with np.load(self._folder / f"{number}.npz", allow_pickle=False) as file:
            arrays = dict(file)
        names = [name for name in arrays if name.startswith(_BOX)]
        boxes = {name.removeprefix(_BOX): arrays.pop(name) for name in names}
        where = Boxes(**boxes) if boxes else None
        return Bag(features, **arrays, **texts, boxes=where, feature_settings=settings)

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self._folder,)

    @cached_property
    def _listed(self) -> list[dict[str, Any]]:
        texts: list[dict[str, Any]] = json.loads((self._folder / _LIST).read_text("utf-8"))
        return texts


def _write(bag: Bag, path: Path) -> dict[str, Any]:
    """Write the arrays of a bag; return the rest, and where its features lie."""
    features = _mapped_file(bag.features)
    if features is None:
        features = path.with_suffix(".npy")
        np.save(features, bag.features, allow_pickle=False)
    arrays = {name: getattr(bag, name) for name in _PER_CELL if getattr(bag, name) is not None}
    if bag.boxes is not None:
        arrays |= {f"{_BOX}{f.name}": getattr(bag.boxes, f.name) for f in fields(Boxes)}
    np.savez(path.with_suffix(".npz"), **arrays)
    texts = {name: getattr(bag, name) for name in _TEXTS}
    settings = bag.feature_settings.model_dump(mode="json")
    return {**texts, "feature_settings": settings, "features": str(features)}


def _mapped_file(features: npt.NDArray[np.float16]) -> Path | None:
    """Return the ``.npy`` file that an array maps as a whole, None if there is none."""
    if not isinstance(features, np.memmap) or features.filename is None:
        return None
    # A part of a mapped array is one too, and has the same file.
    path, is_whole = Path(features.filename), isinstance(features.base, mmap.mmap)
    return path.absolute() if is_whole and path.suffix == ".npy" and path.is_file() else None
