"""What differs between one microscope's images and another's, apart from the cells.

`draw_appearance` stays within what a well-kept microscope gives; `draw_rough_appearance` goes to
where images become poor: cells at different heights, films and residue between them, sharpening
cameras. `bright_field` turns an appearance and a thickness map into an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from napari_attmil.simulation.settings import Look

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
"""What is drawn for poor images, from good to poor; the last word is the field of `Appearance`."""


@dataclass(frozen=True)
class Appearance:
    """What differs between one image's look and another's, apart from its cells.

    Attributes
    ----------
    defocus_um
        Distance of the focal plane from the cells; its sign decides which rim is the dark one.
    defocus_spread_um
        How far the defocus strays from its mean within the image.
    contrast
        Phase delay relative to that of a cell in plasma; 1 is physical.
    absorption_per_um
        Absorption coefficient of a cell: near 0 unstained, 0.1 and more stained.
    condenser_angle_rad
        Half angle of the illumination cone (standard deviation): blurs in proportion to defocus.
    tilt_x, tilt_y
        Oblique illumination, -1 to 1: a relief with one side bright and the other dark.
    brightness
        Grey level of the empty background, 0 to 255.
    gradient_x, gradient_y
        Relative change of the illumination from the middle to the right or lower edge.
    vignetting
        Relative loss of light in the corners.
    blur_px
        Standard deviation of the camera's and lens's blur.
    shot_noise
        Standard deviation of the photon noise in grey levels where the image is 255; it grows with
        the square root of the light.
    read_noise
        Standard deviation of the noise that does not depend on light, in grey levels.
    dust
        Number of particles in the light path, far out of focus.
    debris
        Number of particles between the cells, up to the size of a platelet; they are no cells.
    height_spread_um
        Distance of the highest and of the lowest cells from the plane of `defocus_um`: beside each
        other, one may show a dark rim and the next a bright one.
    mottle
        Standard deviation of a film's or residue's uneven transmission, relative to the light.
    sharpening
        How much the camera adds of what a blur of 1.5 px would take away.
    """

    defocus_um: float
    defocus_spread_um: float = 0.0
    contrast: float = 1.0
    absorption_per_um: float = 0.01
    condenser_angle_rad: float = 0.1
    tilt_x: float = 0.0
    tilt_y: float = 0.0
    brightness: float = 140.0
    gradient_x: float = 0.0
    gradient_y: float = 0.0
    vignetting: float = 0.0
    blur_px: float = 0.6
    shot_noise: float = 0.0
    read_noise: float = 0.0
    dust: int = 0
    debris: int = 0
    height_spread_um: float = 0.0
    mottle: float = 0.0
    sharpening: float = 0.0


def draw_appearance(look: Look, variety: float, rng: np.random.Generator) -> Appearance:
    """Draw focus, light and noise.

    Parameters
    ----------
    look
        Unstained cells show rims, stained ones are dark on a bright ground.
    variety
        0 gives a typical image, 1 anything between what microscopes give.
    rng
        Always asked for the same number of draws.
    """

    def around(typical: float, lowest: float, highest: float) -> float:
        """Draw from the range's part that the variety opens; always one number from `rng`."""
        low = typical + variety * (lowest - typical)
        high = typical + variety * (highest - typical)
        return float(low + (high - low) * rng.random())

    stained = look == "stained"
    swapped = rng.random() < variety / 2
    oblique = rng.random() < variety / 3
    defocus_um = around(1.0, 0.0, 2.0) if stained else around(2.5, 0.8, 5.0)
    return Appearance(
        defocus_um=-defocus_um if swapped else defocus_um,
        defocus_spread_um=defocus_um * around(0.12, 0.0, 0.4),  # never through the focus
        contrast=around(0.1, 0.0, 0.3) if stained else around(0.6, 0.25, 1.0),
        absorption_per_um=around(0.2, 0.08, 0.4) if stained else around(0.02, 0.0, 0.06),
        condenser_angle_rad=around(0.1, 0.04, 0.2),
        tilt_x=oblique * around(0, -1, 1),
        tilt_y=oblique * around(0, -1, 1),
        brightness=around(215, 170, 245) if stained else around(140, 90, 200),
        gradient_x=around(0, -0.2, 0.2),
        gradient_y=around(0, -0.2, 0.2),
        vignetting=around(0.06, 0.0, 0.3),
        blur_px=around(0.7, 0.4, 1.6),
        shot_noise=around(3.5, 1.0, 9.0),
        read_noise=around(1.0, 0.3, 3.0),
        dust=round(around(6, 0, 20)),
        debris=round(around(4, 0, 16)),
    )


def draw_rough_appearance(rng: np.random.Generator, beyond: float = 0.0) -> Appearance:
    """Draw the look of a poor image of unstained cells.

    Parameters
    ----------
    rng
        Always asked for the same number of draws.
    beyond
        Chance of each length, contrast and noise to lie up to a half further away from a good
        image than ever in what the shipped detector was trained on, which is 0.
    """

    def away(name: str) -> float:
        """Draw from good towards poor; always two numbers from `rng`."""
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
