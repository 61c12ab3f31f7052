"""What was opened lately, and how a study was left: a convenience, never needed to open it.

Files that are missing, damaged or of a newer version count as nothing known.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import platformdirs

from napari_attmil.cells import Boxes
from napari_attmil.cells.annotations import FILE_NAME
from napari_attmil.core import UserError, reason_in_words, write_atomically, write_json
from napari_attmil.images import DEFAULT_PLANES, PlaneChoice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_attmil.bags import Prediction

VERSION: Final = 1
MOST_RECENT: Final = 10
_FOLDER: Final = ".napari-attmil"
_DAMAGED: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile)


@dataclass(frozen=True)
class RecentStudy:
    """A study that was opened before.

    Attributes
    ----------
    paths
        The files and folders that were opened.
    title
        What it is called in a menu: "18 images in smears".
    """

    paths: tuple[Path, ...]
    title: str

    @property
    def is_there(self) -> bool:
        """Whether all of its files and folders still are."""
        return all(os.path.exists(path) for path in self.paths)


@dataclass(frozen=True)
class StudyState:
    """How a study was left.

    Attributes
    ----------
    sample, image_index
        What was shown.
    panels
        The open panels.
    classifier
        Path of the model file in use; empty if there was none.
    """

    sample: str = ""
    image_index: int = 0
    panels: tuple[str, ...] = ()
    classifier: str = ""


Results = dict[str, "tuple[Prediction, Boxes]"]
"""By the sample's name: its prediction, and the boxes that it was made of."""


def recent_studies() -> list[RecentStudy]:
    """Return the studies that were opened lately, the last one first."""
    listed = _read_json(_recent_file()).get("studies", [])
    with suppress(*_DAMAGED):
        return [
            RecentStudy(tuple(map(Path, entry["paths"])), str(entry["title"])) for entry in listed
        ]
    return []


def note_recent(paths: Sequence[Path], title: str) -> None:
    """Put a study at the head of those opened lately."""
    study = RecentStudy(tuple(Path(os.path.abspath(path)) for path in paths), title)
    _write_recent([study, *(old for old in recent_studies() if old.paths != study.paths)])


def forget_recent(studies: Sequence[RecentStudy]) -> None:
    """Take studies from the list; their files are not touched."""
    _write_recent([old for old in recent_studies() if old not in studies])


def read_state(folder: Path) -> StudyState:
    """Return how the study in a folder was left."""
    for place in _places(folder):
        content = _read_json(place / "state.json")
        if content:
            with suppress(*_DAMAGED):
                return StudyState(
                    str(content["sample"]),
                    int(content["image_index"]),
                    tuple(map(str, content["panels"])),
                    str(content["classifier"]),
                )
    return StudyState()


def write_state(folder: Path, state: StudyState) -> None:
    """Keep how the study in a folder is left: in it, or where that is not possible, elsewhere.

    A folder in which nobody has worked stays as it is.
    """
    with suppress(UserError):
        write_json(_place(folder) / "state.json", {"version": VERSION, **asdict(state)})


def read_planes(folder: Path) -> PlaneChoice:
    """Return which planes of z-stacks, films and channels are looked at in the study in a folder.

    As long as nobody has chosen, or what was chosen cannot be read, that is the usual choice.
    """
    for place in _places(folder):
        content = _read_json(place / "planes.json")
        with suppress(*_DAMAGED, UserError):
            return PlaneChoice(*(str(content[name]) for name in DEFAULT_PLANES.as_dict()))
    return DEFAULT_PLANES


def write_planes(folder: Path, choice: PlaneChoice) -> None:
    """Keep which planes are looked at in the study in a folder.

    Raises
    ------
    UserError
        If that cannot be written.
    """
    _forget(folder, "planes.json", "choice of planes")
    if choice != DEFAULT_PLANES:
        write_json(_place(folder) / "planes.json", {"version": VERSION, **choice.as_dict()})


def read_prior(folder: Path) -> dict[str, float] | None:
    """Return how frequent the classes are where the samples of the study in a folder come from.

    None, for the frequencies of the training, as long as nobody has said, or what is kept cannot be
    read.
    """
    from napari_attmil.bags import checked_prior

    for place in _places(folder):
        shares = _read_json(place / "prior.json").get("classes", {})
        with suppress(*_DAMAGED, UserError):
            return checked_prior(shares, tuple(shares))
    return None


