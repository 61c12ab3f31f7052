"""Samples and the cohort that they form.

Nothing here touches a file: `napari_attmil.images.reading` makes these values from files.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, overload

from napari_attmil.core import Remedy, UserError, counted, html_paragraph, html_table
from napari_attmil.images.formats import page_in_file, page_in_words
from napari_attmil.images.healthy_names import healthy_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_attmil.images.plane_choice import PlanesInUse


_TITLES_SHOWN: Final = 5
"""Names of images in a notebook's table of a sample."""


@dataclass(frozen=True)
class Frame:
    """One 2-D field of view in a file, not read yet.

    Attributes
    ----------
    path : Path
        The image file.
    page : int
        Which of the planes in the file, from 0; or a projection, see `page_of_projection`.
    """

    path: Path
    page: int = 0

    @property
    def page_in_file(self) -> int:
        """The plane itself, from 0; of a projection, the first plane of its stack."""
        return page_in_file(self.page)

    @property
    def page_in_words(self) -> str:
        """What a person calls the page: "page 3"."""
        return page_in_words(self.page)


@dataclass(frozen=True)
class Sample:
    """The images taken from one patient at one time: the unit that gets a label.

    Attributes
    ----------
    name : str
        Unique in its cohort.
    patient : str
        Whom the sample comes from, unique in its cohort.
    label : str or None
        The class, None where it is not known.
    frames : tuple of Frame
        The sample's images in their natural order.
    pixel_size_um : float or None
        Side of a pixel in micrometres, None where the files do not tell.
    """

    name: str
    patient: str
    label: str | None
    frames: tuple[Frame, ...]
    pixel_size_um: float | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.frames)

    def _repr_html_(self) -> str:
        """Return a table of the sample for a notebook."""
        size = "unknown" if self.pixel_size_um is None else f"{self.pixel_size_um:.4g} µm"
        rows = [
            ("Patient", self.patient),
            ("Class", self.label or "not given"),
            ("Images", ", ".join(self.image_titles()[:_TITLES_SHOWN])),
            ("Pixel size", size),
        ]
        title = f"Sample {self.name}, {counted(len(self), 'image')}"
        return html_table(title, ("", ""), rows)

    def image_titles(self) -> list[str]:
        """Return the name of each image's file, with the page (from 1) if it has several images."""
        several = {frame.path for frame in self.frames if frame.page > 0}
        return [
            f"{frame.path.name}, {frame.page_in_words}"
            if frame.path in several
            else frame.path.name
            for frame in self.frames
        ]


def name_in_study(sample: str, title: str) -> str:
    """Return what an image of a study is called: "s1, a.tif"; "s1.tif" where that says both."""
    return title if title.startswith(f"{sample}.") else f"{sample}, {title}"


@dataclass(frozen=True)
class Cohort:
    """All samples of a study; it iterates over them, and indexes them by number or name.

    Attributes
    ----------
    samples : tuple of Sample
        In natural order of class, patient and sample, or in the order of the CSV file.
    folder : Path
        Where the cohort was opened.
    notes : tuple of str
        Sentences that say what was assumed on opening; show them to the user.
    table : Path or None
        The CSV file that lists the samples, None if there is none.
    planes : PlanesInUse or None
        Which planes are looked at, None where no image leaves a choice.

    Examples
    --------
    >>> cohort = attmil.open_cohort("study")
    >>> [sample.label for sample in cohort][:2]
    ['healthy', 'healthy']
    >>> cohort["sickle-02-1"].patient
    'sickle-02'
    """

    samples: tuple[Sample, ...]
    folder: Path
    notes: tuple[str, ...] = ()
    table: Path | None = None
    planes: PlanesInUse | None = None

    def __post_init__(self) -> None:
        """Refuse two samples of the same name: results could not be told apart.

        Raises
        ------
        UserError
            If a name occurs twice.
        """
        counts = Counter(sample.name for sample in self.samples)
        for name, count in counts.items():
            if count > 1:
                raise UserError(
                    f"Sample name {name!r} is used by {count} samples of the cohort; "
                    "give each sample a name of its own."
                )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples in their order."""
        return iter(self.samples)

    @overload
    def __getitem__(self, place: int | str) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> Cohort: ...
    def __getitem__(self, place: int | str | slice) -> Sample | Cohort:
        """Return the sample of a number or a name, or a cohort of a part of the samples.

        Raises
        ------
        KeyError
            If there is no sample of this name.
        IndexError
            If there are not so many samples.
        """
        if isinstance(place, slice):
            return replace(self, samples=self.samples[place])
        if isinstance(place, int):
            return self.samples[place]
        for sample in self.samples:
            if sample.name == place:
                return sample
        raise KeyError(f"There is no sample {place!r} in {self.folder}.")

    def _repr_html_(self) -> str:
        """Return a table of the samples for a notebook, and what was assumed about them."""
        rows = [(s.name, s.patient, s.label or "", len(s)) for s in self.samples]
        patients = counted(len(self.patients), "patient")
        title = f"{counted(len(self), 'sample')} of {patients} in {self.folder}"
        table = html_table(title, ("Sample", "Patient", "Class", "Images"), rows)
        return table + "".join(html_paragraph(note) for note in self.notes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, sorted; samples without a label add none."""
        return tuple(sorted({s.label for s in self.samples if s.label is not None}))

    @property
    def patients(self) -> tuple[str, ...]:
        """Names of the patients, each once, in the order of the samples."""
        return tuple(dict.fromkeys(sample.patient for sample in self.samples))

    def labels(self) -> tuple[str | None, ...]:
        """Return the label of every sample, in the order of `samples`."""
        return tuple(sample.label for sample in self.samples)


def check_trainable(cohort: Cohort) -> None:
    """Refuse a cohort that no classifier can learn from: before its cells are looked for.

    Raises
    ------
    UserError
        If its labelled samples are not of two classes at least.
    """
    if len(cohort.classes) < 2:
        raise UserError(
            f"The cohort has {counted(len(cohort.classes), 'labelled class', 'labelled classes')}, "
            "but training needs two; give the samples classes in the table of samples "
            "(cohort.csv).",
            Remedy.GIVE_CLASSES,
        )


def reference_class(classes: Sequence[str], wanted: str = "") -> str | None:
    """Return the class of healthy samples, or None if no name tells; see `healthy_name`.

    Parameters
    ----------
    classes
        Names of all classes.
    wanted
        The one a person chose, if any.

    Raises
    ------
    UserError
        If the class asked for is not there.
    """
    if wanted:
        if wanted not in classes:
            raise UserError(
                f"There is no class {wanted!r} to compare with; choose one of {', '.join(classes)}."
            )
        return wanted
    return healthy_name(classes)


def common_pixel_size_um(sample: Sample, samples: Iterable[Sample]) -> float | None:
    """Return a sample's pixel size, or None if some of those it is compared with tell none.

    Lengths in micrometres and lengths in pixels cannot be compared.

    Parameters
    ----------
    sample
        Whose cells are measured.
    samples
        All whose cells are compared.
    """
    have_sizes = all(other.pixel_size_um is not None for other in samples)
    return sample.pixel_size_um if have_sizes else None
