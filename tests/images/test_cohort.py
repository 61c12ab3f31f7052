"""Samples, cohorts and folds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from napari_attmil.core.errors import UserError
from napari_attmil.images.cohort import (
    Cohort,
    Frame,
    Sample,
    check_trainable,
    common_pixel_size_um,
    reference_class,
)
from napari_attmil.images.folds import patient_folds

if TYPE_CHECKING:
    from random import Random

    from hypothesis.strategies import DrawFn


def sample(name: str, patient: str, label: str | None) -> Sample:
    return Sample(name, patient, label, (Frame(Path(f"{name}.tif")),))


def cohort(*triples: tuple[str, str, str | None]) -> Cohort:
    return Cohort(tuple(sample(*triple) for triple in triples), Path("study"))


@st.composite
def splittable(draw: DrawFn) -> tuple[list[str], list[str], int, int]:
    """Draw patients and labels of samples in any order, with enough patients for the folds."""
    folds = draw(st.integers(2, 5))
    patients, labels = [], []
    for label in "abcd"[: draw(st.integers(1, 4))]:
        samples_per_patient = draw(st.lists(st.integers(1, 9), min_size=folds, max_size=12))
        for number, count in enumerate(samples_per_patient):
            patients += [f"{label}{number}"] * count
            labels += [label] * count
    order = draw(st.permutations(range(len(patients))))
    return (
        [patients[i] for i in order],
        [labels[i] for i in order],
        folds,
        draw(st.integers(0, 2**32)),
    )


def test_length_of_a_sample_is_its_number_of_images() -> None:
    frames = (Frame(Path("a.tif")), Frame(Path("a.tif"), page=1))
    assert len(Sample("S1", "P1", "healthy", frames)) == 2


def test_cohort_knows_its_classes_sorted_and_its_patients_in_order() -> None:
    study = cohort(("s1", "p2", "sickle"), ("s2", "p1", "healthy"), ("s3", "p2", "sickle"))
    assert study.classes == ("healthy", "sickle")
    assert study.patients == ("p2", "p1")
    assert study.labels() == ("sickle", "healthy", "sickle")
    assert len(study) == 3


def test_lengths_are_in_pixels_unless_all_samples_tell_their_pixel_size() -> None:
    known = replace(sample("s1", "p1", "a"), pixel_size_um=0.25)
    unknown = sample("s2", "p2", "a")
    assert common_pixel_size_um(known, [known, known]) == 0.25
    assert common_pixel_size_um(known, [known, unknown]) is None


def test_sample_without_label_adds_no_class() -> None:
    assert cohort(("s1", "p1", None), ("s2", "p2", "a")).classes == ("a",)


def test_samples_of_one_class_cannot_be_trained_on() -> None:
    check_trainable(cohort(("s1", "p1", "a"), ("s2", "p2", "b"), ("s3", "p3", None)))
    with pytest.raises(UserError, match="1 labelled class, but training needs two"):
        check_trainable(cohort(("s1", "p1", "a"), ("s2", "p2", None)))
    with pytest.raises(UserError, match="0 labelled classes"):
        check_trainable(cohort(("s1", "p1", None)))


def test_two_samples_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="'s1' is used by 2 samples"):
        cohort(("s1", "p1", "a"), ("s1", "p2", "a"))


@given(splittable())
def test_no_patient_is_in_train_and_test_of_a_fold(
    case: tuple[list[str], list[str], int, int],
) -> None:
    patients, labels, folds, seed = case
    for train, test in patient_folds(patients, labels, folds, seed):
        assert not {patients[i] for i in train} & {patients[i] for i in test}


@given(splittable())
def test_every_sample_is_tested_exactly_once_and_trained_on_otherwise(
    case: tuple[list[str], list[str], int, int],
) -> None:
    patients, labels, folds, seed = case
    split = patient_folds(patients, labels, folds, seed)
    assert sorted(i for _, test in split for i in test) == list(range(len(patients)))
    for train, test in split:
        assert sorted([*train, *test]) == list(range(len(patients)))


@given(splittable())
def test_every_class_is_tested_in_every_fold(case: tuple[list[str], list[str], int, int]) -> None:
    patients, labels, folds, seed = case
    for _, test in patient_folds(patients, labels, folds, seed):
        assert {labels[i] for i in test} == set(labels)


@given(splittable())
def test_folds_of_a_class_differ_by_no_more_than_its_largest_patient(
    case: tuple[list[str], list[str], int, int],
) -> None:
    patients, labels, folds, seed = case
    split = patient_folds(patients, labels, folds, seed)
    for label in set(labels):
        counts = [sum(labels[i] == label for i in test) for _, test in split]
        largest = max(
            Counter(p for p, own in zip(patients, labels, strict=True) if own == label).values()
        )
        assert max(counts) - min(counts) <= largest


@given(splittable(), st.randoms())
def test_folds_do_not_depend_on_the_order_of_samples(
    case: tuple[list[str], list[str], int, int], random: Random
) -> None:
    patients, labels, folds, seed = case
    order = list(range(len(patients)))
    random.shuffle(order)
    split = patient_folds(patients, labels, folds, seed)
    shuffled = patient_folds([patients[i] for i in order], [labels[i] for i in order], folds, seed)
    assert [{patients[i] for i in test} for _, test in split] == [
        {patients[order[i]] for i in test} for _, test in shuffled
    ]


def test_folds_of_one_seed_are_equal_and_other_seeds_differ() -> None:
    patients = [f"p{i}" for i in range(24)]
    labels = ["a"] * 12 + ["b"] * 12

    def tested(seed: int) -> list[list[int]]:
        return [list(test) for _, test in patient_folds(patients, labels, 3, seed)]

    assert tested(1) == tested(1)
    assert len({str(tested(seed)) for seed in range(10)}) == 10


def test_seeds_part_patients_differently_even_where_all_have_different_numbers_of_samples() -> None:
    patients = [f"p{i}" for i in range(8) for _ in range(i + 1)]
    labels = ["a"] * len(patients)
    partitions = {
        frozenset(
            frozenset(patients[i] for i in test)
            for _, test in patient_folds(patients, labels, 3, s)
        )
        for s in range(10)
    }
    assert len(partitions) >= 5


def test_twelve_equal_patients_make_equal_folds() -> None:
    patients = [f"p{i}" for i in range(12) for _ in range(2)]
    labels = ["a" if int(patient[1:]) < 6 else "b" for patient in patients]
    for _, test in patient_folds(patients, labels, 3, 0):
        assert Counter(labels[i] for i in test) == {"a": 4, "b": 4}


def test_left_over_patients_of_the_classes_go_to_different_folds() -> None:
    # Four patients a class in three folds leave one over a class: 3 classes, one to each fold.
    patients = [f"{label}{i}" for label in "abc" for i in range(4)]
    sizes = [len(test) for _, test in patient_folds(patients, [p[0] for p in patients], 3, 5)]
    assert sizes == [4, 4, 4]


def test_cohort_of_the_paper_is_split_with_every_class_in_every_fold() -> None:
    # Table of the paper: patients and samples per class.
    table = {
        "healthy": (26, 137),
        "sickle": (9, 56),
        "thalassemia": (3, 25),
        "piezo1": (8, 44),
        "spherocytosis": (13, 89),
    }
    triples = [
        (f"{label}-{i}", f"{label}-{i % patients}", label)
        for label, (patients, samples) in table.items()
        for i in range(samples)
    ]
    study = cohort(*triples)
    for _, test in patient_folds([s.patient for s in study.samples], study.labels(), 3, 0):
        counts = Counter(study.samples[i].label for i in test)
        for label, (patients, samples) in table.items():
            assert abs(counts[label] - samples / 3) < samples / patients


def test_class_with_fewer_patients_than_folds_is_named() -> None:
    with pytest.raises(UserError, match=r"'rare' has 2 patients, but 3 folds.*choose 2 folds"):
        patient_folds(["a", "b", "c", "d", "e"], ["common"] * 3 + ["rare"] * 2, 3, 0)


def test_class_with_one_patient_is_not_told_to_choose_one_fold() -> None:
    with pytest.raises(UserError, match=r"'rare' has 1 patient,(?!.*choose)"):
        patient_folds(["a", "b", "c"], ["common", "common", "rare"], 2, 0)


def test_patient_in_two_classes_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="Patient 'a' has samples of two classes, 'x' and 'y'"):
        patient_folds(["a", "b", "a"], ["x", "y", "y"], 2, 0)


def test_sample_without_label_cannot_be_split() -> None:
    with pytest.raises(UserError, match="patient 'p1' has no label"):
        patient_folds(["p1", "p2"], [None, "a"], 2, 0)


@pytest.mark.parametrize("folds", [1, 0, -2])
def test_fewer_than_two_folds_are_refused(folds: int) -> None:
    with pytest.raises(UserError, match="2 or more"):
        patient_folds(["a", "b"], ["x", "x"], folds, 0)


def test_cohort_without_samples_cannot_be_split() -> None:
    with pytest.raises(UserError, match="no samples"):
        patient_folds([], [], 2, 0)


@pytest.mark.parametrize(
    "name", ["Healthy donors", "controls", "NORMAL_RBC", "Kontrolle", "ctrl-1"]
)
def test_class_of_healthy_samples_is_known_by_its_name(name: str) -> None:
    assert reference_class(["crenated", name, "abnormal"]) == name


@pytest.mark.parametrize(
    ("classes", "healthy"),
    [
        (["drug", "positive-control", "untreated"], "untreated"),
        (["negative control", "positive control"], "negative control"),
        (["non-healthy", "normal"], "normal"),
        (["healthy", "unhealthy"], "healthy"),
        (["abnormal", "ab-normal", "Normal"], "Normal"),
        (["not normal", "untreated"], "untreated"),
        (["not quite normal", "sickle"], None),
        (["disease control", "normal"], "normal"),
        (["disease control", "sickle"], None),
        (["Rh negative", "unaffected"], "unaffected"),
        (["Rh negative", "Rh positive"], None),
        (["malaria negative", "malaria positive"], "malaria negative"),
        (["treated", "untreated"], "untreated"),
        (["non-infected", "infected"], "non-infected"),
        (["non-diabetic control", "diabetic"], "non-diabetic control"),
        (["control (no drug)", "drug"], "control (no drug)"),
        (["treated patients", "untreated patients"], None),
        (["healthy patients", "sickle patients"], "healthy patients"),
        (["normal-like", "sickle"], None),
        (["control", "healthy"], "healthy"),
        (["healthy donors", "untreated"], "healthy donors"),
        (["healthy, aged", "normal"], "normal"),
        (["healthy, aged", "healthy, young"], None),
        (["control 1", "control 2"], None),
    ],
)
def test_a_name_that_says_the_opposite_is_never_that_of_the_healthy_class(
    classes: list[str], healthy: str | None
) -> None:
    assert reference_class(classes) == healthy
    assert reference_class(classes[::-1]) == healthy


def test_no_class_is_healthy_where_no_name_tells_or_one_must_be_there_that_is_not() -> None:
    assert reference_class(["abnormal", "dead"]) is None
    with pytest.raises(UserError, match="no class 'alive'"):
        reference_class(["abnormal", "dead"], "alive")
