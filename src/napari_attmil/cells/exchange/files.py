"""Boxes read from other programs' files; formats are recognised by their content."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from xml.etree import ElementTree

import yaml

from napari_attmil.cells.exchange.account import Account
from napari_attmil.cells.exchange.annotation_set import (
    README,
    AnnotatedImage,
    AnnotationSet,
    Prepared,
    prepared_of,
)
from napari_attmil.cells.exchange.coco import is_coco, read_coco
from napari_attmil.cells.exchange.csv_tables import read_csv
from napari_attmil.cells.exchange.cvat import read_cvat
from napari_attmil.cells.exchange.imagej import image_of_rois, read_rois
from napari_attmil.cells.exchange.label_images import (
    is_cellpose_name,
    is_outlines_name,
    read_label_image,
    read_outlines,
    without_ending,
)
from napari_attmil.cells.exchange.label_studio import is_label_studio, read_label_studio
from napari_attmil.cells.exchange.qupath import is_geojson, read_geojson
from napari_attmil.cells.exchange.small_json import (
    is_createml,
    is_labelme,
    read_createml,
    read_labelme,
)
from napari_attmil.cells.exchange.sources import SourceFile, source_files
from napari_attmil.cells.exchange.voc import read_voc
from napari_attmil.cells.exchange.yolo import (
    CLASS_FILES,
    CLASS_SUFFIXES,
    NO_CLASSES,
    Classes,
    classes_of,
    image_name,
    read_yolo,
)
from napari_attmil.core import ContentError, UserError, reason_in_words
from napari_attmil.images import decoded_text, is_mask_name
from napari_attmil.images.formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Read = tuple[str, Sequence[AnnotatedImage]]
    """A format's name, and the images of a file."""

Found = TypeVar("Found")

READ: Final = (
    "COCO, YOLO, Pascal VOC, CSV, CVAT for images, Label Studio's JSON, ImageJ's ROIs, QuPath's "
    "GeoJSON, labelme, CreateML, masks"
)
_TEXTS: Final = (".json", ".geojson", ".xml", ".csv", ".tsv", ".txt")
_NO_BOXES: Final = {
    *(*CLASS_FILES, "notes.json", "cohort.csv", "train.txt", "valid.txt", "val.txt", "test.txt"),
    *("readme.txt", "readme.dataset.txt", "readme.roboflow.txt", "labelmap.txt", "obj.data"),
}
_FOLDERS_ABOVE: Final = 3


def read_boxes(paths: Sequence[Path]) -> AnnotationSet:
    """Return the boxes in files, folders and zip archives, in any of the formats.

    What cannot be read is left out, item by item, and told. Image files are read as masks or label
    images; in a folder with other annotations only those that are named like masks.

    Raises
    ------
    UserError
        If no file with annotations is found, or nothing in any of them can be read.
    """
    account, refusals = Account(), list[str]()
    names: dict[str, None] = {}
    images: list[AnnotatedImage] = []
    with ExitStack() as opened:
        for path in paths:
            files = source_files(path, account, opened)
            classes = _Beside(files, _may_list_classes, _class_list)
            readmes = _Beside(files, _is_readme, _readme)
            for group in _with_annotations(files, is_given=path.is_file()):
                try:
                    name, read = _read_group(group, classes, account)
                except UserError as error:
                    refusals.append(str(error))
                else:
                    names[name] = None
                    prepared = _prepared(group[0], readmes.of(group[0]))
                    images += [replace(image, prepared=prepared) for image in read]
    if refusals and not images:
        raise UserError(refusals[0])
    if not images:
        raise UserError(
            f"No annotation files were found in '{paths[0]}'; choose others: {READ} are read."
        )
    return AnnotationSet(", ".join(names), tuple(images), account.notes(), tuple(account.left_out))


def _with_annotations(files: Sequence[SourceFile], is_given: bool) -> list[list[SourceFile]]:
    """Return the files that can hold annotations; those of one image's ROIs together."""
    if is_given and len(files) == 1:
        return [list(files)]
    rois: dict[str, list[SourceFile]] = {}
    for file in files:
        if file.suffix == ".roi":
            rois.setdefault(image_of_rois(file), []).append(file)
    texts = [
        file for file in files if file.suffix in _TEXTS and file.place.name.lower() not in _NO_BOXES
    ]
    pictures = [file for file in files if file.suffix in IMAGE_SUFFIXES]
    masks = [file for file in pictures if is_mask_name(file.place)]
    # Cellpose's other files are of the same cells as its masks.
    known = {without_ending(file.place) for file in masks}
    texts += [file for file in files if file.suffix == ".npy" and is_cellpose_name(file.place)]
    texts = [
        file
        for file in texts
        if not (is_cellpose_name(file.place) and without_ending(file.place) in known)
    ]
    if not (texts or rois or masks):
        masks = pictures
    return [*rois.values(), *([file] for file in (*texts, *masks))]


def _read_group(group: Sequence[SourceFile], classes: _Beside[Classes], account: Account) -> Read:
    """Return what a file, or the files of one image's ROIs, hold.

    Raises
    ------
    UserError
        If nothing in it can be read.
    """
    before, file = len(account.left_out), group[0]
    try:
        name, images = _read_content(group, classes, account)
    except Exception as error:  # ValueError, csv.Error and whatever else a hostile file may raise
        account.leave_out(f"the file {file}", reason_in_words(error))
        raise _refusal(file, reason_in_words(error)) from None
    own = account.left_out[before:]
    if own and not any(image.boxes for image in images):
        raise _refusal(file, f"{own[0].item}: {own[0].reason}")
    # A person's word that an image is complete is of no use where something of it is missing.
    lacking = {each.image for each in own}
    return name, [replace(i, reviewed=i.reviewed and i.name not in lacking) for i in images]


