"""The simulated microscope obeys optics: absorption, defocus, illumination, noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rough_looks import draw_rough_appearance

from napari_attmil.simulation.appearance import Appearance, draw_appearance
from napari_attmil.simulation.bright_field import expose

NOISE_FREE = Appearance(defocus_um=0.0, contrast=0.0, blur_px=0.3, brightness=200.0)


def test_absorbing_slab_follows_beer_and_lambert() -> None:
    slab = np.full((1, 120, 120), 2.0, dtype=np.float32)
    look = replace(NOISE_FREE, absorption_per_um=0.25, contrast=0.0)
    image = expose(slab, 0.15, 10, look, np.random.default_rng(0))
    assert image.shape == (100, 100)
    assert image[50, 50] == round(200 * np.exp(-0.25 * 2.0))


def one_disc() -> np.ndarray:
    y, x = np.mgrid[-100:100, -100:100]
    height = np.sqrt(np.maximum(1 - (x**2 + y**2) / 50.0**2, 0))
    return height[np.newaxis].astype(np.float32) * 2


def test_defocus_of_the_other_sign_swaps_dark_and_bright_rims() -> None:
    y, x = np.mgrid[-100:100, -100:100]
    just_outside = (np.hypot(x, y) > 52) & (np.hypot(x, y) < 58)
    phase_object = replace(NOISE_FREE, contrast=0.5, absorption_per_um=0.0)
    levels = {
        defocus_um: expose(
            one_disc(),
            0.078,
            0,
            replace(phase_object, defocus_um=defocus_um),
            np.random.default_rng(0),
        )[just_outside].mean()
        for defocus_um in (-2.0, 0.0, 2.0)
    }
    assert levels[2.0] < 190
    assert levels[-2.0] > 210
    assert levels[2.0] < levels[0.0] < levels[-2.0]


def test_rim_is_twice_as_wide_at_four_times_the_defocus() -> None:
    # Fresnel: fringes at a weak phase step lie at multiples of sqrt(wavelength * defocus).
    step = np.zeros((1, 100, 500), dtype=np.float32)
    step[..., :250] = 1.0
    weak = replace(NOISE_FREE, contrast=0.5, absorption_per_um=0.0, condenser_angle_rad=0.0)
    near, far = (
        expose(step, 0.05, 0, replace(weak, defocus_um=defocus_um), np.random.default_rng(0))
        for defocus_um in (1.5, 6.0)
    )
    distances_px = [int(np.argmin(image[50, 250:350])) for image in (near, far)]
    assert distances_px[1] == pytest.approx(2 * distances_px[0], rel=0.15)


def test_thickness_in_the_margin_is_not_in_the_image() -> None:
    specimen = np.zeros((1, 140, 140), dtype=np.float32)
    specimen[0, :15, :15] = 3.0
    look = replace(NOISE_FREE, absorption_per_um=0.3)
    assert (expose(specimen, 0.15, 40, look, np.random.default_rng(0)) == 200).all()


def test_light_falls_off_as_stated() -> None:
    look = replace(NOISE_FREE, vignetting=0.2, gradient_x=0.1)
    image = expose(np.zeros((1, 101, 101), np.float32), 0.15, 0, look, np.random.default_rng(0))
    assert image[50, 50] == 200
    assert image[50, 100] == round(200 * 1.1 * 0.9)  # right edge: half of the corner's vignetting
    assert image[0, 0] == round(200 * 0.9 * 0.8)


def test_camera_noise_has_the_stated_deviation() -> None:
    look = replace(NOISE_FREE, brightness=128.0, shot_noise=6.0, read_noise=3.0)
    image = expose(np.zeros((1, 400, 400), np.float32), 0.15, 0, look, np.random.default_rng(0))
    # Photon noise falls with the square root of the light; rounding adds a variance of 1/12.
    expected = np.sqrt(6.0**2 * 128 / 255 + 3.0**2 + 1 / 12)
    assert image.std() == pytest.approx(expected, rel=0.02)
    assert image.mean() == pytest.approx(128, abs=0.1)


def test_no_variety_is_one_look_and_full_variety_many() -> None:
    rng = np.random.default_rng(0)
    assert len({draw_appearance("unstained", 0, rng) for _ in range(10)}) == 1
    varied = [draw_appearance("unstained", 1, rng) for _ in range(200)]
    assert {np.sign(look.defocus_um) for look in varied} == {-1, 1}
    assert min(look.brightness for look in varied) < 100
    assert max(look.brightness for look in varied) > 190


def test_cells_at_two_heights_show_opposite_rims_in_one_image() -> None:
    y, x = np.mgrid[-100:100, -200:200]
    layers_um = np.stack(
        [np.sqrt(np.maximum(1 - ((x - c) ** 2 + y**2) / 50.0**2, 0)) * 2 for c in (-100, 100)]
    ).astype(np.float32)
    look = replace(NOISE_FREE, contrast=0.5, absorption_per_um=0.0, height_spread_um=2.0)
    image = expose(layers_um, 0.078, 0, look, np.random.default_rng(0))
    below, above = (
        image[(np.hypot(x - c, y) > 52) & (np.hypot(x - c, y) < 58)].mean() for c in (-100, 100)
    )
    assert below > 210
    assert above < 190


def test_a_film_leaves_the_mean_light_and_spreads_it_as_stated() -> None:
    look = replace(NOISE_FREE, brightness=150.0, mottle=0.04)
    image = expose(np.zeros((1, 300, 300), np.float32), 0.15, 0, look, np.random.default_rng(0))
    assert image.mean() == pytest.approx(150, abs=1)
    assert image.std() == pytest.approx(0.04 * 150, rel=0.05)


@pytest.mark.parametrize(("ring_rad", "brighter"), [(-np.pi / 2, False), (np.pi / 2, True)])
def test_phase_contrast_shows_a_cell_in_focus_with_the_reverse_halo(
    ring_rad: float, brighter: bool
) -> None:
    look = replace(NOISE_FREE, contrast=0.15, absorption_per_um=0.0, brightness=100.0)
    y, x = np.mgrid[-100:100, -100:100]
    cell, halo = np.hypot(x, y) < 30, (np.hypot(x, y) > 54) & (np.hypot(x, y) < 60)
    flat = expose(one_disc(), 0.078, 0, look, np.random.default_rng(0)).astype(float)
    image = expose(
        one_disc(), 0.078, 0, replace(look, phase_ring_rad=ring_rad), np.random.default_rng(0)
    ).astype(float)
    assert abs(flat[cell].mean() - 100) < 2
    sign = 1 if brighter else -1
    assert sign * (image[cell].mean() - 100) > 15
    assert sign * (image[halo].mean() - image[:8].mean()) < -1


def test_rough_looks_stay_in_the_trained_range_unless_asked_to_leave_it() -> None:
    def looks(beyond: float) -> list[Appearance]:
        return [draw_rough_appearance(np.random.default_rng(k), beyond) for k in range(200)]

    assert max(abs(look.defocus_um) for look in looks(0)) <= 6.0
    assert max(look.shot_noise for look in looks(0)) <= 10.0
    assert max(abs(look.defocus_um) for look in looks(0.5)) > 7.0
    assert max(look.height_spread_um for look in looks(1)) > 2.5
    assert all(look.height_spread_um >= 2.5 for look in looks(1))
