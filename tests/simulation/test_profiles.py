"""Profiles have the heights that were measured on real cells."""

from __future__ import annotations

import numpy as np
import pytest

from napari_attmil.simulation.profiles import biconcave_um, dome, round_spot, shallow_um, spot

RHO = np.linspace(0, 1.2, 2401)


def test_a_normal_cell_is_as_thick_as_evans_and_fung_measured() -> None:
    thickness = biconcave_um(RHO)
    assert thickness[0] == pytest.approx(0.81)
    assert thickness.max() == pytest.approx(2.57, abs=0.01)
    assert not thickness[RHO >= 1].any()


def test_a_share_of_its_rim_lies_between_a_dome_and_the_whole() -> None:
    assert shallow_um(RHO, 2.0, 0.0) == pytest.approx(2 * dome(RHO))
    assert shallow_um(RHO, 0.81, 1.0) == pytest.approx(biconcave_um(RHO))


def test_spots_are_1_in_their_middle_and_1_over_e_at_their_width() -> None:
    x = np.array([0.3, 0.5, 0.3])
    y = np.array([-0.1, -0.1, 0.3])
    assert spot(x, y, (0.3, -0.1), (0.2, 0.4)) == pytest.approx([1, np.exp(-1), np.exp(-1)])
    assert round_spot(np.array([0.0, 0.2]), np.zeros(2), 0.2) == pytest.approx([1, np.exp(-1)])
