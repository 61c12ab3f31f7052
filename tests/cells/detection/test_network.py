from __future__ import annotations

import torch

from napari_attmil.cells.detection.network import CellRCNN, DetectorArchitecture


def test_each_backbone_gives_256_channels_at_a_quarter_of_the_size() -> None:
    for backbone in ("resnet18", "resnet34", "resnet50"):
        network = CellRCNN(DetectorArchitecture(backbone=backbone)).eval()
        with torch.inference_mode():
            maps = network.features(torch.zeros(1, 1, 64, 96))
        assert maps["0"].shape == (1, 256, 16, 24)


def test_an_image_without_cells_still_gives_finite_losses() -> None:
    torch.manual_seed(0)
    network = CellRCNN(DetectorArchitecture()).train()
    none = {"boxes": torch.empty(0, 4), "labels": torch.empty(0, dtype=torch.int64)}
    losses = network.losses(torch.randn(2, 1, 128, 128), [none, none])
    assert set(losses) == {
        "loss_objectness",
        "loss_rpn_box_reg",
        "loss_classifier",
        "loss_box_reg",
    }
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert float(losses["loss_box_reg"].detach()) == 0


def test_a_few_steps_on_one_image_lower_the_loss() -> None:
    torch.manual_seed(0)
    network = CellRCNN(DetectorArchitecture()).train()
    image = torch.randn(1, 1, 64, 64) * 0.1
    image[..., 10:50, 20:60] += 2
    target = {
        "boxes": torch.tensor([[20.0, 10, 60, 50]]),
        "labels": torch.ones(1, dtype=torch.int64),
    }
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-4)
    totals = []
    for _ in range(10):
        loss = torch.stack(list(network.losses(image, [target]).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        totals.append(float(loss.detach()))
    assert min(totals[-3:]) < 0.7 * totals[0]
