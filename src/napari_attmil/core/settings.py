"""Every setting of the plugin but the simulator's, once: of forms, command line and saved runs.

Each field carries a title, a description with its unit, and bounds, so that a form or a
command line can be built from it and a value out of range is refused with its reason.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_attmil.bags.methods import TABLE_1, Method

CAUTION: Final = "Decision support for research, not a diagnosis."
"""Stands wherever a prediction is shown."""

LARGEST_SEED: Final = 2**31 - 1
"""Of all random draws: scikit-learn takes none of 2**32 or more, forms none of more than this."""


class UserError(ValueError):
    """A mistake that the person in front of the program can mend.

    Its message is one sentence or two: what was received, what is needed, what to do next.
    """


class Settings(BaseModel):
    """Immutable settings that refuse unknown names and values out of range."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated like new ones.

        Raises
        ------
        UserError
            If a name is unknown or a value is out of range.
        """
        return type(self).checked(**(self.model_dump() | changes))

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Build settings, turning the first validation error into one clear sentence."""
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"]) or cls.__name__
            field = cls.model_fields.get(name)
            title = f"{field.title} ({name})" if field is not None and field.title else name
            raise UserError(
                f"{title} was given {first.get('input')!r}: {first['msg'].lower()}."
            ) from None


class DetectionSettings(Settings):
    """How cells are found in images."""

    min_score: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Minimum score",
        description="Cells that the detector is less sure of are left out (0 to 1).",
    )
    max_overlap: float = Field(
        0.5,
        gt=0,
        le=1,
        title="Maximum overlap",
        description="Of two boxes that overlap more than this (intersection over union) "
        "only the surer one is kept.",
    )
    cell_diameter_px: float | None = Field(
        None,
        ge=6,
        le=2000,
        title="Cell diameter (px)",
        description="Typical diameter of a cell in pixels; leave empty to have it measured.",
    )
    cell_diameter_um: float | None = Field(
        None,
        ge=0.5,
        le=200,
        title="Cell diameter (µm)",
        description="Typical diameter of a cell in micrometres, for images that tell the size of "
        "their pixels; used where the diameter in pixels is empty.",
    )
    max_cells_per_image: int = Field(
        1000,
        ge=1,
        le=20000,
        title="Most cells an image",
        description="The surest are kept when an image, or a tile of a large one, holds more.",
    )
    batch_size: int = Field(
        4,
        ge=1,
        le=256,
        title="Images at once",
        description="Images that are computed together; halved when memory runs out.",
    )

    def in_pixels(self, pixel_size_um: float | None) -> Self:
        """Return the same settings with the cell diameter in pixels of some images.

        Parameters
        ----------
        pixel_size_um
            Side of a pixel in micrometres; None if the images do not tell.

        Raises
        ------
        UserError
            If a diameter in micrometres is to be used and the images do not tell.
        """
        if self.cell_diameter_px is not None or self.cell_diameter_um is None:
            return self
        if pixel_size_um is None:
            raise UserError(
                f"The cell diameter was given as {self.cell_diameter_um:g} µm, but the images do "
                "not tell the size of their pixels; give it in pixels, or leave it out to have it "
                "measured."
            )
        return self.replace(cell_diameter_px=self.cell_diameter_um / pixel_size_um)


class FeatureSettings(Settings):
    """How the features of one cell are read off the detector's feature maps."""

    working_diameter_px: float = Field(
        48.0,
        ge=16,
        le=200,
        title="Working cell diameter (px)",
        description="Images are rescaled so that the median cell has this diameter before "
        "features are computed, so that magnification does not matter.",
    )
    context: float = Field(
        1.2,
        ge=1,
        le=3,
        title="Context",
        description="The box is enlarged by this factor, so that the cell's rim is seen whole.",
    )
    output_size: int = Field(
        14,
        ge=2,
        le=28,
        title="Feature map side",
        description="Each cell becomes 256 maps of this many rows and columns.",
    )
    kept: Literal["maps", "profile"] = Field(
        "maps",
        title="Kept of each map",
        description="The whole map, which the published embeddings need, or only its profile, "
        "which is all that the embedding profile looks at and 18 times smaller.",
    )


