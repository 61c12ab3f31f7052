"""Samples, patients and classes from the names of files and folders, by a pattern."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Final

from napari_attmil.core import UserError
from napari_attmil.images.folders import name_within
from napari_attmil.images.sample_rows import FIELDS, Rows, SampleRow, follow_sample, merged_by_name

WORDS: Final = {"sample": "sample", "patient": "patient", "class": "label", "label": "label"}
"""Fields of a row, by the word between braces in a pattern."""
EXAMPLES: Final = {
    "{class}/**": "The first folder is the class",
    "{class}/{patient}/**": "Folders are class and patient",
    "{class}/{patient}/{sample}/**": "Folders are class, patient and sample",
    "{patient}/**": "The first folder is the patient",
    "{class}_{patient}_*": "The file name begins with class and patient",
    "{patient}_{class}_*": "The file name begins with patient and class",
    "{sample}_*": "The file name begins with the sample",
    "{patient}_*": "The file name begins with the patient",
}
"""Patterns that often fit, with what they say."""


def pattern_expression(pattern: str) -> re.Pattern[str]:
    """Return a regular expression that names the fields of a pattern.

    {sample}, {patient} and {class} stand for a part of the name, * for any part within a folder,
    ** for anything. The rest is taken as it is, in upper or lower case.

    Raises
    ------
    UserError
        If the pattern has no field, an unknown one, or one twice.
    """
    parts, used = [], list[str]()
    for literal, word, stars in re.findall(r"([^{}*]+)|\{(\w+)\}|(\*+)", pattern):
        if word:
            used.append(WORDS.get(word.casefold(), word))
        parts.append(
            f"(?P<{used[-1]}>[^/]+?)"
            if word
            else (".*" if len(stars) > 1 else "[^/]*" if stars else re.escape(literal))
        )
    if not used or not set(used) <= set(FIELDS) or len(set(used)) < len(used):
        raise UserError(
            f"The pattern {pattern!r} does not tell what is what; write each of {{sample}}, "
            "{patient} and {class} once at most, and * for the rest, for instance {patient}_*."
        )
    return re.compile("".join(parts), re.IGNORECASE)


def from_names(rows: Rows, pattern: str, folder: Path) -> tuple[Rows, int]:
    """Return rows with the fields that their images' names give, and how many images fitted.

    Images of the same sample become one row. A sample whose images' names give different values is
    parted; samples of one name that are of different patients or classes stay apart.

    Parameters
    ----------
    rows
        The samples.
    pattern
        As for `pattern_expression`: with / it is compared with the path in the study, otherwise
        with the file's name; without its ending, unless the pattern has one.
    folder
        Of the study.

    Raises
    ------
    UserError
        If the pattern is none.
    """
    expression, found, fitted = pattern_expression(pattern), list[SampleRow](), 0
    for row in rows:
        groups = _by_values(row, expression, "/" in pattern, folder)
        for values, images in groups:
            given = dict(values)
            if "sample" not in values and len(groups) > 1:
                given["sample"] = "/".join([row.sample, *values.values()])
            if "sample" in given and "patient" not in given:
                given["patient"] = follow_sample(row, given["sample"])
            found.append(row._replace(images=images, **given))
            fitted += len(images) if values else 0
    return merged_by_name(_told_apart(found)), fitted


def _told_apart(rows: Sequence[SampleRow]) -> list[SampleRow]:
    """Return the rows with patient or class in the names that several of them have.

    Every patient may have a "slide1".
    """
    alike: dict[str, list[SampleRow]] = {}
    for row in rows:
        alike.setdefault(row.sample, []).append(row)
    found = []
    for row in rows:
        several = [
            len({getattr(each, field) for each in alike[row.sample]}) > 1
            for field in ("label", "patient")
        ]
        parts = compress((row.label, row.patient), several)
        name = "/".join([*filter(None, parts), row.sample])
        found.append(row._replace(sample=name, patient=follow_sample(row, name)))
    return found


def _by_values(
    row: SampleRow, expression: re.Pattern[str], whole_path: bool, folder: Path
) -> list[tuple[dict[str, str], tuple[Path, ...]]]:
    """Return the images of a row, grouped by what their names give."""
    groups: dict[tuple[tuple[str, str], ...], list[Path]] = {}
    for image in row.images:
        place = name_within(folder, image)
        name = place if whole_path else image.name
        match = expression.fullmatch(name.removesuffix(image.suffix)) or expression.fullmatch(name)
        values = {} if match is None else {k: v.strip() for k, v in match.groupdict().items()}
        groups.setdefault(tuple(values.items()), []).append(image)
    return [(dict(values), tuple(images)) for values, images in groups.items()]


def guessed_pattern(rows: Sequence[SampleRow], folder: Path) -> str:
    """Return the first of `EXAMPLES` that fits all images; the one for file names else.

    A pattern of file names fits with its classes only if they look like some: there are several,
    each patient has one, and they are fewer than the patients.
    """
    images = sum(len(row.images) for row in rows)
    for pattern in EXAMPLES:
        found, fitted = from_names(tuple(rows), pattern, folder)
        is_sure = "/" in pattern or "{class}" not in pattern
        if fitted == images and (is_sure or _look_like_classes(found)):
            return pattern
    return "{sample}_*"


def _look_like_classes(rows: Rows) -> bool:
    classes = {row.label for row in rows}
    patients = {row.patient for row in rows}
    pairs = {(row.patient, row.label) for row in rows}
    return 1 < len(classes) < len(patients) == len(pairs)