def _refusal(file: SourceFile, reason: str) -> UserError:
    return UserError(
        f"{file} cannot be read as boxes: {reason.rstrip('.')}; export it again, or leave it out."
    )


def _read_content(group: Sequence[SourceFile], classes: _Beside[Classes], account: Account) -> Read:
    file = group[0]
    if file.suffix == ".roi":
        return "ImageJ", read_rois(group, image_of_rois(file), account)
    if file.suffix in (*IMAGE_SUFFIXES, ".npy"):
        return "label images", read_label_image(file, account)
    text = decoded_text(file.read(), str(file))
    start = text.lstrip()[:1]
    if start == "<":
        return _read_xml(text, account)
    if start in ("{", "["):
        return _read_json(text, without_ending(file.place), account)
    if file.suffix != ".txt":
        return "CSV", read_csv(text, account)
    if is_outlines_name(file.place):
        return "Cellpose outlines", [read_outlines(text, file, account)]
    listed = classes.of(file) or NO_CLASSES
    return "YOLO", [read_yolo(text, image_name(file.place), listed, account)]


def _read_xml(text: str, account: Account) -> Read:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ContentError("it defines entities, which no annotation file needs")
    root = ElementTree.fromstring(text)
    if root.tag == "annotation":
        return "Pascal VOC", read_voc(root, account)
    if root.tag == "annotations":
        return "CVAT", read_cvat(root, account)
    raise ContentError(
        f"its root is <{root.tag[:40]}>, but <annotation> or <annotations> is needed"
    )


def _read_json(text: str, name: str, account: Account) -> Read:
    """Return what JSON holds; `name` is that of the image if the file does not give any."""
    content = json.loads(text)
    if is_coco(content):
        return "COCO", read_coco(content, account)
    if is_labelme(content):
        return "labelme", read_labelme(content, account)
    if is_geojson(content):
        return "QuPath", read_geojson(content, name, account)
    if is_createml(content):
        return "CreateML", read_createml(content, account)
    if is_label_studio(content):
        return "Label Studio", read_label_studio(content, account)
    raise ContentError(
        "it is JSON, but neither COCO (images, annotations) nor Label Studio's tasks, labelme's "
        "shapes, CreateML's images or QuPath's GeoJSON"
    )


class _Beside(Generic[Found]):
    """What files of some names say of the files beside them, or in folders below.

    Parameters
    ----------
    files
        All files.
    may_be
        Tells by its name whether a file can be one of them.
    read
        Returns what such a file says, by its name and content; None if it is another file.
    """

    def __init__(
        self,
        files: Iterable[SourceFile],
        may_be: Callable[[PurePath], bool],
        read: Callable[[str, Callable[[], bytes]], Found | None],
    ) -> None:
        self._may_be, self._read = may_be, read
        self._packed: dict[PurePath, list[SourceFile]] = {}
        for file in files:
            if file.path is None and may_be(file.place):
                self._packed.setdefault(file.within / file.place.parent, []).append(file)
        self._known: dict[PurePath, Found | None] = {}

    def of(self, file: SourceFile) -> Found | None:
        """Return what is said of a file; None if nothing is."""
        place = file.within / file.place if file.path is None else file.path.absolute()
        folders = list(place.parents)[: max(_FOLDERS_ABOVE, len(file.place.parents))]
        found = (self._of_folder(folder) for folder in folders)
        return next((each for each in found if each is not None), None)

    def _of_folder(self, folder: PurePath) -> Found | None:
        if folder not in self._known:
            if isinstance(folder, Path):
                paths = sorted(filter(self._may_be, folder.iterdir()))
                files = [(path.name, path.read_bytes) for path in paths if path.is_file()]
            else:
                files = [(each.place.name, each.read) for each in self._packed.get(folder, [])]
            said = (self._read(name, read) for name, read in files)
            self._known[folder] = next((each for each in said if each is not None), None)
        return self._known[folder]


def _is_readme(path: PurePath) -> bool:
    return path.name.lower() == README.lower()


def _readme(name: str, read: Callable[[], bytes]) -> str | None:
    try:
        return decoded_text(read(), name)
    except (UserError, OSError, ValueError):
        return None


def _prepared(file: SourceFile, readme: str | None) -> Prepared | None:
    """Return what was done to the pictures of a file of annotations, if a readme says it."""
    if readme is None:
        return None
    place = file.place if file.path is None else file.path
    folders = [part.lower() for part in place.parts[:-1]]
    parts = [folder for folder in folders if folder in ("train", "valid", "test")]
    return prepared_of(readme, parts[-1:] in ([], ["train"]))


def _may_list_classes(path: PurePath) -> bool:
    name = path.name.lower()
    return name in CLASS_FILES or name.endswith(CLASS_SUFFIXES)


def _class_list(name: str, read: Callable[[], bytes]) -> Classes | None:
    """Return what a file says of classes; None if it is a file of something else."""
    try:
        return classes_of(name, decoded_text(read(), name))
    except (UserError, OSError, ValueError, TypeError, RecursionError, yaml.YAMLError):
        return None