class FinetuneSettings(Settings):
    """How the detector is fitted to a person's own images."""

    steps: int = Field(
        160, ge=1, le=100_000, title="Steps", description="Steps of the optimiser at most."
    )
    minutes: float = Field(
        10.0, gt=0, title="Minutes", description="The training ends after so long at the latest."
    )
    learning_rate: float = Field(
        3e-4, gt=0, le=1, title="Learning rate", description="Its peak, of AdamW."
    )
    crops_per_step: int = Field(
        8, ge=1, le=256, title="Crops a step", description="Parts of images learnt from at once."
    )
    patience: int = Field(
        4,
        ge=1,
        title="Patience",
        description="The training ends once so many tests on the held-out images in a row were "
        "no better than the best.",
    )
    seed: int = Field(
        0,
        ge=0,
        le=LARGEST_SEED,
        title="Seed",
        description="The same seed gives the same training.",
    )


class MILSettings(Settings):
    """Architecture and fitting of the multiple instance classifier.

    The defaults are the project's own; `mil_preset` gives the paper's and the published code's.
    """

    method: Method = Field(
        "mil-multi-top-sic",
        title="Method",
        description="How the cells of a sample become one: a row of the paper's Table 1 (single "
        "instance classifier SIC, maximum or attention pooling), or what came after.",
    )
    embedding: Literal["profile", "three-conv", "five-conv"] = Field(
        "profile",
        title="Embedding",
        description="What turns one cell's feature maps into a vector: one layer on what each map "
        "shows from the cell's centre to its rim, or the three convolutions of the published "
        "code, or five as in the paper.",
    )
    standardise: bool = Field(
        True,
        title="Standardise features",
        description="Scale every feature to mean 0 and standard deviation 1 over the training "
        "cells before the first layer.",
    )
    components: int = Field(
        256,
        ge=0,
        le=1024,
        title="Principal components",
        description="The embedding profile sees the training cells' features along so many of "
        "their main directions; 0 for the features as they are.",
    )
    batch_penalty: float = Field(
        10.0,
        ge=0,
        le=10_000,
        title="Batch effects",
        description="How far directions are scaled down in which samples of one class differ by "
        "more than chance: by focus, light or stain, say. With principal components; 0 for not.",
    )
    embedding_size: int = Field(
        64, ge=8, le=4096, title="Embedding size", description="Length of one cell's vector h."
    )
    attention_size: int = Field(
        32, ge=4, le=1024, title="Attention size", description="Rows of V in eq. 7."
    )
    sic_hidden_size: int = Field(
        0,
        ge=0,
        le=1024,
        title="SIC hidden size",
        description="Width of a linear layer before the single instance classifier; 0 for none.",
    )
    dropout: float = Field(
        0.3, ge=0, lt=1, title="Dropout", description="Probability after the first layer."
    )
    loss: Literal["cross-entropy", "binary-cross-entropy"] = Field(
        "cross-entropy",
        title="Loss",
        description="Cross entropy (paper), or binary cross entropy on softmax outputs averaged "
        "over classes (published code).",
    )
    beta: float = Field(
        0.5,
        ge=0,
        lt=1,
        title="SIC decay (beta)",
        description="Base of the auxiliary branch's weight beta^epoch in eq. 8, with attention; "
        "the published code has another value than with maximum pooling.",
    )
    beta_max_pooling: float = Field(
        0.5,
        ge=0,
        lt=1,
        title="SIC decay, max pooling",
        description="The same with maximum pooling.",
    )
    guidance: float = Field(
        0.9,
        ge=0,
        lt=1,
        title="Guidance by odd cells",
        description="The SIC branch learns more from the cells least like any healthy one, and its "
        "weight is guidance^epoch in eq. 8. For methods that judge cells one by one, where there "
        "are healthy samples; 0 for the branch of the paper.",
    )
    guidance_rounds: int = Field(
        2,
        ge=0,
        le=10,
        title="Rounds of guidance",
        description="In so many rounds before the training, models that never saw a patient say "
        "which of the patient's cells the SIC branch learns most from; 0 for oddness alone.",
    )
    healthy_is_the_rest: bool = Field(
        True,
        title="Healthy is the rest",
        description="No cell speaks for the healthy class: cells speak for the others, or against "
        "them. For methods that judge cells one by one.",
    )
    exclusion: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Exclusion",
        description="Weight of a loss that tells each cell what it is not: no cell of a sample "
        "speaks for another class than the sample's. Unlike the SIC branch's assumption that "
        "every cell speaks for the sample's own class this is true of every cell; 0 for none.",
    )
    balance_classes: bool = Field(
        True,
        title="Balance classes",
        description="Weigh every sample so that all classes count the same in the loss.",
    )
    cell_dropout: float = Field(
        0.3,
        ge=0,
        lt=1,
        title="Cells left out",
        description="Share of a sample's cells left out at random in each training step, so that "
        "no single cell is learnt by heart.",
    )
    bags_per_step: int = Field(
        8,
        ge=1,
        le=256,
        title="Samples a step",
        description="Samples that are packed into one step of the optimiser.",
    )
    epochs: int = Field(
        60, ge=1, le=10000, title="Epochs", description="Passes over the cohort at most."
    )
    learning_rate: float = Field(
        5e-3, gt=0, le=1, title="Learning rate", description="Of Adam with AMSGrad."
    )
    schedule: Literal["constant", "one-cycle"] = Field(
        "one-cycle",
        title="Schedule",
        description="The learning rate stays as it is, or rises in the first third of the "
        "training and then falls to nothing.",
    )
    weight_decay: float = Field(
        1e-2,
        ge=0,
        le=1,
        title="Weight decay",
        description="L2 penalty of the optimiser.",
        json_schema_extra={"decimals": 6},
    )
    stop_loss: float = Field(
        0.005,
        ge=0,
        title="Stop below this loss",
        description="Training ends once the bag loss was below this often enough; 0 for never.",
    )
    stop_epochs: int = Field(
        5, ge=1, title="Epochs below it", description="How often the loss must be that low."
    )
    stop_consecutive: bool = Field(
        True,
        title="In a row",
        description="Count only consecutive epochs below the loss (paper), or all (code).",
    )
    reference_class: str = Field(
        "",
        title="Healthy class",
        description="Class of the healthy samples, which other cells are compared with; empty to "
        "find it by its name (healthy, control, normal, ...).",
    )
    seed: int = Field(
        0,
        ge=0,
        le=LARGEST_SEED,
        title="Seed",
        description="The same seed gives the same model on one machine.",
    )


