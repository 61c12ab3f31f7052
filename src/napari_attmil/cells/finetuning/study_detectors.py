"""The detectors fitted to a study's images, and which one is in use."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_attmil.cells.detection import DetectionScore, is_offered
from napari_attmil.cells.finetuning.gate import LookOutcome, is_better
from napari_attmil.core import Remedy, UserError, read_provenance, reason_in_words, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND: Final = "detector"
FOLDER: Final = "models"
CANDIDATE: Final = "detector-candidate.safetensors"
"""The latest fitted detector until it is accepted or put aside."""
CHOICE: Final = "detector-in-use.json"


@dataclass(frozen=True)
class DetectorModel:
    """A detector that was fitted to reviewed images of a study.

    Attributes
    ----------
    path
        Its model file.
    provenance
        Written by the fine-tuning: created, parent, data, data_digest, held_out, before, after
        and looks.
    """

    path: Path
    provenance: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name shown to the user."""
        return self.path.stem

    @property
    def created(self) -> str:
        """Date and time from the model file."""
        return str(self.provenance.get("created", ""))[:16].replace("T", " ")

    @property
    def held_out(self) -> tuple[str, ...]:
        """Names of the held-out images, on which it was scored."""
        return tuple(self.provenance.get("held_out", ()))

    @property
    def is_candidate(self) -> bool:
        """Whether it has been neither accepted nor put aside."""
        return self.path.name == CANDIDATE

    @property
    def before(self) -> DetectionScore | None:
        """The score of the detector that it was fitted from, on the held-out images."""
        return _score(self.provenance.get("before"))

    @property
    def after(self) -> DetectionScore | None:
        """Its own score on the held-out images."""
        return _score(self.provenance.get("after"))

    @property
    def is_better(self) -> bool | None:
        """Whether it is better than the one before; None if it was not tested."""
        before, after = self.before, self.after
        return None if before is None or after is None else is_better(before, after)

    @property
    def looks(self) -> list[LookOutcome]:
        """What became of the cells of the held-out images, by look; empty for older models."""
        return [LookOutcome(**look) for look in self.provenance.get("looks", ())]

    @property
    def scores(self) -> str:
        """Precision on the held-out images: "0.512 → 0.634"; empty if there is none."""
        before, after = self.before, self.after
        return "" if before is None or after is None else f"{before.ap:.3f} → {after.ap:.3f}"


def fitted_detectors(study_folder: Path) -> list[DetectorModel]:
    """Return a study's fitted detectors but the candidate, newest first, without damaged ones."""
    paths = sorted((study_folder / FOLDER).glob("detector-*.safetensors"), reverse=True)
    models = [_read(path) for path in paths if path.name != CANDIDATE]
    return [model for model in models if model is not None]


def training_folder(study_folder: Path) -> Path:
    """Return the folder with the state of fine-tuning and the list of held-out images.

    Panel and command line share it: neither trains on an image that the other holds out.
    """
    return study_folder / FOLDER


def candidate_path(study_folder: Path) -> Path:
    """Return the path of a fitted detector until it is accepted or discarded."""
    return study_folder / FOLDER / CANDIDATE


def candidate(study_folder: Path) -> DetectorModel | None:
    """Return the fitted detector that is to be accepted or discarded, if there is one."""
    path = candidate_path(study_folder)
    return _read(path) if path.exists() else None


def accept_candidate(study_folder: Path, now: datetime | None = None) -> DetectorModel:
    """Give the candidate its own name and use it from now on.

    Raises
    ------
    UserError
        If there is none, or the folder cannot be written.
    """
    kept = keep_candidate(study_folder / FOLDER, now)
    if kept is None:
        raise UserError(
            "There is no fitted detector to accept; train one on reviewed images.",
            Remedy.TRAIN_DETECTOR,
        )
    use_detector(study_folder, kept.path)
    return kept


def keep_candidate(models: Path, now: datetime | None = None) -> DetectorModel | None:
    """Give the candidate in a folder of models its own name; the detector in use stays.

    Returns
    -------
    DetectorModel or None
        None if there is no candidate.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    waiting = models / CANDIDATE
    model = _read(waiting) if waiting.exists() else None
    if model is None:
        return None
    path = _free_path(models, now or datetime.now())
    try:
        waiting.rename(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({reason_in_words(error)}); free the folder.",
            Remedy.TRY_AGAIN,
        ) from error
    return DetectorModel(path, model.provenance)


def delete_detector(study_folder: Path, path: Path) -> None:
    """Delete a fitted detector that is not in use, or the candidate.

    Raises
    ------
    UserError
        If it is in use, or its file cannot be deleted.
    """
    if path == detector_in_use(study_folder):
        raise UserError(f"{path.stem} is in use; use another detector before you delete it.")
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{path} cannot be deleted ({error.strerror or error}); close what uses it, and delete "
            "it again.",
            Remedy.TRY_AGAIN,
        ) from error


def use_detector(study_folder: Path, path: Path | None) -> None:
    """Use one of the study's detectors, or the shipped one if None, from now on.

    `path` is a model file in the study, or the name of a detector of another package.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    write_json(study_folder / FOLDER / CHOICE, {"file": None if path is None else path.name})


def detector_in_use(study_folder: Path) -> Path | None:
    """Return the model file of the detector in use, or its name; None for the shipped one.

    The name is that of a detector of another package; the shipped one is used where that package
    is not installed.
    """
    try:
        name = json.loads((study_folder / FOLDER / CHOICE).read_text("utf-8"))["file"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not name:
        return None
    path = study_folder / FOLDER / str(name)
    if path.is_file():
        return path
    return Path(name) if is_offered(Path(name)) else None


def _free_path(models: Path, now: datetime) -> Path:
    """Return a path for a detector that no other one has."""
    while (path := models / f"detector-{now:%Y-%m-%d-%H%M%S}.safetensors").exists():
        now += timedelta(seconds=1)
    return path


def _score(content: Mapping[str, float] | None) -> DetectionScore | None:
    if not content:
        return None
    return DetectionScore(content["ap50"], content.get("ap75", math.nan), content["ap"])


def _read(path: Path) -> DetectorModel | None:
    try:
        return DetectorModel(path, read_provenance(path, KIND))
    except UserError:
        return None
