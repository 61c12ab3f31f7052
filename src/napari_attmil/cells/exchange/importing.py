"""Boxes of annotation files imported into a study: first a plan, then the merge."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_attmil.cells.annotations import Annotations, new_uid
from napari_attmil.cells.exchange.account import Account, LeftOut, as_json, in_sentences
from napari_attmil.cells.exchange.boxes_from_points import around_points
from napari_attmil.cells.exchange.image_names import ImageNames, Match, same_image
from napari_attmil.cells.exchange.study_boxes import (
    MergeCounts,
    merged,
    only_cells,
    size_of,
    why_not,
    without_others,
)
from napari_attmil.core import (
    ContentError,
    Progress,
    UserError,
    counted,
    html_paragraph,
    reason_in_words,
)
from napari_attmil.images import read_frame

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from napari_attmil.cells.annotations import AnnotationFile
    from napari_attmil.cells.exchange.annotation_set import (
        AnnotatedBox,
        AnnotatedImage,
        AnnotationSet,
        Prepared,
    )
    from napari_attmil.images import Sample

_MOST_NAMED: Final = 3


@dataclass(frozen=True)
class PlacedImage:
    """An image of an annotation file that was found in the study.

    Attributes
    ----------
    sample, index
        The study's sample, and the image's position in it.
    image
        Its boxes in pixels, under the name that the file gives it.
    is_renamed
        Whether the names are alike but not the same.
    is_checked
        Whether the person who imports it has checked it, beside what the file says of it.
    """

    sample: Sample
    index: int
    image: AnnotatedImage
    is_renamed: bool = False
    is_checked: bool = False


@dataclass(frozen=True)
class ImportPlan:
    """What is to be imported; nothing is changed yet.

    Attributes
    ----------
    format_name
        The format of the files.
    images
        The images that were found in the study.
    notes
        Sentences about what was interpreted.
    left_out
        All that will not be imported, and why.
    """

    format_name: str
    images: tuple[PlacedImage, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def as_reviewed(self) -> ImportPlan:
        """Return the plan with all images reviewed, but for those of which something is left out.

        A person has looked at the images and says that the files' boxes are right and complete.
        """
        lacking, reviewed = self._lacking, []
        for placed in self.images:
            is_whole = placed.image.name not in lacking
            image = replace(placed.image, reviewed=is_whole)
            reviewed.append(replace(placed, image=image, is_checked=is_whole))
        return replace(self, images=tuple(reviewed))

    @property
    def _lacking(self) -> set[str]:
        """The images, as the files call them, of which something is left out."""
        return {each.image for each in self.left_out}

    def merged_into(
        self, before: Mapping[str, Annotations]
    ) -> tuple[dict[str, Annotations], ImportOutcome]:
        """Return samples' annotations, by name, after the import, and what it would do; pure."""
        by_sample: dict[str, dict[int, list[PlacedImage]]] = defaultdict(lambda: defaultdict(list))
        for placed in self.images:
            by_sample[placed.sample.name][placed.index].append(placed)
        after: dict[str, Annotations] = {}
        counts: list[tuple[PlacedImage, MergeCounts]] = []
        for name, of_sample in by_sample.items():
            now = before.get(name, Annotations()).with_free_id()
            floor_id, reviewed = now.next_id, now.reviewed
            for index, of_image in of_sample.items():
                for placed in of_image:
                    now, of_file = merged(now, index, placed.image, floor_id)
                    counts.append((placed, of_file))
                if self._are_all(of_image, index in reviewed):
                    now, removed = without_others(now, index, [each.image for each in of_image])
                    counts[-1] = (placed, of_file._replace(removed=removed))
            after[name] = now
        notes = (*self.notes, *_about_notes([of_image for _, of_image in counts]))
        return after, ImportOutcome(self.format_name, tuple(counts), notes, self.left_out)

    def _are_all(self, of_image: Sequence[PlacedImage], is_reviewed: bool) -> bool:
        """Return whether the files have all cells of an image, and leave none to the detector.

        Where the study's image `is_reviewed`, a person has confirmed its boxes, which what only a
        file says does not overrule.
        """
        return all(
            each.image.reviewed
            and each.image.name not in self._lacking
            and (each.is_checked or not is_reviewed)
            for each in of_image
        )

    def write(
        self, samples: Sequence[Sample], annotations: AnnotationFile, made_by: str
    ) -> ImportOutcome:
        """Merge it into a study's annotation file, as one step of undo; see `import_boxes`."""
        after, outcome = self.merged_into(annotations.read_all(samples))
        step = new_uid()
        with annotations.at_once():
            for sample in samples:
                if sample.name in after:
                    annotations.write(sample, after[sample.name], "Import", made_by, step=step)
        return outcome


