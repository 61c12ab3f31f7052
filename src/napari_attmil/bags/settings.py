"""Settings of the multiple-instance classifier, and of an ensemble of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_attmil.bags.methods import Method
from napari_attmil.cells import FeatureSettings
from napari_attmil.core import LARGEST_SEED, Settings


class MILSettings(Settings):
    """Architecture and fitting of the multiple instance classifier.

    The defaults are the project's own; `mil_preset` gives the paper's and the published code's.
    """

    method: Method = Field("mil-multi-top-sic", title="Method")
    """How the cells of a sample become one: a row of the paper's Table 1 (single instance
    classifier SIC, maximum or attention pooling), or what came after."""
    embedding: Literal["profile", "three-conv", "five-conv"] = Field("profile", title="Embedding")
    """What turns one cell's feature maps into a vector: one layer on what each map shows from the
    cell's centre to its rim, or the three convolutions of the published code, or five as in the
    paper."""
    standardise: bool = Field(True, title="Standardise features")
    """Scale every feature to mean 0 and standard deviation 1 over the training cells before the
    first layer."""
    components: int = Field(256, ge=0, le=1024, title="Principal components")
    """The embedding profile sees the training cells' features along so many of their main
    directions; 0 for the features as they are."""
    batch_penalty: float = Field(10.0, ge=0, le=10_000, title="Batch effects")
    """How far directions are scaled down in which samples of one class differ by more than chance:
    by focus, light or stain, say. With principal components; 0 for not."""
    embedding_size: int = Field(64, ge=8, le=4096, title="Embedding size")
    """Length of one cell's vector h."""
    attention_size: int = Field(32, ge=4, le=1024, title="Attention size")
    """Rows of V in eq. 7."""
    sic_hidden_size: int = Field(0, ge=0, le=1024, title="SIC hidden size")
    """Width of a linear layer before the single instance classifier; 0 for none."""
    dropout: float = Field(0.3, ge=0, lt=1, title="Dropout")
    """Probability after the first layer."""
    loss: Literal["cross-entropy", "binary-cross-entropy"] = Field("cross-entropy", title="Loss")
    """Cross entropy (paper), or binary cross entropy on softmax outputs averaged over classes
    (published code)."""
    beta: float = Field(0.5, ge=0, lt=1, title="SIC decay (beta)")
    """Base of the auxiliary branch's weight beta^epoch in eq. 8, with attention; the published code
    has another value than with maximum pooling."""
    beta_max_pooling: float = Field(0.5, ge=0, lt=1, title="SIC decay, max pooling")
    """The same with maximum pooling."""
    guidance: float = Field(0.9, ge=0, lt=1, title="Guidance by odd cells")
    """The SIC branch learns more from the cells least like any healthy one, and its weight is
    guidance^epoch in eq. 8. For methods that judge cells one by one, where there are healthy
    samples; 0 for the branch of the paper."""
    healthy_is_the_rest: bool = Field(True, title="Healthy is the rest")
    """No cell speaks for the healthy class: cells speak for the others, or against them. For
    methods that judge cells one by one."""
    exclusion: float = Field(1.0, ge=0, le=100, title="Exclusion")
    """Weight of a loss that tells each cell what it is not: no cell of a sample speaks for another
    class than the sample's. Unlike the SIC branch's assumption that every cell speaks for the
    sample's own class this is true of every cell; 0 for none."""
    balance_classes: bool = Field(True, title="Balance classes")
    """Weigh every sample so that all classes count the same in the loss."""
    cell_dropout: float = Field(0.3, ge=0, lt=1, title="Cells left out")
    """Share of a sample's cells left out at random in each training step, so that no single cell is
    learnt by heart."""
    bags_per_step: int = Field(8, ge=1, le=256, title="Samples a step")
    """Samples that are packed into one step of the optimiser."""
    epochs: int = Field(60, ge=1, le=10000, title="Epochs")
    """Passes over the cohort at most."""
    learning_rate: float = Field(5e-3, gt=0, le=1, title="Learning rate")
    """Of Adam with AMSGrad."""
    schedule: Literal["constant", "one-cycle"] = Field("one-cycle", title="Schedule")
    """The learning rate stays as it is, or rises in the first third of the training and then falls
    to nothing."""
    weight_decay: float = Field(
        1e-2, ge=0, le=1, title="Weight decay", json_schema_extra={"decimals": 6}
    )
    """L2 penalty of the optimiser."""
    stop_loss: float = Field(0.005, ge=0, title="Stop below this loss")
    """Training ends once the bag loss was below this often enough; 0 for never."""
    stop_epochs: int = Field(5, ge=1, title="Epochs below it")
    """How often the loss must be that low."""
    stop_consecutive: bool = Field(True, title="In a row")
    """Count only consecutive epochs below the loss (paper), or all (code)."""
    reference_class: str = Field("", title="Healthy class")
    """Class of the healthy samples, which other cells are compared with; empty to find it by its
    name (healthy, control, normal, ...)."""
    seed: int = Field(0, ge=0, le=LARGEST_SEED, title="Seed")
    """The same seed gives the same model on one machine."""


def features_for(mil: MILSettings) -> FeatureSettings:
    """Return how features are read for an embedding: no more is kept than it looks at."""
    return FeatureSettings(kept="profile" if mil.embedding == "profile" else "maps")


class EnsembleSettings(Settings):
    """What is trained for people to use: several models, and how sure they are together."""

    members: int = Field(20, ge=1, le=50, title="Models")
    """Models of different seeds that classify together; their spread is shown."""
    composition: bool = Field(True, title="Composition")
    """Also ask a model that knows only which share of a sample's cells is of which type, of types
    found without labels; held-out patients say how much it counts. With Calibrate and principal
    components."""
    calibrate: bool = Field(True, title="Calibrate")
    """Also train models without some patients each, to learn from these patients how sure the
    classifier may be."""
    calibration_members: int = Field(5, ge=1, le=50, title="Models a calibration fold")
    """So many models, at most as many as classify, stand for them where it is learnt how sure they
    may be."""
    folds: int = Field(3, ge=2, le=20, title="Calibration folds")
    """Parts the patients are split into for that; fewer where a class has fewer patients."""
    coverage: float = Field(0.9, gt=0.5, lt=1, title="Coverage")
    """How often the set of classes that cannot be ruled out shall hold the right one (0.5 to 1)."""

    @property
    def is_one_model(self) -> bool:
        """Whether a single model is trained, and nothing beside it."""
        return self.members == 1 and not self.calibrate

    @property
    def members_held_out(self) -> int:
        """Models that are trained without the patients of a calibration fold."""
        return min(self.calibration_members, self.members)
