"""Files and folder trees as cohorts: which samples, patients and classes their places tell."""

from __future__ import annotations

import mimetypes
import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from napari_attmil.core import Remedy, UserError
from napari_attmil.images.cohort import Cohort, Sample
from napari_attmil.images.folders import (
    FORMATS,
    OWN_FOLDERS,
    find_images,
    is_folder,
    list_folder,
    make_sample,
    natural_key,
)
from napari_attmil.images.formats import IMAGE_SUFFIXES, file_header
from napari_attmil.images.labels import known_label
from napari_attmil.images.mask_names import masks_among

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_CLASS_WORDS = ("class", "group", "label", "type", "grade", "stage", "category")
"""Numbered folders of such a name are classes all the same: class 0, class 1."""

_NO_IMAGES = "Folders without images were left out"
_UNREADABLE = "Files that cannot be read were left out"
_OTHER_FORMATS = f"Files of formats that are not read were left out (read are {FORMATS})"
_MASKS = (
    "Masks of other programs beside the images were left out; to have their cells as boxes, import "
    "them (Import boxes… in Annotate cells, or attmil import)"
)
_BESIDE = "Images beside the class folders have no label and were left out"
_NO_CLASSES = (
    "The folders are not named like classes, so each folder of images was taken as one sample, "
    "without a class; give samples and classes in the table of samples or in a cohort.csv"
)


@dataclass(frozen=True)
class _Draft:
    """A sample found in a folder tree, before its name is made unique."""

    label: str | None
    patient: str
    name: str
    place: str
    files: tuple[Path, ...]


def open_tree(folder: Path) -> Cohort:
    """Open a folder of images as a cohort, whatever its layout; `Cohort.notes` says what was found.

    In a tree class/patient/sample/images, folders below a sample's folder belong to the sample.
    class/patient/images is one sample per patient, class/images makes every image a sample and a
    patient of its own. Folders of the same name in two classes are different patients, as each
    class is often numbered from 1; they are then named class/patient.

    Where folders are numbered or dated (day1, day2), or there is only one, they are no classes:
    each folder of images is one sample without a label. Images in the folder itself are samples of
    their own. Files that cannot be read are left out.

    Raises
    ------
    UserError
        If there is no image that can be read.
    """
    files, subfolders = _listed(folder)
    return _open(folder, files, subfolders)


def open_together(paths: Sequence[Path]) -> Cohort:
    """Open files and folders that were chosen together, as if one folder held only these.

    Raises
    ------
    UserError
        If there is no image that can be read.
    """
    paths = list(dict.fromkeys(Path(os.path.abspath(path)) for path in paths))
    folders = [path for path in paths if is_folder(path)]
    # An image belongs to one sample.
    paths = [path for path in paths if not any(above in folders for above in path.parents)]
    folders = [path for path in folders if path in paths]
    return _open(_common_folder(paths), [path for path in paths if path not in folders], folders)


