"""How a bright-field microscope shows a thin, nearly transparent specimen.

A red cell without stain hardly absorbs: it delays light. In focus it is all but invisible; out of
focus the delay turns into rims, dark and bright, whose order swaps with the sign of the defocus and
whose width grows with it. That is what is computed here, by Fresnel propagation of the wave behind
the cells (Goodman, *Introduction to Fourier Optics*, chapters 4 and 6), blurred as a condenser of
finite aperture does; then the illumination, dust, and a camera's shot and read noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from scipy import fft, ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

Look = Literal["unstained", "stained"]

_WAVELENGTH_UM: Final = 0.55
_INDEX_DIFFERENCE: Final = 0.06  # between a red cell (1.40) and plasma (1.34)
_NUMERICAL_APERTURE: Final = 1.25  # 100x oil immersion


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


def expose(
    thickness_um: NDArray[np.float32],
    pixel_size_um: float,
    margin_px: int,
    appearance: Appearance,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Take a photograph of a thickness map.

    Parameters
    ----------
    thickness_um : (Y + 2 margin, X + 2 margin) float32
        Optical thickness, with a margin around the image for what reaches into it.
    pixel_size_um
        Edge of a pixel.
    margin_px
        Width of that margin.
    appearance
        Focus, light, noise.
    rng
        Places the dust, the unevenness of the focus and the noise.

    Returns
    -------
    (Y, X) uint8
    """
    specimen_um = thickness_um + _debris(thickness_um.shape, pixel_size_um, appearance.debris, rng)
    light = _defocused(specimen_um, pixel_size_um, appearance, rng)
    light = light[margin_px : light.shape[0] - margin_px, margin_px : light.shape[1] - margin_px]
    light = light * illumination(light.shape, appearance)
    _add_dust(light, appearance.dust, rng)
    deviation = np.sqrt(
        appearance.read_noise**2 + appearance.shot_noise**2 * np.maximum(light, 0) / 255
    ).astype(np.float32)
    light = light + deviation * rng.standard_normal(light.shape, dtype=np.float32)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def illumination(shape: tuple[int, ...], appearance: Appearance) -> NDArray[np.float32]:
    """Grey level of the empty field, (Y, X) float32."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    slope = 1 + appearance.gradient_x * x + appearance.gradient_y * y
    field = appearance.brightness * slope * (1 - appearance.vignetting * (x * x + y * y) / 2)
    return np.asarray(field, dtype=np.float32)


def _defocused(
    thickness_um: NDArray[np.float32],
    pixel_size_um: float,
    appearance: Appearance,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Relative intensity of the defocused specimen, 1 where it is empty."""
    height, width = thickness_um.shape
    shape = (fft.next_fast_len(height), fft.next_fast_len(width))
    phase = 2 * np.pi / _WAVELENGTH_UM * _INDEX_DIFFERENCE * appearance.contrast
    delay = np.complex64(1j * phase - appearance.absorption_per_um / 2)
    # The undisturbed light is left out: it is 1 everywhere, also where the array is padded.
    spectrum = fft.fft2(np.exp(delay * thickness_um) - 1, shape)
    near, far = (
        _propagated(spectrum, pixel_size_um, appearance.defocus_um + stray_um, appearance)
        for stray_um in (-appearance.defocus_spread_um, appearance.defocus_spread_um)
    )
    share = rng.uniform(0, 1, (4, 4)).astype(np.float32)
    share = ndimage.zoom(
        share, (shape[0] / 4, shape[1] / 4), order=1, grid_mode=True, mode="nearest"
    )
    return np.asarray((near + (far - near) * share)[:height, :width], dtype=np.float32)


def _propagated(
    spectrum: NDArray[np.complex64], pixel_size_um: float, defocus_um: float, appearance: Appearance
) -> NDArray[np.float32]:
    """Intensity in a plane `defocus_um` away; `spectrum` is that of the wave minus 1."""
    frequency_y = fft.fftfreq(spectrum.shape[0], pixel_size_um).astype(np.float32)[:, None]
    frequency_x = fft.fftfreq(spectrum.shape[1], pixel_size_um).astype(np.float32)[None, :]
    cutoff = _NUMERICAL_APERTURE / _WAVELENGTH_UM
    squared = frequency_x**2 + frequency_y**2
    oblique = 1 + (appearance.tilt_x * frequency_x + appearance.tilt_y * frequency_y) / np.float32(
        cutoff
    )
    pupil = oblique * np.exp(-((squared / np.float32(cutoff**2)) ** 2))
    fresnel = np.exp(np.complex64(-1j * np.pi * _WAVELENGTH_UM * defocus_um) * squared)
    wave = 1 + fft.ifft2(spectrum * (pupil * fresnel))
    intensity = (wave.real**2 + wave.imag**2).astype(np.float32)
    coherence_px = appearance.condenser_angle_rad * defocus_um / pixel_size_um
    return np.asarray(
        ndimage.gaussian_filter(intensity, np.hypot(coherence_px, appearance.blur_px)),
        dtype=np.float32,
    )


def _debris(
    shape: tuple[int, ...], pixel_size_um: float, count: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Optical thickness of `count` particles of 0.5 to 2.5 um, in micrometres."""
    thickness_um = np.zeros(shape, dtype=np.float32)
    for _ in range(count):
        radius_px = rng.uniform(0.25, 1.25) / pixel_size_um
        window, squared = _window(thickness_um, radius_px, 1.0, rng)
        dome = np.sqrt(np.maximum(1 - squared, 0)).astype(np.float32)
        thickness_um[window] += rng.uniform(0.2, 1.5) * dome
    return thickness_um


def _add_dust(light: NDArray[np.float32], count: int, rng: np.random.Generator) -> None:
    """Lay `count` soft blots over the image, in place: most dark, some bright, some rings."""
    for _ in range(count):
        radius_px = rng.uniform(0.008, 0.06) * min(light.shape)
        window, squared = _window(light, radius_px, 2.0, rng)
        depth = rng.uniform(0.02, 0.15) * (1 if rng.random() < 0.7 else -0.5)
        ring = 1 - rng.uniform(0, 1.5) * np.exp(-3 * squared)
        light[window] *= (1 - depth * np.exp(-(squared**1.5)) * ring).astype(np.float32)


def _window(
    image: NDArray[np.float32], radius_px: float, reach: float, rng: np.random.Generator
) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """Draw a place: the part of the image within `reach` radii, (distance / radius)^2 there."""
    centre_y, centre_x = rng.uniform(0, image.shape[0]), rng.uniform(0, image.shape[1])
    half_px = int(np.ceil(reach * radius_px))
    rows = slice(max(0, int(centre_y) - half_px), int(centre_y) + half_px + 2)
    columns = slice(max(0, int(centre_x) - half_px), int(centre_x) + half_px + 2)
    y = (np.arange(image.shape[0])[rows] - centre_y)[:, None]
    x = (np.arange(image.shape[1])[columns] - centre_x)[None, :]
    return (rows, columns), (y * y + x * x) / radius_px**2
