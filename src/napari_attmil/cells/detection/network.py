"""The R-CNN: torchvision's Faster R-CNN parts on a ResNet with a feature pyramid, one class.

It differs from torchvision's default to suit red cells: one grey channel (the network must not rely
on stain colour), no stage beyond stride 16 (cells are small at the working scale), proposals from
strides 8 and 16 only (the stride-4 map costs most). RoIs are read from the stride-4 map, which
preserves the cell's shape, both for the detector's own boxes and for the instances of a bag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from napari_attmil.cells.detection.roi_pooling import RoIAlign
from napari_attmil.cells.detection.winograd import with_quick_convolutions
from napari_attmil.core import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEATURE_CHANNELS = 256
ROI_LEVEL, ROI_STRIDE_PX = "0", 4
PROPOSAL_LEVELS = ("1", "2")  # strides 8 and 16
STRIDE_PX = 32
"""Images are padded to a multiple of this, so that pyramid levels line up."""


class DetectorArchitecture(Settings):
    """What is needed to build the network that a detector's weights fit."""

    backbone: Literal["resnet18", "resnet34", "resnet50"] = Field(
        "resnet18", title="Backbone", description="Residual network below the feature pyramid."
    )
    box_head_size: int = Field(
        256, ge=16, le=4096, title="Box head size", description="Units of its two layers."
    )
    working_diameter_px: float = Field(
        40.0,
        ge=8,
        le=400,
        title="Working cell diameter (px)",
        description="Images are rescaled so that the median cell has this diameter.",
    )


class CellRCNN(nn.Module):
    """Faster R-CNN with one class, for batches of grey images of one size."""

    def __init__(self, architecture: DetectorArchitecture) -> None:
        super().__init__()
        self.backbone = resnet_fpn_backbone(
            backbone_name=architecture.backbone,
            weights=None,
            norm_layer=nn.BatchNorm2d,
            trainable_layers=5,
            returned_layers=[1, 2, 3],
        )
        self.backbone.body.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        self.rpn = _proposal_network()
        self.roi_heads = _roi_heads(architecture.box_head_size)
        with_quick_convolutions(self)

    def features(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the pyramid of (b, 1, h, w) images: level name -> (b, 256, h', w')."""
        maps: dict[str, torch.Tensor] = self.backbone(images)
        return maps

    def detect(
        self, images: torch.Tensor, sizes: Sequence[tuple[int, int]]
    ) -> list[dict[str, torch.Tensor]]:
        """Return ``boxes`` (n, 4) and ``scores`` (n,) of each padded image.

        Parameters
        ----------
        images
            (b, 1, h, w) normalised grey images, h and w multiples of `STRIDE_PX`.
        sizes
            Height and width of each image before padding; boxes are clipped to it.
        """
        maps, batch = self.features(images), ImageList(images, list(sizes))
        proposals, _ = self.rpn(batch, _of(maps, PROPOSAL_LEVELS))
        found, _ = self.roi_heads(_of(maps, (ROI_LEVEL,)), proposals, batch.image_sizes)
        return list(found)

    def losses(
        self, images: torch.Tensor, targets: Sequence[Mapping[str, torch.Tensor]]
    ) -> dict[str, torch.Tensor]:
        """Return the four losses of Faster R-CNN.

        Parameters
        ----------
        images
            (b, 1, h, w) normalised grey images.
        targets
            One a image: ``boxes`` (n, 4) float32 and ``labels`` (n,) int64, all 1.
        """
        maps = self.features(images)
        height, width = images.shape[-2:]
        batch = ImageList(images, [(height, width)] * len(images))
        wanted = [dict(target) for target in targets]
        proposals, proposal_losses = self.rpn(batch, _of(maps, PROPOSAL_LEVELS), wanted)
        _, box_losses = self.roi_heads(
            _of(maps, (ROI_LEVEL,)), proposals, batch.image_sizes, wanted
        )
        return {**proposal_losses, **box_losses}


class _ProposalHead(RPNHead):  # type: ignore[misc]
    """An RPN head that answers in float32: bfloat16 boxes would be a pixel off at x = 300."""

    def forward(self, x: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return objectness and box changes, one of each a level."""
        objectness, changes = super().forward(x)
        return [level.float() for level in objectness], [level.float() for level in changes]


class _BoxHead(TwoMLPHead):  # type: ignore[misc]
    """A box head that brings its weights, not the cells' many features, into one order."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, size) of (n, C, s, s) features, which lie channels last on a processor."""
        weight = self.fc6.weight.unflatten(1, x.shape[1:]).permute(0, 2, 3, 1).flatten(1)
        hidden = functional.linear(x.permute(0, 2, 3, 1).flatten(1), weight, self.fc6.bias)
        head: torch.Tensor = self.fc7(hidden.relu()).relu()
        return head


class _BoxPredictor(FastRCNNPredictor):  # type: ignore[misc]
    """A predictor that computes in float32, for the same reason; it is tiny."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (n, 2) class scores and (n, 8) box changes."""
        with torch.autocast(x.device.type, enabled=False):
            scores, changes = super().forward(x.float())
        return scores, changes


def _of(maps: Mapping[str, torch.Tensor], levels: Sequence[str]) -> dict[str, torch.Tensor]:
    # The cells' shapes are read off in float32.
    return {level: maps[level].float() if level == ROI_LEVEL else maps[level] for level in levels}


def _proposal_network() -> RegionProposalNetwork:
    anchors = AnchorGenerator(
        sizes=((20, 32), (48, 76)), aspect_ratios=((0.5, 1.0, 2.0),) * len(PROPOSAL_LEVELS)
    )
    return RegionProposalNetwork(
        anchor_generator=anchors,
        head=_ProposalHead(FEATURE_CHANNELS, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.6,
        bg_iou_thresh=0.3,
        batch_size_per_image=128,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 600, "testing": 3000},
        post_nms_top_n={"training": 300, "testing": 2000},
        nms_thresh=0.7,
        score_thresh=0.05,
    )


def _roi_heads(box_head_size: int) -> RoIHeads:
    resolution = 7
    return RoIHeads(
        box_roi_pool=RoIAlign(ROI_LEVEL, resolution, ROI_STRIDE_PX, sampling_ratio=1),
        box_head=_BoxHead(FEATURE_CHANNELS * resolution**2, box_head_size),
        box_predictor=_BoxPredictor(box_head_size, num_classes=2),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=64,
        positive_fraction=0.5,
        bbox_reg_weights=None,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=1000,
    )
