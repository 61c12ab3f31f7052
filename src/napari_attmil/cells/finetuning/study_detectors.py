"""The detectors fitted to a study's images, and which one is in use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from napari_attmil.core import UserError, read_provenance, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KIND: Final = "detector"
FOLDER: Final = "models"
CANDIDATE: Final = "detector-candidate.safetensors"
"""A fitted detector that has been neither accepted nor discarded."""
CHOICE: Final = "detector-in-use.json"


@dataclass(frozen=True)
class DetectorModel:
    """A detector that was fitted to reviewed images of a study.

    Attributes
    ----------
    path
        Its model file.
    provenance
        Written by the fine-tuning: created, parent, data, data_digest, held_out, before and after.
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
    def scores(self) -> str:
        """Scores on the held-out images: "AP50 0.843 → 0.931"; empty if there are none."""
        before, after = self.provenance.get("before"), self.provenance.get("after")
        if not before or not after:
            return ""
        return f"AP50 {before['ap50']:.3f} → {after['ap50']:.3f}"


def fitted_detectors(study_folder: Path) -> list[DetectorModel]:
    """Return a study's accepted detectors, the newest first, without damaged ones."""
    found = []
    for path in sorted((study_folder / FOLDER).glob("detector-*.safetensors"), reverse=True):
        model = _read(path)
        if path.name != CANDIDATE and model is not None:
            found.append(model)
    return found


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
    waiting = candidate(study_folder)
    if waiting is None:
        raise UserError("There is no fitted detector to accept; train one on reviewed images.")
    path = waiting.path.with_name(f"detector-{now or datetime.now():%Y-%m-%d-%H%M%S}.safetensors")
    try:
        waiting.path.rename(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error}); free the folder.") from error
    use_detector(study_folder, path)
    return DetectorModel(path, waiting.provenance)


def discard_candidate(study_folder: Path) -> None:
    """Delete the candidate.

    Raises
    ------
    UserError
        If its file cannot be deleted.
    """
    path = candidate_path(study_folder)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{path} cannot be deleted ({error.strerror or error}); close what uses it, and "
            "discard it again."
        ) from error


def use_detector(study_folder: Path, path: Path | None) -> None:
    """Use one of the study's detectors, or the shipped one if None, from now on.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    write_json(study_folder / FOLDER / CHOICE, {"file": None if path is None else path.name})


def detector_in_use(study_folder: Path) -> Path | None:
    """Return the model file of the detector in use; None for the shipped one."""
    try:
        name = json.loads((study_folder / FOLDER / CHOICE).read_text("utf-8"))["file"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    path = study_folder / FOLDER / str(name)
    return path if name and path.is_file() else None


def _read(path: Path) -> DetectorModel | None:
    try:
        return DetectorModel(path, read_provenance(path, KIND))
    except UserError:
        return None
