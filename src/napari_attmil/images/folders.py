"""Folders of images: which files are images, their order, and folder trees as cohorts."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from napari_attmil.core import UserError
from napari_attmil.images.cohort import Cohort, Frame, Sample
from napari_attmil.images.formats import IMAGE_SUFFIXES, file_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_IGNORED_PREFIXES = (".", "@", "$", "__MACOSX")
"""Of thumbnails and copies that macOS, Synology and Windows leave beside images."""

FORMATS = "TIFF, PNG, JPEG, BMP, CZI or another microscope's format"
_LAYOUT = "class/patient/sample/images, class/patient/images or class/images"

_OWN_FOLDERS = ("features", "models", "reports")
"""Folders that this program writes beside the class folders."""

_NO_IMAGES = "Folders without images were left out"


@dataclass(frozen=True)
class _Draft:
    """A sample found in a folder tree, before its name is made unique."""

    label: str
    patient: str
    name: str
    place: str
    files: tuple[Path, ...]


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a key that sorts image2 before image10, upper and lower case alike."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple(int(p) if i % 2 else p for i, p in enumerate(parts)), name


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return a folder's image files and its subfolders, each in natural order.

    Hidden files, system files and files that are not images are ignored.

    Raises
    ------
    UserError
        If the folder may not be read.
    """
    try:
        entries = [e for e in folder.iterdir() if not e.name.startswith(_IGNORED_PREFIXES)]
        entries.sort(key=lambda entry: natural_key(entry.name))
        subfolders = [entry for entry in entries if entry.is_dir()]
    except OSError as error:
        raise UserError(
            f"Folder '{folder}' may not be read ({error.strerror}); ask for access, or copy it "
            "elsewhere."
        ) from None
    files = set(entries) - set(subfolders)
    return [e for e in entries if e in files and e.suffix.lower() in IMAGE_SUFFIXES], subfolders


def find_images(folder: Path) -> list[Path]:
    """Return all image files in a folder and below it, in natural order."""
    return list(_walk(folder, frozenset()))


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    place = folder.resolve()
    if place in above:  # a link to a folder that holds it
        return
    images, subfolders = list_folder(folder)
    yield from images
    for subfolder in subfolders:
        yield from _walk(subfolder, above | {place})


def name_within(folder: Path, path: Path) -> str:
    """Return a file's path relative to a folder, with forward slashes; it survives a move of both.

    A file outside the folder is named by its full path.
    """
    path, folder = path.resolve(), folder.resolve()
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def frames_of(files: Iterable[Path]) -> tuple[Frame, ...]:
    """Return every field of view of the files, in order; a stack gives one frame per page."""
    return tuple(
        Frame(path, page) for path in files for page in range(len(file_header(path).pages))
    )


def make_sample(name: str, patient: str, label: str | None, files: Sequence[Path]) -> Sample:
    """Make a sample of image files; it has a pixel size if all files agree on one."""
    sizes = [file_header(path).pixel_size_um for path in files]
    known = [size for size in sizes if size is not None]
    agreed = len(known) == len(sizes) and max(known) <= 1.01 * min(known)
    return Sample(name, patient, label, frames_of(files), known[0] if agreed else None)


def open_tree(folder: Path) -> Cohort:
    """Open a folder tree class/patient/sample/images as a cohort.

    Fewer levels are accepted, and `Cohort.notes` says how they were understood:
    class/patient/images is one sample per patient, class/images makes every image a sample and a
    patient of its own. Folders below a sample's folder belong to the sample. Folders of the same
    name in two classes are different patients, as each class is often numbered from 1; they are
    then named class/patient.

    Raises
    ------
    UserError
        If there are no images, no class folders, or a file or folder that cannot be read.
    """
    loose, subfolders = list_folder(folder)
    class_folders = [each for each in subfolders if each.name not in _OWN_FOLDERS]
    notes = _Notes(folder)
    drafts = [draft for each in class_folders for draft in _class_drafts(each, notes)]
    if not drafts:
        _refuse(folder, loose, class_folders)
    if loose:
        notes.add("Images beside the class folders have no label and were left out", loose)
    notes.add(
        "Folders of a name that the project gives to its own were left out; if one is a class, "
        "rename it",
        [each for each in subfolders if each not in class_folders and find_images(each)],
    )
    samples = _named_samples(drafts, notes)
    return Cohort(samples, folder, notes.sentences())


def _refuse(folder: Path, loose: Sequence[Path], subfolders: Sequence[Path]) -> None:
    if loose:
        raise UserError(
            f"Folder '{folder}' holds {len(loose)} images but no class folders; a cohort needs "
            f"labels: arrange it as {_LAYOUT}, or add a cohort.csv (image, sample, patient, label)."
            " To correct boxes only, drag the folder into napari."
        )
    inside = f" in its {len(subfolders)} folders" if subfolders else ""
    raise UserError(
        f"Folder '{folder}' holds no images{inside} ({FORMATS}); choose a folder arranged as "
        f"{_LAYOUT}."
    )


class _Notes:
    """Collects what was assumed: sentences, and the places to which each applies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, list[str]] = defaultdict(list)

    def add(self, sentence: str, places: Iterable[Path | str]) -> None:
        """Note that `sentence` applies to some files, folders or names."""
        for place in places:
            self._places[sentence].append(place if isinstance(place, str) else self.place(place))

    def place(self, path: Path) -> str:
        """Return a path below the cohort's folder, with forward slashes."""
        return path.relative_to(self._folder).as_posix()

    def sentences(self) -> tuple[str, ...]:
        """Return the notes as sentences that name the first few places."""
        return tuple(
            f"{sentence}: {', '.join(names[:5])}{f' and {len(names) - 5} more' * (len(names) > 5)}."
            for sentence, names in self._places.items()
        )


def _class_drafts(folder: Path, notes: _Notes) -> Iterator[_Draft]:
    images, patients = list_folder(folder)
    stems = Counter(image.stem for image in images)
    for image in images:
        name = image.stem if stems[image.stem] == 1 else image.name
        yield _Draft(folder.name, name, name, notes.place(image), (image,))
    if images:
        notes.add(
            "Images directly in a class folder were each taken as a patient of their own; put "
            "those of one patient into a folder class/patient, or results will look better than "
            "they are",
            [folder],
        )
    found = {patient: list(_patient_drafts(folder.name, patient, notes)) for patient in patients}
    yield from chain.from_iterable(found.values())
    empty = [patient for patient, drafts in found.items() if not drafts]
    notes.add(_NO_IMAGES, empty if images or any(found.values()) else [folder])


def _patient_drafts(label: str, folder: Path, notes: _Notes) -> Iterator[_Draft]:
    images, samples = list_folder(folder)
    if images:
        yield _Draft(label, folder.name, folder.name, notes.place(folder), tuple(images))
        notes.add("Images directly in a patient's folder were taken as one sample", [folder])
    files = {sample: find_images(sample) for sample in samples}
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
            f"{draft.label}/{draft.patient}" if draft.patient in shared else draft.patient,
            draft.label,
            draft.files,
        )
        for name, draft in zip(names, drafts, strict=True)
    )