@dataclass(frozen=True)
class ImportOutcome:
    """What an import does, or has done.

    Attributes
    ----------
    format_name
        The format of the files.
    merged
        Each image that was found in the study, and how its boxes were merged.
    notes
        Sentences about what was interpreted.
    left_out
        All that was not imported, and why.
    """

    format_name: str
    merged: tuple[tuple[PlacedImage, MergeCounts], ...]
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def counts(self) -> MergeCounts:
        """How all boxes were merged."""
        return MergeCounts(*np.sum([MergeCounts(), *(c for _, c in self.merged)], axis=0).tolist())

    @property
    def images(self) -> int:
        """The number of the study's images that occur in the files."""
        return len({(placed.sample.name, placed.index) for placed, _ in self.merged})

    @property
    def reviewed(self) -> int:
        """The number of these images that count as reviewed by the files' word."""
        return len({(one.sample.name, one.index) for one, _ in self.merged if one.image.reviewed})

    @property
    def is_nothing(self) -> bool:
        """Whether the files held something, and nothing of it could be used."""
        used = self.counts.added + self.counts.already_there + self.counts.removed
        return not self.merged or (used == 0 and bool(self.left_out))

    def sentences(self) -> list[str]:
        """Return what a person should know besides the counts."""
        return [*self.notes, *in_sentences(self.left_out)]

    def in_words(self) -> str:
        """Return the counts as one line."""
        counts = self.counts
        added = f"{counted(counts.added, 'box', 'boxes')} added in {counted(self.images, 'image')}"
        text = (
            f"{self.format_name}: {added}; {counts.already_there} were there already or had been "
            f"deleted, {counts.overlapping} overlap with a person's box (both are kept), "
            f"{counts.replaced} of the detector's were replaced"
        )
        if counts.removed:
            text += f"; {self.removed_in_words}"
        if self.reviewed:
            text += f"; {counted(self.reviewed, 'image counts', 'images count')} as reviewed"
        return text

    def _repr_html_(self) -> str:
        """Return the counts and all that a person should know, for a notebook."""
        return "".join(html_paragraph(text) for text in (self.in_words(), *self.sentences()))

    @property
    def removed_in_words(self) -> str:
        """How many boxes an image that was checked elsewhere has no more."""
        was = "was" if self.counts.removed == 1 else "were"
        boxes = counted(self.counts.removed, "box", "boxes")
        return f"{boxes} of the detector that the file does not have {was} removed"

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values for a JSON file."""
        images = [
            {
                "name": placed.image.name,
                "image": str(placed.sample.frames[placed.index].path),
                "page": placed.sample.frames[placed.index].page,
                "sample": placed.sample.name,
                "boxes": len(placed.image.boxes),
                "reviewed": placed.image.reviewed,
                **counts._asdict(),
            }
            for placed, counts in self.merged
        ]
        return {
            "format": self.format_name,
            **self.counts._asdict(),
            "images": images,
            "left_out": as_json(self.left_out),
            "notes": list(self.notes),
        }


def plan_import(
    samples: Sequence[Sample], found: AnnotationSet, classes: Sequence[str] = ()
) -> Generator[Progress, None, ImportPlan]:
    """Find the images of annotation files in a study, and their boxes in its pixels.

    Parameters
    ----------
    samples
        The study's samples.
    found
        What was read from the files.
    classes
        The classes that are red cells; see `only_cells`.

    Raises
    ------
    UserError
        If there are several classes and none of them is to be used.
    """
    images, others = only_cells(found.images, classes)
    account = Account()
    for name, count in others.items():
        account.leave_out(
            f"boxes of {name or 'no class'}", "they are no red cells by their class", count=count
        )
    placed: list[PlacedImage] = []
    claims = list(_settled(_claims(samples, images, account), account))
    for done, claim in enumerate(claims, start=1):
        try:
            placed.append(_fitted(claim, account))
        except (UserError, ValueError) as error:
            _leave_out_image(claim.image, reason_in_words(error), account)
        yield Progress(done, len(claims), "Looking for the images")
    _tell_points(images, placed, account)
    _tell_renamed(placed, account)
    notes = (*found.notes, *account.notes())
    left_out = (*found.left_out, *account.left_out)
    return ImportPlan(found.format_name, tuple(placed), notes, left_out)


def import_boxes(
    samples: Sequence[Sample],
    annotations: AnnotationFile,
    found: AnnotationSet,
    made_by: str,
    classes: Sequence[str] = (),
) -> Generator[Progress, None, ImportOutcome]:
    """Merge annotation files into a study, in one transaction and one step of undo; see `merged`.

    Parameters
    ----------
    samples
        The study's samples.
    annotations
        The study's annotation file, which is changed.
    found
        What was read from the files.
    made_by
        Where the boxes come from, for the journal.
    classes
        The classes that are red cells; see `only_cells`.

    Raises
    ------
    UserError
        If the study's annotation file cannot be read or written.
    """
    plan = yield from plan_import(samples, found, classes)
    return plan.write(samples, annotations, made_by)


@dataclass(frozen=True)
class _Claim:
    """An image of the files, and the place in the study where it may belong."""

    image: AnnotatedImage
    match: Match

    @property
    def place(self) -> tuple[str, int]:
        sample, index = self.match.places[0]
        return sample.name, index


def _claims(
    samples: Sequence[Sample], images: Sequence[AnnotatedImage], account: Account
) -> list[_Claim]:
    """Return where images may belong; what fits none or several is left out."""
    names, claims = ImageNames(samples), []
    for image in images:
        match = names.find(image.name, image.page)
        if len(match.places) == 1:
            claims.append(_Claim(image, match))
            continue
        reason = "it fits several images of the study" if match.places else "it is not in the study"
        _leave_out_image(image, reason, account)
    return claims


def _settled(claims: Sequence[_Claim], account: Account) -> list[_Claim]:
    """Return claims without those where different images of the files claim one of the study."""
    by_place: dict[tuple[str, int], list[_Claim]] = defaultdict(list)
    for claim in claims:
        by_place[claim.place].append(claim)
    settled = []
    for rivals in by_place.values():
        best = min(rival.match.rank for rival in rivals)
        fitting = [rival for rival in rivals if rival.match.rank == best]
        is_clear = all(same_image(each.image.name, fitting[0].image.name) for each in fitting)
        for rival in rivals:
            if rival in fitting and is_clear:
                settled.append(rival)
            else:
                reason = "several images in the files fit one image of the study, this no better"
                _leave_out_image(rival.image, reason, account)
    return settled


def _leave_out_image(image: AnnotatedImage, reason: str, account: Account) -> None:
    boxes = counted(len(image.boxes), "box", "boxes")
    account.leave_out(boxes, reason, image.name, max(1, len(image.boxes)))


def _fitted(claim: _Claim, account: Account) -> PlacedImage:
    """Return an image with its boxes in pixels of the study's image.

    Raises
    ------
    ValueError
        If it does not fit.
    UserError
        If the study's image cannot be read.
    """
    sample, index = claim.match.places[0]
    frame, image = sample.frames[index], claim.image
    size = size_of(frame)
    prepared = image.prepared
    if prepared is not None and claim.match.looseness:  # or it is the export's own picture
        image = prepared.undone(image, size)
        if prepared.size_px not in (None, size):
            account.remark(_about_resizing(prepared))
    if reason := why_not(image, frame):
        raise ContentError(reason)
    if image.has_points:
        image = around_points(image, read_frame(frame), account)
    image = replace(image.in_pixels(size), size_px=size)
    once = tuple(dict.fromkeys(image.boxes))
    inside = tuple(box for box in once if not _is_outside(box, size))
    kept = tuple(box for box in inside if not _is_within_a_pixel(box))
    for count, reason in (
        (len(image.boxes) - len(once), "they are there twice"),
        (len(once) - len(inside), "their middle lies outside of the image"),
        (
            len(inside) - len(kept),
            "they are smaller than a pixel: their corners may be fractions of the image; export "
            "them in pixels",
        ),
    ):
        if count:
            account.leave_out(counted(count, "box", "boxes"), reason, image.name, count)
    return PlacedImage(sample, index, replace(image, boxes=kept), claim.match.looseness > 0)


def _about_resizing(prepared: Prepared) -> str:
    width, height = prepared.size_px or (0, 0)
    return (
        f"Boxes were taken back from pictures that the export had resized to {width} x {height} "
        f"({prepared.way})."
    )


def _is_outside(box: AnnotatedBox, size_px: tuple[int, int]) -> bool:
    """Tell whether the middle of a box lies outside of its image, as of no cell's that one sees."""
    x0, y0, x1, y1 = box.xyxy
    return not (0 <= x0 + x1 <= 2 * size_px[0] and 0 <= y0 + y1 <= 2 * size_px[1])


