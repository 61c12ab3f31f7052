"""Settings of the multiple-instance classifier, and of an ensemble of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_attmil.bags.methods import EmbeddingName, Method
from napari_attmil.cells import FeatureSettings
from napari_attmil.core import ForResearch, Seed, Settings, ShownElsewhere, ShownFirst


class MILSettings(Settings):
    """Architecture and fitting of the multiple instance classifier.

    The defaults are the project's own; `mil_preset` gives the paper's and the published code's.
    """

    method: Method = Field("mil-multi-top-sic", title="Method")
    """How the cells of a sample become one: a row of the paper's Table 1 (single instance
    classifier SIC, maximum or attention pooling), or what came after."""
    embedding: EmbeddingName = Field("combined", title="Embedding")
    """What turns a cell into a vector h: one layer on the vector of a cell encoder (encoder), on
    what each map of the detector shows from the cell's centre to its rim (profile), or on both
    (combined); or the three convolutions of the published code, or five as in the paper."""
    encoder: ForResearch[str] = Field("shipped", title="Cell encoder")
    """Name of the encoder: the shipped one, or one that an installed package offers."""
    standardise: ForResearch[bool] = Field(True, title="Standardise features")
    """Scale every feature to mean 0 and standard deviation 1 over the training cells before the
    first layer."""
    components: ForResearch[int] = Field(256, ge=0, le=1024, title="Principal components")
    """The embeddings combined, encoder and profile see the training cells' features along this many
    of their principal components; 0 for the features as they are."""
    batch_penalty: ForResearch[float] = Field(10.0, ge=0, le=10_000, title="Batch effects")
    """How strongly directions are scaled down in which samples of one class differ by more than
    chance, for instance in focus, light or stain. Needs principal components; 0 for off."""
    embedding_size: ForResearch[int] = Field(64, ge=8, le=4096, title="Embedding size")
    """Length of one cell's vector h."""
    attention_size: ForResearch[int] = Field(32, ge=4, le=1024, title="Attention size")
    """Rows of V in eq. 7."""
    sic_hidden_size: ForResearch[int] = Field(0, ge=0, le=1024, title="SIC hidden size")
    """Width of a linear layer before the single instance classifier; 0 for no such layer."""
    dropout: ForResearch[float] = Field(0.3, ge=0, lt=1, title="Dropout")
    """Probability after the first layer."""
    loss: ForResearch[Literal["cross-entropy", "binary-cross-entropy"]] = Field(
        "cross-entropy", title="Loss"
    )
    """Cross entropy (paper), or binary cross entropy on softmax outputs, averaged over classes
    (published code)."""
    beta: ForResearch[float] = Field(0.5, ge=0, lt=1, title="SIC decay (beta)")
    """With attention: the auxiliary branch's weight is beta^epoch in eq. 8."""
    beta_max_pooling: ForResearch[float] = Field(0.5, ge=0, lt=1, title="SIC decay, max pooling")
    """The same with maximum pooling, for which the published code uses another value."""
    guidance: ForResearch[float] = Field(0.9, ge=0, lt=1, title="Guidance")
    """The SIC branch learns more from the cells that are least like any healthy one, and its weight
    is guidance^epoch in eq. 8. For methods that judge cells one by one, on cohorts with healthy
    samples; 0 for the paper's SIC branch."""
    healthy_is_the_rest: ForResearch[bool] = Field(True, title="Healthy is the rest")
    """No cell counts as evidence for the healthy class, only for or against the others. For methods
    that judge cells one by one."""
    exclusion: ForResearch[float] = Field(1.0, ge=0, le=100, title="Exclusion")
    """Weight of a loss that teaches each cell what it is not: no cell of a sample is evidence for
    another class than the sample's. This holds for every cell, unlike the assumption of the SIC
    branch that every cell shows the sample's class; 0 for none."""
    answers: ForResearch[float] = Field(1.0, ge=0, le=100, title="Answers")
    """Weight of a loss that teaches what a person has said of single cells: altered cells and
    others count the same, and some answers may be wrong. For methods that judge cells one by one;
    0 leaves the answers out."""
    balance_classes: bool = Field(True, title="Balance classes")
    """Weight the samples so that all classes count the same in the loss."""
    cell_dropout: ForResearch[float] = Field(0.3, ge=0, lt=1, title="Cells left out")
    """Share of a sample's cells that each training step leaves out at random, so that no single
    cell is memorised."""
    bags_per_step: int = Field(8, ge=1, le=256, title="Samples per step")
    """Samples in one step of the optimiser."""
    cells_per_sample: int = Field(0, ge=0, title="Cells per sample")
    """Of samples with more cells, as of scans of whole slides, so many are drawn at random, the
    same ones each time, also when the classifier is used; 0 for all."""
    epochs: ShownFirst[int] = Field(60, ge=1, le=10000, title="Passes")
    """Most passes over the samples (epochs)."""
    learning_rate: float = Field(5e-3, gt=0, le=1, title="Learning rate")
    """Learning rate of Adam with AMSGrad."""
    schedule: ForResearch[Literal["constant", "one-cycle"]] = Field("one-cycle", title="Schedule")
    """Constant, or rising in the first third of the training and falling to zero after that."""
    weight_decay: ForResearch[float] = Field(
        1e-2, ge=0, le=1, title="Weight decay", json_schema_extra={"decimals": 6}
    )
    """L2 penalty of the optimiser."""
    stop_loss: ForResearch[float] = Field(0.005, ge=0, title="Stop below this loss")
    """Training ends once the bag loss was below this for enough passes; 0 for never."""
    stop_epochs: ForResearch[int] = Field(5, ge=1, title="Passes below it")
    """For how many passes the loss must be below it."""
    stop_consecutive: ForResearch[bool] = Field(True, title="In a row")
    """Count only consecutive passes (paper), or all of them (published code)."""
    reference_class: ShownElsewhere[str] = Field("", title="Healthy class")
    """Class of the healthy samples, with which other cells are compared; if it is not given, the
    class called healthy, control, normal or the like."""
    seed: Seed = 0
    """The same seed gives the same model on one machine."""

    @property
    def takes_rows(self) -> bool:
        """Whether a cell enters the network as one row of numbers rather than as maps."""
        return self.embedding in ("combined", "encoder", "profile")


