"""What differs between the images of two microscopes, apart from the cells.

`bright_field` turns an appearance and a thickness map into an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from napari_attmil.simulation.settings import Look


@dataclass(frozen=True)
class Appearance:
    """Focus, light, camera and dirt of one image.

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
        Number of particles between the cells, up to the size of a platelet; they are not cells.
    height_spread_um
        Distance of the highest and of the lowest cells from the plane of `defocus_um`: of two
        neighbours, one may have a dark rim and the other a bright one.
    mottle
        Standard deviation of a film's or residue's uneven transmission, relative to the light.
    sharpening
        How much of the detail that a blur of 1.5 px would remove the camera adds.
    phase_ring_rad
        How far the ring of phase contrast delays the light that passes beside the cells: 0 for
        bright field; a quarter of a turn gives dark cells with a bright halo, or the reverse.
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
    phase_ring_rad: float = 0.0


def draw_appearance(look: Look, variety: float, rng: np.random.Generator) -> Appearance:
    """Draw focus, light and noise.

    Parameters
    ----------
    look
        Unstained cells show rims, stained ones are dark on a bright ground.
    variety
        0 gives a typical image, 1 the whole range between microscopes.
    rng
        The number of draws from it is always the same.
    """

    def around(typical: float, lowest: float, highest: float) -> float:
        """Draw one number from the part of the range that the variety allows."""
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