def _is_within_a_pixel(box: AnnotatedBox) -> bool:
    x0, y0, x1, y1 = box.xyxy
    return x1 - x0 < 1 and y1 - y0 < 1


def _about_notes(counts: Sequence[MergeCounts]) -> Iterator[str]:
    """Say what happens to tags, notes and values of the files."""
    noted, otherwise = sum(c.noted for c in counts), sum(c.noted_otherwise for c in counts)
    if noted:
        yield f"{counted(noted, 'box', 'boxes')} with tags, notes or values from the files."
    if otherwise:
        yield (
            f"The notes of {counted(otherwise, 'box', 'boxes')} in the files differ from those in "
            "the study, which are kept."
        )


def _tell_points(
    images: Sequence[AnnotatedImage], placed: Sequence[PlacedImage], account: Account
) -> None:
    points = {image.name: len(image.boxes) for image in images if image.has_points}
    found = [each for each in placed if each.image.name in points]
    total = sum(points[each.image.name] for each in found)
    if total:
        boxes = sum(len(each.image.boxes) for each in found)
        account.remark(f"Boxes were found around {boxes} of {total} centre points; review them.")


def _tell_renamed(placed: Sequence[PlacedImage], account: Account) -> None:
    pairs = [
        f"{each.image.name} as {each.sample.frames[each.index].path.name}"
        for each in placed
        if each.is_renamed
    ]
    if pairs:
        more = f", and {len(pairs) - _MOST_NAMED} more" if len(pairs) > _MOST_NAMED else ""
        account.remark(f"Found by a similar name: {', '.join(pairs[:_MOST_NAMED])}{more}.")
