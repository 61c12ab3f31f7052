"""A table of samples as values: one row a sample, and what a person does to the rows.

Every function takes rows and returns new ones, so that undo only has to keep the former.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from napari_attmil.core import UserError, counted
from napari_attmil.images.folders import images_beside, natural_key
from napari_attmil.images.labels import known_label, notes_on_labels

if TYPE_CHECKING:
    from napari_attmil.images.cohort import Cohort

Field: TypeAlias = Literal["sample", "patient", "label"]
FIELDS: Final[tuple[Field, ...]] = ("sample", "patient", "label")
"""What is written in a row, in the order of the columns."""
HEADS: Final[dict[str, Field | Literal["image"]]] = {
    **dict.fromkeys(("image", "images", "file", "filename", "file name"), "image"),
    **dict.fromkeys(("sample", "sample name", "sample id", "sample_id"), "sample"),
    **dict.fromkeys(("patient", "patient id", "patient_id"), "patient"),
    **dict.fromkeys(("class", "label", "group", "diagnosis"), "label"),
}
"""What a column of a spreadsheet holds, by its head in lower case."""


class SampleRow(NamedTuple):
    """One sample, or the part of one that has a row of its own.

    Attributes
    ----------
    sample, patient, label
        As a person wrote them; the label may be empty or mean that no class is known.
    images
        Image files.
    """

    sample: str
    patient: str
    label: str
    images: tuple[Path, ...]


Rows: TypeAlias = tuple[SampleRow, ...]


class Problem(NamedTuple):
    """What stands against saving the rows: where, and a sentence."""

    row: int
    field: Field
    text: str


def rows_of(cohort: Cohort) -> Rows:
    """Return a row for each sample of a cohort."""
    return tuple(
        SampleRow(
            sample.name,
            sample.patient,
            sample.label or "",
            tuple(dict.fromkeys(frame.path for frame in sample.frames)),
        )
        for sample in cohort.samples
    )


def unlisted_images(rows: Rows, folder: Path) -> list[Path]:
    """Return the images in a study's folder that no row has."""
    return images_beside(folder, (image for row in rows for image in row.images))


def with_images(rows: Rows, images: Sequence[Path]) -> Rows:
    """Return the rows, and one for each further image."""
    names = {row.sample for row in rows}
    stems = [image.stem for image in images]
    own = [
        image.stem if image.stem not in names and stems.count(image.stem) == 1 else str(image)
        for image in images
    ]
    added = (SampleRow(name, name, "", (image,)) for name, image in zip(own, images, strict=True))
    return (*rows, *added)


def with_values(rows: Rows, values: Mapping[tuple[int, Field], str]) -> Rows:
    """Return the rows with some values in other words, by row and field."""
    changed = list(rows)
    for (place, field), text in values.items():
        new: dict[str, Any] = {field: text.strip()}
        changed[place] = changed[place]._replace(**new)
    return tuple(changed)


def merged(rows: Rows, places: Collection[int]) -> Rows:
    """Return the rows with some of them made one sample, in the place of the first.

    It is named by the letters that the names have in common.
    """
    chosen = [rows[place] for place in sorted(places)]
    if len(chosen) < 2:
        return rows
    alike = takewhile(
        lambda letters: len(set(letters)) == 1, zip(*(r.sample for r in chosen), strict=False)
    )
    name = "".join(letters[0] for letters in alike).rstrip(" _-./(")
    others = {row.sample for place, row in enumerate(rows) if place not in places}
    if not name or name in others:
        name = chosen[0].sample
    one = _joined([row._replace(sample=name, patient=follow_sample(row, name)) for row in chosen])
    kept = {place: row for place, row in enumerate(rows) if place not in places}
    return tuple(row for _, row in sorted({**kept, min(places): one}.items()))


def merged_by_name(rows: Sequence[SampleRow]) -> Rows:
    """Return the rows with those of one sample's name made one, in the place of the first."""
    by_name: dict[str, list[SampleRow]] = {}
    for row in rows:
        by_name.setdefault(row.sample, []).append(row)
    return tuple(_joined(of_name) for of_name in by_name.values())


def parted(rows: Rows, places: Collection[int]) -> Rows:
    """Return the rows with each image of some of them in a row, as a sample, of its own."""
    found = list[SampleRow]()
    for place, row in enumerate(rows):
        if place not in places or len(row.images) == 1:
            found.append(row)
            continue
        for image in row.images:
            found.append(row._replace(sample=f"{row.sample}/{image.stem}", images=(image,)))
    return tuple(found)


def filled_down(rows: Rows, places: Collection[int], fields: Collection[Field]) -> Rows:
    """Return the rows with the values of the first chosen row in all of them."""
    first = rows[min(places)]
    return with_values(
        rows, {(place, field): getattr(first, field) for place in places for field in fields}
    )


