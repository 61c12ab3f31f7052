"""Settings for finding cells, reading their features, and fine-tuning the detector."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from napari_attmil.core import Seed, Settings, ShownElsewhere, ShownFirst, UserError


class DetectionSettings(Settings):
    """How cells are found in images."""

    min_score: ShownFirst[float] = Field(0.5, ge=0, le=1, title="Minimum score")
    """Cells of which the detector is less sure are left out (0 to 1)."""
    max_overlap: float = Field(0.5, gt=0, le=1, title="Maximum overlap")
    """Of two boxes that overlap more than this (intersection over union), only the one with the
    higher score is kept."""
    cell_diameter_px: ShownFirst[float | None] = Field(
        None, ge=6, le=2000, title="Cell diameter (px)"
    )
    """Typical diameter of a cell in pixels; measured if it is not given."""
    cell_diameter_um: float | None = Field(None, ge=0.5, le=200, title="Cell diameter (µm)")
    """Typical diameter of a cell in micrometres, for images whose pixel size is recorded in the
    file; used if no diameter in pixels is given."""
    max_cells_per_image: int = Field(1000, ge=1, le=20000, title="Most cells per image")
    """If an image, or a tile of a large one, holds more, those with the highest scores are kept."""
    batch_size: int = Field(4, ge=1, le=256, title="Images at once")
    """Images computed together; halved when memory runs out."""
    pixel_size_um: ShownElsewhere[float | None] = Field(None, gt=0, title="Pixel size (µm)")
    """Side of a pixel in micrometres, as the images tell it; a cell of less than 2 or more than 25
    µm is then not believed where the size of cells is measured."""

    def in_pixels(self, pixel_size_um: float | None) -> Self:
        """Return the same settings with the cell diameter and the pixel size of some images.

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
            return self.replace(pixel_size_um=pixel_size_um)
        if pixel_size_um is None:
            raise UserError(
                f"The cell diameter was given as {self.cell_diameter_um:g} µm, but the images do "
                "not tell the size of their pixels; give it in pixels, or leave it out to have it "
                "measured."
            )
        diameter_px = self.cell_diameter_um / pixel_size_um
        return self.replace(cell_diameter_px=diameter_px, pixel_size_um=pixel_size_um)


class FeatureSettings(Settings):
    """How the features of one cell are read: off the detector's feature maps, or by an encoder."""

    working_diameter_px: float = Field(48.0, ge=16, le=200, title="Working cell diameter (px)")
    """Images are rescaled so that the median cell has this diameter before features are computed,
    so that magnification does not matter."""
    context: float = Field(1.2, ge=1, le=3, title="Context")
    """The box is enlarged by this factor, so that the cell's rim is seen whole."""
    output_size: int = Field(14, ge=2, le=28, title="Feature map side")
    """Each cell becomes 256 maps of this many rows and columns."""
    kept: Literal["maps", "profile", "vector", "combined"] = Field(
        "maps", title="Kept of each cell"
    )
    """The whole maps, which the published embeddings need, or only their profiles, which is all
    that the embedding profile looks at and 18 times smaller, or the vector of a cell encoder, or
    profiles and vector."""
    encoder: str = Field("", title="Cell encoder")
    """Name of the cell encoder that gives the vector; empty for features of the detector."""
    most_cells: int = Field(0, ge=0, title="Cells per sample")
    """Of a sample with more cells, so many are drawn at random; 0 for all."""

    @property
    def reader(self) -> str:
        """What reads the features, in words."""
        encoder = f"the {self.encoder} cell encoder"
        return {"vector": encoder, "combined": f"the detector and {encoder}"}.get(
            self.kept, "the detector"
        )


class FinetuneSettings(Settings):
    """How the detector is fitted to a person's own images."""

    minutes: ShownFirst[float] = Field(10.0, gt=0, title="Minutes")
    """Training ends after this time at the latest."""
    steps: ShownFirst[int] = Field(160, ge=1, le=100_000, title="Learning steps")
    """Most steps of learning. Each step learns from a few parts of the images; the training ends
    earlier when it no longer helps."""
    learning_rate: float = Field(3e-4, gt=0, le=1, title="Learning rate")
    """Highest learning rate of AdamW."""
    crops_per_step: int = Field(8, ge=1, le=256, title="Image parts per step")
    """Parts of images that one step learns from."""
    patience: int = Field(4, ge=1, title="Patience")
    """Training ends once this many tests on the held-out images in a row were no better than the
    best one."""
    seed: Seed = 0
    """The same seed gives the same training."""