def features_for(mil: MILSettings) -> FeatureSettings:
    """Return the feature settings of an embedding, which store no more than it needs."""
    most = mil.cells_per_sample
    match mil.embedding:
        case "encoder":
            return FeatureSettings(kept="vector", encoder=mil.encoder, most_cells=most)
        case "combined":
            return FeatureSettings(kept="combined", encoder=mil.encoder, most_cells=most)
        case "profile":
            return FeatureSettings(kept="profile", most_cells=most)
    return FeatureSettings(kept="maps", most_cells=most)


class EnsembleSettings(Settings):
    """The classifier for routine use: several models and their calibration."""

    members: ShownFirst[int] = Field(20, ge=1, le=50, title="Models")
    """Models with different seeds that classify together; how far they differ is shown."""
    composition: bool = Field(True, title="Composition")
    """Also ask a model that sees only what share of a sample's cells is of which type, the types
    being found without labels; held-out patients decide how much it counts. Needs calibration and
    principal components."""
    calibrate: ShownFirst[bool] = Field(True, title="Calibrate")
    """Also train models without some of the patients, to learn from these how certain the
    classifier may be. Takes nearly twice as long."""
    calibration_members: ForResearch[int] = Field(5, ge=1, le=50, title="Models per fold")
    """Models trained without the patients of one fold, to stand for the ensemble there; never more
    than the ensemble has."""
    folds: ForResearch[int] = Field(3, ge=2, le=20, title="Calibration folds")
    """Parts the patients are split into for calibration; fewer if a class has fewer patients."""
    coverage: float = Field(0.9, gt=0.5, lt=1, title="Coverage")
    """How often the set of classes that cannot be ruled out should contain the right one (0.5 to
    1)."""

    @property
    def is_one_model(self) -> bool:
        """Whether a single model is trained, and nothing beside it."""
        return self.members == 1 and not self.calibrate

    @property
    def members_held_out(self) -> int:
        """The number of models trained without the patients of each calibration fold."""
        return min(self.calibration_members, self.members)
