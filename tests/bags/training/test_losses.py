from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_attmil.bags.network.packing import Packing
from napari_attmil.bags.presets import mil_preset
from napari_attmil.bags.settings import MILSettings
from napari_attmil.bags.training.losses import bag_losses, class_loss, combined_loss, should_stop

MIL, SIC = torch.tensor([2.0]), torch.tensor([6.0])


@pytest.mark.parametrize(("epoch", "expected"), [(0, 6.0), (1, 4.0), (2, 3.0), (3, 2.5)])
def test_sic_s_weight_halves_with_every_epoch(epoch: int, expected: float) -> None:
    assert combined_loss(MIL, SIC, epoch, mil_preset("paper")).item() == expected


def test_the_published_code_decays_slower_with_attention_only() -> None:
    code = mil_preset("marrlab-code")
    with_attention = combined_loss(MIL, SIC, 1, code.replace(method="mil-att-sic"))
    with_maximum = combined_loss(MIL, SIC, 1, code.replace(method="mil-max-sic"))
    assert with_attention.item() == pytest.approx(0.05 * 2 + 0.95 * 6)
    assert with_maximum.item() == pytest.approx(0.5 * 2 + 0.5 * 6)


def test_methods_with_one_branch_have_its_loss_throughout() -> None:
    for epoch in (0, 7):
        assert combined_loss(MIL, SIC, epoch, MILSettings(method="mil-max")) == MIL
        assert combined_loss(MIL, SIC, epoch, MILSettings(method="sic")) == SIC


def test_cross_entropy_is_the_logarithm_of_the_true_class_s_softmax() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    expected = -np.log(np.exp(2) / (np.exp(1) + np.exp(2) + np.exp(0.5)))
    loss = class_loss(logits, torch.tensor([1]), "cross-entropy")
    assert loss.tolist() == pytest.approx([expected])


def test_binary_cross_entropy_is_averaged_over_classes() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.7, 0.1]]))
    expected = -(np.log(0.8) + np.log(0.7) + np.log(0.9)) / 3
    loss = class_loss(logits, torch.tensor([1]), "binary-cross-entropy")
    assert loss.tolist() == pytest.approx([expected], rel=1e-5)


def test_sic_s_loss_is_a_mean_over_the_cells_of_each_bag() -> None:
    cells = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, np.log(3.0)]])
    packing, targets = Packing.of([1, 2]), torch.tensor([0, 1])
    mil, sic = bag_losses(torch.zeros(2, 2), cells, packing, targets, MILSettings())
    assert mil.tolist() == pytest.approx([np.log(2)] * 2)
    assert sic.tolist() == pytest.approx([np.log(2), (np.log(2) + np.log(4 / 3)) / 2])


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        ([0.004] * 4, False),
        ([0.004] * 5, True),
        ([0.004] * 4 + [0.006] + [0.004] * 4, False),
        ([0.9, 0.1] + [0.004] * 5, True),
        ([0.005] * 9, False),
        ([], False),
    ],
)
def test_the_paper_stops_after_five_low_losses_in_a_row(losses: list[float], stops: bool) -> None:
    assert should_stop(losses, mil_preset("paper")) is stops


def test_the_published_code_stops_after_seven_low_losses_in_all() -> None:
    code = mil_preset("marrlab-code")
    scattered = [0.0009, 0.5] * 6
    assert not should_stop(scattered, code)
    assert should_stop([*scattered, 0.0009], code)


def test_a_stop_loss_of_0_never_stops() -> None:
    assert not should_stop([0.0] * 20, MILSettings(stop_loss=0))