def write_prior(folder: Path, prior: Mapping[str, float] | None) -> None:
    """Keep how frequent the classes are; None for the frequencies of the training.

    Raises
    ------
    UserError
        If that cannot be written.
    """
    _forget(folder, "prior.json", "frequencies of the classes")
    if prior is not None:
        write_json(_place(folder) / "prior.json", {"version": VERSION, "classes": dict(prior)})


def write_results(folder: Path, classifier: Path, results: Results) -> None:
    """Keep the predictions that a classifier made of samples of a study."""
    content: dict[str, Any] = {"version": VERSION, "classifier": _digest(classifier), "samples": []}
    arrays: dict[str, Any] = {}
    for number, (prediction, boxes) in enumerate(results.values()):
        values = {}
        # The boxes stand beside it, and other frequencies of the classes in a file of their own.
        prediction = replace(prediction.at_training, boxes=None)
        for part, owner in (("prediction", prediction), ("boxes", boxes)):
            for each in fields(owner):
                value = getattr(owner, each.name)
                if isinstance(value, np.ndarray):
                    arrays[f"{number}/{part}/{each.name}"] = value
                else:
                    values[each.name] = value
        content["samples"].append(values)
    arrays["content"] = np.array(json.dumps(content))
    path = _place(folder) / "results.npz"
    with suppress(*_DAMAGED), write_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_results(folder: Path, classifier: Path) -> Results:
    """Return the predictions that were kept, if this very classifier made them."""
    for place in _places(folder):
        with (
            suppress(*_DAMAGED),
            (place / "results.npz").open("rb") as file,
            np.load(file, allow_pickle=False) as stored,
        ):
            content = json.loads(str(stored["content"]))
            if content["version"] != VERSION or content["classifier"] != _digest(classifier):
                continue
            return dict(
                _result(stored, number, values) for number, values in enumerate(content["samples"])
            )
    return {}


def _result(
    stored: Mapping[str, Any], number: int, values: dict[str, Any]
) -> tuple[str, tuple[Prediction, Boxes]]:
    from napari_attmil.bags import Prediction

    of: dict[str, dict[str, Any]] = {"prediction": {}, "boxes": {}}
    for part, found in of.items():
        start = f"{number}/{part}/"
        found |= {key.removeprefix(start): stored[key] for key in stored if key.startswith(start)}
    texts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    boxes = Boxes(**of["boxes"])
    prediction = Prediction(**(texts | of["prediction"] | {"boxes": boxes}))
    return values["sample"], (prediction, boxes)


def folder_key(folder: Path) -> str:
    """Return a name for what is kept of a study outside its folder."""
    return hashlib.blake2b(str(folder.resolve()).encode(), digest_size=12).hexdigest()


def _forget(folder: Path, name: str, what: str) -> None:
    """Delete a file of a study's state wherever it is kept."""
    try:
        for place in _places(folder):
            (place / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"The {what} in {folder} cannot be changed ({reason_in_words(error)}); make the "
            "folder writable."
        ) from error


def _place(folder: Path) -> Path:
    """Return the folder in which the state of a study is kept."""
    inside, outside = _places(folder)
    is_worked_on = (folder / FILE_NAME).exists() and os.access(folder, os.W_OK)
    return inside if is_worked_on else outside


def _places(folder: Path) -> tuple[Path, Path]:
    return folder / _FOLDER, _user_folder() / "studies" / folder_key(folder)


def _user_folder() -> Path:
    return Path(platformdirs.user_state_path("napari-attmil"))


def _recent_file() -> Path:
    return _user_folder() / "recent.json"


def _write_recent(studies: Sequence[RecentStudy]) -> None:
    listed = [
        {"paths": [str(path) for path in study.paths], "title": study.title}
        for study in studies[:MOST_RECENT]
    ]
    with suppress(UserError):
        write_json(_recent_file(), {"version": VERSION, "studies": listed})


def _read_json(path: Path) -> dict[str, Any]:
    with suppress(*_DAMAGED):
        content = json.loads(path.read_text("utf-8"))
        if isinstance(content, dict) and content.get("version") == VERSION:
            return content
    return {}


def _digest(path: Path) -> str:
    """Return a fingerprint of a model file: of its size, beginning and end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        ends = file.read(65536)
        file.seek(max(size - 65536, 0))
        ends += file.read()
    return f"{size}-{hashlib.blake2b(ends, digest_size=16).hexdigest()}"
