"""The detectors of a project: those that were fitted to its images, and which one is in use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from napari_attmil.core import UserError, read_provenance, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KIND: Final = "detector"
FOLDER: Final = "models"
CANDIDATE: Final = "detector-candidate.safetensors"
"""A fitted detector that nobody has accepted or discarded yet."""
CHOICE: Final = "detector-in-use.json"


@dataclass(frozen=True)
class DetectorModel:
    """A detector that was fitted to reviewed images of a project.

    Attributes
    ----------
    path
        Its model file.
    provenance
        What the fine-tuning wrote of it: created, parent, data, data_digest, held_out, before and
        after.
    """

    path: Path
    provenance: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the person calls it."""
        return self.path.stem

    @property
    def created(self) -> str:
        """Day and time, as the model file says."""
        return str(self.provenance.get("created", ""))[:16].replace("T", " ")

    @property
    def held_out(self) -> tuple[str, ...]:
        """Names of the images that it was measured on and has not learnt from."""
        return tuple(self.provenance.get("held_out", ()))

    @property
    def scores(self) -> str:
        """How it does on the held-out images: "AP50 0.843 → 0.931"; empty if not measured."""
        before, after = self.provenance.get("before"), self.provenance.get("after")
        if not before or not after:
            return ""
        return f"AP50 {before['ap50']:.3f} → {after['ap50']:.3f}"


def fitted_detectors(project: Path) -> list[DetectorModel]:
    """Return the accepted detectors of a project, the newest first; damaged ones are left out."""
    found = []
    for path in sorted((project / FOLDER).glob("detector-*.safetensors"), reverse=True):
        model = _read(path)
        if path.name != CANDIDATE and model is not None:
            found.append(model)
    return found


def training_folder(project: Path) -> Path:
    """Return where fine-tuning keeps its state, and which images it never learns from.

    One place for panel and command line: neither learns from what the other measures with.
    """
    return project / FOLDER


def candidate_path(project: Path) -> Path:
    """Return where a training writes the detector that is to be accepted or discarded."""
    return project / FOLDER / CANDIDATE


def candidate(project: Path) -> DetectorModel | None:
    """Return the detector that waits to be accepted or discarded, if there is one."""
    path = candidate_path(project)
    return _read(path) if path.exists() else None


def accept_candidate(project: Path, now: datetime | None = None) -> DetectorModel:
    """Give the candidate a name of its own and use it from now on.

    Raises
    ------
    UserError
        If there is none, or the folder cannot be written.
    """
    waiting = candidate(project)
    if waiting is None:
        raise UserError("There is no fitted detector to accept; train one on reviewed images.")
    path = waiting.path.with_name(f"detector-{now or datetime.now():%Y-%m-%d-%H%M%S}.safetensors")
    try:
        waiting.path.rename(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error}); free the folder.") from error
    use_detector(project, path)
    return DetectorModel(path, waiting.provenance)


def discard_candidate(project: Path) -> None:
    """Throw the candidate away.

    Raises
    ------
    UserError
        If its file cannot be deleted.
    """
    path = candidate_path(project)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{path} cannot be deleted ({error.strerror or error}); close what uses it, and "
            "discard it again."
        ) from error


def use_detector(project: Path, path: Path | None) -> None:
    """Use one of the project's detectors, or the shipped one if None, from now on.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    with write_atomically(project / FOLDER / CHOICE) as temporary:
        temporary.write_text(json.dumps({"file": None if path is None else path.name}), "utf-8")


def detector_in_use(project: Path) -> Path | None:
    """Return the model file of the detector in use; None for the shipped one."""
    try:
        name = json.loads((project / FOLDER / CHOICE).read_text("utf-8"))["file"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    path = project / FOLDER / str(name)
    return path if name and path.is_file() else None


def _read(path: Path) -> DetectorModel | None:
    try:
        return DetectorModel(path, read_provenance(path, KIND))
    except UserError:
        return None