def later_seed(seed: int, steps: int) -> int:
    """Return the seed that lies so many steps after another one; after the largest comes 0."""
    return (seed + steps) % (LARGEST_SEED + 1)


def features_for(mil: MILSettings) -> FeatureSettings:
    """Return how features are read for an embedding: no more is kept than it looks at."""
    return FeatureSettings(kept="profile" if mil.embedding == "profile" else "maps")


class EnsembleSettings(Settings):
    """What is trained for people to use: several models, and how sure they are together."""

    members: int = Field(
        20,
        ge=1,
        le=50,
        title="Models",
        description="Models of different seeds that classify together; their spread is shown.",
    )
    composition: bool = Field(
        True,
        title="Composition",
        description="Also ask a model that knows only which share of a sample's cells is of which "
        "type, of types found without labels; held-out patients say how much it counts. With "
        "Calibrate and principal components.",
    )
    calibrate: bool = Field(
        True,
        title="Calibrate",
        description="Also train models without some patients each, to learn from these patients "
        "how sure the classifier may be.",
    )
    calibration_members: int = Field(
        5,
        ge=1,
        le=50,
        title="Models a calibration fold",
        description="So many models, at most as many as classify, stand for them where it is "
        "learnt how sure they may be.",
    )
    folds: int = Field(
        3,
        ge=2,
        le=20,
        title="Calibration folds",
        description="Parts the patients are split into for that; fewer where a class has fewer "
        "patients.",
    )
    coverage: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        title="Coverage",
        description="How often the set of classes that cannot be ruled out shall hold the right "
        "one (0.5 to 1).",
    )

    @property
    def is_one_model(self) -> bool:
        """Whether a single model is trained, and nothing beside it."""
        return self.members == 1 and not self.calibrate

    @property
    def members_held_out(self) -> int:
        """Models that are trained without the patients of a calibration fold."""
        return min(self.calibration_members, self.members)


class EvaluationSettings(Settings):
    """Patient-wise cross-validation."""

    folds: int = Field(
        3,
        ge=2,
        le=10_000,
        title="Folds",
        description="Parts the patients are split into; as many as patients to leave each out.",
    )
    runs: int = Field(
        5, ge=1, le=100, title="Runs", description="Repetitions with other seeds and splits."
    )
    methods: tuple[Method, ...] = Field(
        TABLE_1,
        title="Methods",
        description="Methods to compare as single models, on the same folds and seeds.",
    )
    ensemble: bool = Field(
        True,
        title="Ensemble",
        description="Also evaluate what people use: several models, calibrated on training "
        "patients that were held out.",
    )
    controls: bool = Field(
        False,
        title="Controls",
        description="Also evaluate what must give chance: training labels shuffled between "
        "patients, and an untrained model.",
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED, title="Seed", description="Seed of the first run.")