def _common_folder(paths: Sequence[Path]) -> Path:
    """Return the lowest folder above all paths; of paths with nothing in common, the first one's.

    That is so on several drives, and where only the home folder or one above it is common: a
    study's files do not belong there.
    """
    try:
        common = Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:
        return paths[0].parent
    too_wide = {Path(common.anchor), Path.home(), *Path.home().parents}
    return paths[0].parent if common in too_wide else common


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the images, and files that look like images, of a folder, and its subfolders."""
    images, subfolders = list_folder(folder)
    files = sorted(entry for entry in folder.iterdir() if entry not in subfolders)
    masks = masks_among(files)
    others = [e for e in files if e in masks or _is_other_format(e)]
    return [*images, *others], subfolders


def _is_other_format(path: Path) -> bool:
    kind = mimetypes.guess_type(path.name)[0] or ""
    suffix = path.suffix.lower()
    return kind.startswith(("image/", "video/")) and suffix not in IMAGE_SUFFIXES


def _open(root: Path, files: Sequence[Path], subfolders: Sequence[Path]) -> Cohort:
    notes = _Notes(root)
    loose = notes.readable(files)
    folders = [f for f in subfolders if f.parent != root or f.name not in OWN_FOLDERS]
    if _are_classes(folders, notes):
        drafts = [draft for folder in folders for draft in _class_drafts(folder, notes)]
        if all(draft.files[0].parent in folders for draft in drafts):
            drafts += _image_drafts(loose, None, notes)
        else:
            notes.add(_BESIDE, loose)
    else:
        drafts = [*_image_drafts(loose, None, notes), *_unclassed_drafts(folders, notes)]
    notes.add(
        "Folders of a name that the project gives to its own were left out; if one is a class, "
        "rename it",
        [f for f in subfolders if f not in folders and notes.found(f)],
    )
    if not drafts:
        _refuse(root, folders, notes)
    return Cohort(_named_samples(drafts, notes), root, notes.sentences())


def _are_classes(folders: Sequence[Path], notes: _Notes) -> bool:
    """Return whether folders may be classes; numbered or dated ones, or a single one, are not."""
    if len(folders) == 1 and not any(map(notes.found, notes.listed(folders[0])[1])):
        return False
    names = [folder.name.casefold() for folder in folders]
    stems = {re.sub(r"[\W\d_]+", "", name) for name in names}
    are_numbered = all(re.search(r"\d", name) for name in names)
    if not are_numbered or len(stems) == len(names) > 1:
        return bool(folders)
    # "0" and "1" are how tables of labels number classes; patients and days begin with 1.
    return any(word in stem for word in _CLASS_WORDS for stem in stems) or "0" in names


def _refuse(root: Path, folders: Sequence[Path], notes: _Notes) -> None:
    if notes.first_error is not None:
        raise notes.first_error
    inside = f" in its {len(folders)} folders" if folders else ""
    raise UserError(
        f"Folder '{root}' holds no images{inside}; choose one that does ({FORMATS}).",
        Remedy.OPEN_IMAGES,
    )


class _Notes:
    """Collects what was assumed and left out: sentences, and the places to which each applies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, list[str]] = defaultdict(list)
        self.first_error: UserError | None = None

    def add(self, sentence: str, places: Iterable[Path | str]) -> None:
        """Note that `sentence` applies to some files, folders or names."""
        for place in places:
            name = place if isinstance(place, str) else self.place(place)
            if name not in self._places[sentence]:
                self._places[sentence].append(name)

    def place(self, path: Path) -> str:
        """Return a path below the cohort's folder, with forward slashes."""
        below = path.relative_to(self._folder) if path.is_relative_to(self._folder) else path
        return below.as_posix()

    def readable(self, files: Iterable[Path]) -> list[Path]:
        """Return the files that are images, and note the others with the reason."""
        images, files = [], list(files)
        masks = masks_among(files)
        self.add(_MASKS, [path for path in files if path in masks])
        for path in files:
            if path in masks:
                continue
            try:
                file_header(path)
            except UserError as error:
                self.first_error = self.first_error or error
                other = _is_other_format(path)
                self.add(_OTHER_FORMATS, [path] if other else [])
                reason = str(error).removeprefix(f"'{path}' ").split(";")[0]
                self.add(_UNREADABLE, [] if other else [f"{self.place(path)} ({reason})"])
            else:
                images.append(path)
        return images

    def listed(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Return a folder's readable images and its subfolders; note one that may not be read."""
        try:
            files, subfolders = _listed(folder)
        except UserError as error:
            self.first_error = self.first_error or error
            self.add("Folders that may not be read were left out", [folder])
            return [], []
        return self.readable(files), subfolders

    def found(self, folder: Path) -> list[Path]:
        """Return the readable images in a folder and below it, as `listed`."""
        return find_images(folder, self.listed)

    def sentences(self) -> tuple[str, ...]:
        """Return the notes as sentences that name the first few places."""
        return tuple(
            f"{sentence}: {', '.join(names[:5])}{f' and {len(names) - 5} more' * (len(names) > 5)}."
            for sentence, names in self._places.items()
        )


def _image_drafts(images: Sequence[Path], label: str | None, notes: _Notes) -> Iterator[_Draft]:
    """Make each image a sample and a patient of its own."""
    stems = Counter(image.stem for image in images)
    for image in images:
        name = image.stem if stems[image.stem] == 1 else image.name
        yield _Draft(label, name, name, notes.place(image), (image,))


def _unclassed_drafts(folders: Sequence[Path], notes: _Notes) -> Iterator[_Draft]:
    """Make each folder of images a sample; of a single one without folders, each image."""
    found = {folder: notes.found(folder) for folder in folders}
    notes.add(_NO_IMAGES, [folder for folder, images in found.items() if not images])
    holding = [folder for folder, images in found.items() if images]
    if len(holding) == 1 and all(image.parent == holding[0] for image in found[holding[0]]):
        yield from _image_drafts(found[holding[0]], None, notes)
        return
    for folder in holding:
        by_folder: dict[Path, list[Path]] = defaultdict(list)
        for image in found[folder]:
            by_folder[image.parent].append(image)
        for place, images in by_folder.items():
            yield _Draft(None, folder.name, place.name, notes.place(place), tuple(images))
    notes.add(_NO_CLASSES, holding)


def _class_drafts(folder: Path, notes: _Notes) -> Iterator[_Draft]:
    images, patients = notes.listed(folder)
    label = known_label(folder.name)
    yield from _image_drafts(images, label, notes)
    if label is None:
        notes.add("Folders of such a name hold samples whose class is not known", [folder])
    if images:
        notes.add(
            "Images directly in a class folder were each taken as a patient of their own; put "
            "those of one patient into a folder class/patient, or results will look better than "
            "they are",
            [folder],
        )
    found = {patient: list(_patient_drafts(label, patient, notes)) for patient in patients}
    yield from chain.from_iterable(found.values())
    empty = [patient for patient, drafts in found.items() if not drafts]
    notes.add(_NO_IMAGES, empty if images or any(found.values()) else [folder])


def _patient_drafts(label: str | None, folder: Path, notes: _Notes) -> Iterator[_Draft]:
    images, samples = notes.listed(folder)
    if images:
        yield _Draft(label, folder.name, folder.name, notes.place(folder), tuple(images))
        notes.add("Images directly in a patient's folder were taken as one sample", [folder])
    files = {sample: notes.found(sample) for sample in samples}
    for sample in filter(files.get, samples):
        yield _Draft(label, folder.name, sample.name, notes.place(sample), tuple(files[sample]))
        if any(file.parent != sample for file in files[sample]):
            notes.add("Folders within a sample's folder are part of it", [sample])
    if images or any(files.values()):
        notes.add(_NO_IMAGES, [sample for sample in samples if not files[sample]])


def _named_samples(drafts: Sequence[_Draft], notes: _Notes) -> tuple[Sample, ...]:
    """Make samples with names that are unique in the cohort, as short as that allows."""
    classes = Counter(patient for _, patient in {(d.label, d.patient) for d in drafts})
    shared = sorted((name for name, count in classes.items() if count > 1), key=natural_key)
    notes.add(
        "Patients of the same name in two classes were taken as different people; if they are "
        "the same, put their samples into one class folder, as a patient has one class",
        shared,
    )
    schemes = (
        [draft.name for draft in drafts],
        [f"{draft.patient}/{draft.name}" for draft in drafts],
        [draft.place for draft in drafts],
    )
    names = next(scheme for scheme in schemes if len(set(scheme)) == len(drafts))
    return tuple(
        make_sample(
            name,
            f"{draft.label}/{draft.patient}"
            if draft.patient in shared and draft.label is not None
            else draft.patient,
            draft.label,
            draft.files,
        )
        for name, draft in zip(names, drafts, strict=True)
    )
