from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field, ValidationError

from napari_attmil.bags.presets import ensemble_preset, mil_preset
from napari_attmil.bags.settings import EnsembleSettings, MILSettings
from napari_attmil.cells.settings import DetectionSettings, FeatureSettings, FinetuneSettings
from napari_attmil.core.errors import UserError
from napari_attmil.core.settings import (
    LARGEST_SEED,
    FieldSpec,
    FormPlace,
    ForResearch,
    Settings,
    ShownFirst,
    later_seed,
)
from napari_attmil.evaluation.settings import EvaluationSettings
from napari_attmil.simulation.settings import SimulationSettings

ALL_SETTINGS = [
    *(DetectionSettings, FeatureSettings, FinetuneSettings),
    *(MILSettings, EnsembleSettings, EvaluationSettings, SimulationSettings),
]


@pytest.mark.parametrize("kind", ALL_SETTINGS)
def test_every_field_has_a_title_and_a_description_for_forms(kind: type[Settings]) -> None:
    for name, field in kind.model_fields.items():
        assert field.title, name
        assert field.description and field.description.endswith("."), name


class Example(Settings):
    rate: ForResearch[float] = Field(0.01, gt=0, le=1, title="Rate")
    """Per day."""
    most: int | None = Field(None, ge=2)
    kind: ShownFirst[Literal["a", "b"]] = "a"


def test_a_field_says_all_that_forms_and_options_need() -> None:
    rate, most, kind = (FieldSpec.of(Example, name) for name in Example.model_fields)
    assert (rate.title, rate.description) == ("Rate", "Per day.")
    assert (rate.ge, rate.gt, rate.le, rate.lt) == (None, 0, 1, None)
    assert (rate.kind, rate.decimals, rate.place) == (float, 3, FormPlace.RESEARCH)
    assert (most.kind, most.optional, most.ge, most.le) == (int, True, 2, None)
    assert (most.title, most.place) == ("most", FormPlace.MORE)
    assert (kind.kind, kind.choices, kind.place) == (str, ("a", "b"), FormPlace.FIRST)


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        DetectionSettings().min_score = 0.9  # type: ignore[misc]


def test_replace_gives_a_changed_copy() -> None:
    changed = DetectionSettings().replace(min_score=0.25)
    assert changed.min_score == 0.25
    assert DetectionSettings().min_score == 0.5


def test_a_value_out_of_range_is_refused_in_one_sentence_that_names_it() -> None:
    with pytest.raises(UserError, match=r"^Minimum score \(min_score\) was given 2: .*1\.$"):
        DetectionSettings().replace(min_score=2)


@pytest.mark.parametrize("kind", [FinetuneSettings, MILSettings, EvaluationSettings])
def test_a_seed_that_random_draws_do_not_take_is_refused_at_once(kind: type[Settings]) -> None:
    assert kind.checked(seed=LARGEST_SEED)
    with pytest.raises(UserError, match=r"^Seed \(seed\) was given 4294967296"):
        kind.checked(seed=2**32)


def test_after_the_largest_seed_comes_the_smallest() -> None:
    assert later_seed(3, 10_000) == 10_003
    assert later_seed(LARGEST_SEED, 2) == 1


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match="min_scroe"):
        DetectionSettings.checked(min_scroe=0.5)


def test_the_paper_preset_has_the_values_of_section_3() -> None:
    paper = mil_preset("paper")
    assert (paper.learning_rate, paper.weight_decay, paper.beta) == (5e-4, 1e-5, 0.5)
    assert (paper.epochs, paper.stop_loss, paper.stop_epochs) == (150, 0.005, 5)
    assert (paper.embedding, paper.dropout, paper.stop_consecutive) == ("five-conv", 0.1, True)


def test_a_preset_takes_changes() -> None:
    assert mil_preset("paper", epochs=3).epochs == 3


def test_published_presets_train_one_model_and_the_own_one_twenty_calibrated() -> None:
    own = ensemble_preset("default")
    assert (own.members, own.calibrate) == (20, True)
    for name in ("paper", "marrlab-code"):
        published = ensemble_preset(name)
        assert (published.members, published.calibrate) == (1, False)
    assert ensemble_preset("paper", members=3).members == 3


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="default, paper, marrlab-code"):
        mil_preset("papre")


def test_settings_survive_a_round_trip_through_json() -> None:
    paper = mil_preset("paper")
    assert MILSettings.model_validate_json(paper.model_dump_json()) == paper


def test_a_diameter_in_micrometres_becomes_pixels_of_the_images() -> None:
    settings = DetectionSettings(cell_diameter_um=7.5)
    assert settings.in_pixels(0.15).cell_diameter_px == pytest.approx(50)
    assert settings.replace(cell_diameter_px=40).in_pixels(None).cell_diameter_px == 40
    assert DetectionSettings().in_pixels(0.15).cell_diameter_px is None


def test_a_diameter_in_micrometres_needs_the_size_of_a_pixel() -> None:
    with pytest.raises(UserError, match=r"7\.5 µm.*give it in pixels"):
        DetectionSettings(cell_diameter_um=7.5).in_pixels(None)


def test_a_long_wrong_value_is_cut_in_what_is_told() -> None:
    with pytest.raises(UserError) as raised:
        FeatureSettings.checked(roi_scale="a" * 20_000)
    assert len(str(raised.value)) < 300 and "…" in str(raised.value)