def cells_of_text(text: str) -> list[list[str]]:
    """Return the cells of text that was copied from a spreadsheet or a CSV file.

    Tabs part cells; where there are none, semicolons; commas, which are decimal too, only below
    heads such as sample and class. Quotes are understood.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    by_comma = _has_head(lines.split("\n")[0].split(","))
    delimiter = "\t" if "\t" in lines else ";" if ";" in lines else "," if by_comma else "\t"
    rows = csv.reader(lines.splitlines(keepends=True), delimiter=delimiter)
    return [[cell.strip() for cell in row] for row in rows]


def pasted(
    rows: Rows, place: int, field: Field, cells: Sequence[Sequence[str]]
) -> tuple[Rows, str]:
    """Return the rows with cells put in from a place on, and what did not fit, as a sentence.

    If the first line has heads such as sample and class, each line goes to the row of its sample
    or image instead, wherever that is.
    """
    if cells and _has_head(cells[0]):
        return _pasted_by_head(rows, cells)
    fields = FIELDS[FIELDS.index(field) :]
    values = {
        (place + down, own): text
        for down, line in enumerate(cells)
        for own, text in zip(fields, line, strict=False)
        if place + down < len(rows)
    }
    left = place + len(cells) - len(rows)
    wide = max(map(len, cells), default=0) > len(fields)
    told = [f"{counted(left, 'line')} below the last row" if left > 0 else ""]
    told.append("the columns right of the class" if wide else "")
    outside = " and ".join(filter(None, told))
    return with_values(rows, values), f"Left out: {outside}." if outside else ""


def _has_head(cells: Sequence[str]) -> bool:
    kinds = {HEADS[cell.strip().casefold()] for cell in cells if cell.strip().casefold() in HEADS}
    return len(kinds) > 1 and bool(kinds & {"image", "sample"})


def _pasted_by_head(rows: Rows, cells: Sequence[Sequence[str]]) -> tuple[Rows, str]:
    heads = [HEADS.get(cell.strip().casefold()) for cell in cells[0]]
    by_image = "image" in heads
    place_of: dict[str, int] = {}
    for place, row in enumerate(rows):
        images = [name for image in row.images for name in (image.name, image.stem, str(image))]
        for name in images if by_image else [row.sample]:
            place_of.setdefault(name.casefold(), place)
    values, unknown = dict[tuple[int, Field], str](), list[str]()
    for line in cells[1:]:
        of_line = {head: text for head, text in zip(heads, line, strict=False) if head}
        name = of_line.pop("image" if by_image else "sample", "")
        own = place_of.get(name.casefold(), place_of.get(Path(name).name.casefold(), -1))
        if own < 0:
            unknown += [name] if name else []
            continue
        values |= {(own, field): text for field, text in of_line.items() if field != "image"}
    missing = f"No row has {', '.join(unknown[:5])}{' …' * (len(unknown) > 5)}." * bool(unknown)
    return with_values(rows, values), missing


def problems(rows: Rows) -> list[Problem]:
    """Return what stands against saving rows: empty names, contradictions within a sample."""
    found = [
        Problem(place, field, f"Row {place + 1} has no {field}; fill it in.")
        for place, row in enumerate(rows)
        for field in FIELDS[:2]
        if not getattr(row, field)
    ]
    return [
        *found,
        *_contradictions(rows, "sample", "patient"),
        *_contradictions(rows, "patient", "label"),
    ]


def _contradictions(rows: Rows, thing: Field, attribute: Field) -> Iterator[Problem]:
    """Yield rows of one sample with two patients, or of one patient with two classes."""
    titles = {"label": "classes"}.get(attribute, f"{attribute}s")
    first: dict[str, str] = {}
    for place, row in enumerate(rows):
        name, value = getattr(row, thing), getattr(row, attribute)
        value = known_label(value) or "no class" if attribute == "label" else value
        if name and value and first.setdefault(name, value) != value:
            both = f"{first[name]!r} and {value!r}".replace("'no class'", "none")
            yield Problem(
                place,
                attribute,
                f"{thing.capitalize()} {name!r} has two {titles}, {both}; a {thing} has one: "
                "correct a row.",
            )


def remarks(rows: Rows) -> list[str]:
    """Return what a person should know about rows: what is missing, and what misleads."""
    samples = {row.sample for row in rows}
    patients = {row.patient for row in rows}
    labelled = [row for row in rows if known_label(row.label)]
    classes = sorted({row.label for row in labelled}, key=natural_key)
    without = len(samples - {row.sample for row in labelled})
    images = counted(sum(len(row.images) for row in rows), "image")
    sizes = [images, counted(len(samples), "sample"), counted(len(patients), "patient")]
    told = [f"{', '.join(sizes)}, {counted(len(classes), 'class', 'classes')}."]
    if len(samples) < len(rows):
        told.append("Rows of the same sample become one sample.")
    if without:
        told.append(f"{counted(without, 'sample')} without a class: not trained on.")
    if len(samples) > 1 and len(patients) == len(samples):
        told.append(
            "Every sample is a patient of its own. If some are of the same person, give them the "
            "same patient, or results will look better than they are."
        )
    of_class = {name: {r.patient for r in labelled if r.label == name} for name in classes}
    few = [name for name, members in of_class.items() if len(members) < 2]
    if len(classes) > 1 and few:
        told.append(f"Only one patient: {', '.join(few)}; none can be held out to test with.")
    by_sample = {(row.sample, row.label): row.label for row in rows}
    return [*told, *notes_on_labels(list(by_sample.values()))]


def check_rows(rows: Rows) -> None:
    """Refuse rows that no cohort can be made of.

    Raises
    ------
    UserError
        With the first problem.
    """
    if found := problems(rows):
        raise UserError(f"{found[0].text[:-1]}, then save again.")


def _joined(rows: Sequence[SampleRow]) -> SampleRow:
    """Return rows of one sample as one row, with the first patient and the first known class."""
    images = tuple(dict.fromkeys(image for row in rows for image in row.images))
    patient = next((row.patient for row in rows if row.patient), "")
    labels = [row.label for row in rows if known_label(row.label)]
    return SampleRow(rows[0].sample, patient, labels[0] if labels else rows[0].label, images)


def follow_sample(row: SampleRow, sample: str) -> str:
    """Return a row's patient; one that was only named as its sample follows the sample's name."""
    return sample if row.patient == row.sample else row.patient
