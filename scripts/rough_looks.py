"""Looks of poor bright-field images, which the shipped detector is trained on and tested with.

Cells at different heights, films and residue between them, sharpening cameras: further from a good
image than what `draw_appearance` of the simulation gives.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from napari_attmil.simulation.appearance import Appearance

ROUGH_RANGES: Final = {
    "defocus_um": (1.5, 6.0),
    "tilt": (0.0, 0.8),
    "defocus_spread_um": (0.0, 1.5),
    "faint contrast": (0.6, 0.25),
    "strong contrast": (0.8, 1.3),
    "absorption_per_um": (0.01, 0.1),
    "narrow condenser_angle_rad": (0.1, 0.03),
    "wide condenser_angle_rad": (0.1, 0.22),
    "dark brightness": (130, 70),
    "bright brightness": (150, 215),
    "gradient": (0, 0.25),
    "vignetting": (0.05, 0.45),
    "blur_px": (0.5, 1.8),
    "shot_noise": (2.0, 10.0),
    "read_noise": (0.5, 4.0),
    "dust": (4, 25),
    "debris": (4, 24),
    "height_spread_um": (0.0, 2.5),
    "mottle": (0.0, 0.025),
    "sharpening": (0.0, 1.2),
}
"""Ranges from good to poor; the last word of a key is the field of `Appearance`."""


def draw_rough_appearance(rng: np.random.Generator, beyond: float = 0.0) -> Appearance:
    """Draw the look of a poor image of unstained cells.

    Parameters
    ----------
    rng
        The number of draws from it is always the same.
    beyond
        Chance of each length, contrast and noise to lie up to a half further away from a good
        image than in any image that the shipped detector was trained on; 0 for training.
    """

    def away(name: str) -> float:
        """Draw a value from good to poor; always takes two numbers from `rng`."""
        good, poor = ROUGH_RANGES[name]
        distance = float(rng.random())
        if rng.random() < beyond:
            distance = 1 + distance / 2
        return good + distance * (poor - good)

    defocus_um = away("defocus_um") * float(rng.choice((-1.0, 1.0)))
    angle = rng.uniform(0, 2 * np.pi)
    tilt = away("tilt")
    return Appearance(
        defocus_um=defocus_um,
        defocus_spread_um=away("defocus_spread_um"),
        contrast=float(rng.choice((away("faint contrast"), away("strong contrast")))),
        absorption_per_um=away("absorption_per_um"),
        condenser_angle_rad=float(
            rng.choice((away("narrow condenser_angle_rad"), away("wide condenser_angle_rad")))
        ),
        tilt_x=tilt * float(np.cos(angle)),
        tilt_y=tilt * float(np.sin(angle)),
        brightness=float(rng.choice((away("dark brightness"), away("bright brightness")))),
        gradient_x=away("gradient") * float(np.cos(angle)),
        gradient_y=away("gradient") * float(np.sin(angle)),
        vignetting=away("vignetting"),
        blur_px=away("blur_px"),
        shot_noise=away("shot_noise"),
        read_noise=away("read_noise"),
        dust=round(away("dust")),
        debris=round(away("debris")),
        height_spread_um=away("height_spread_um"),
        mottle=away("mottle"),
        sharpening=away("sharpening"),
    )
