"""How a bright-field microscope images a thin, nearly transparent specimen.

A red cell without stain hardly absorbs: it delays light. In focus it is all but invisible; out of
focus the delay turns into rims, dark and bright, whose order swaps with the sign of the defocus and
whose width grows with it. That is what is computed here, by Fresnel propagation of the wave behind
the cells (Goodman, *Introduction to Fourier Optics*, chapters 4 and 6), blurred as a condenser of
finite aperture does; then the illumination, dust, and a camera's shot and read noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

if TYPE_CHECKING:
    from napari_attmil.simulation.appearance import Appearance

_WAVELENGTH_UM: Final = 0.55
_INDEX_DIFFERENCE: Final = 0.06  # between a red cell (1.40) and plasma (1.34)
_NUMERICAL_APERTURE: Final = 1.25  # 100x oil immersion
_SHARPENED_PX: Final = 1.5
_RING_TRANSMISSION: Final = 0.5  # amplitude of light that the ring of phase contrast lets through
_RING_PER_UM: Final = 0.04  # spatial frequencies that pass the ring: slopes wider than 25 um


def expose(
    thickness_um: NDArray[np.float32],
    pixel_size_um: float,
    margin_px: int,
    appearance: Appearance,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Take a photograph of a specimen.

    Parameters
    ----------
    thickness_um : (layers, Y + 2 margin, X + 2 margin) float32
        Optical thickness, with a margin around the image, as what lies there affects the image too.
        Layers are evenly spaced between `-appearance.height_spread_um` and plus the same.
    pixel_size_um
        Edge of a pixel.
    margin_px
        Width of that margin.
    appearance
        Focus, light, noise.
    rng
        Decides on dust, unevenness of the focus and noise.

    Returns
    -------
    (Y, X) uint8
    """
    layers_um = thickness_um.copy()
    layers_um[0] += _debris(thickness_um.shape[1:], pixel_size_um, appearance.debris, rng)
    light = _defocused(layers_um, pixel_size_um, appearance, rng)
    light = light[margin_px : light.shape[0] - margin_px, margin_px : light.shape[1] - margin_px]
    light = light * illumination(light.shape, appearance)
    _add_dust(light, appearance.dust, rng)
    if appearance.mottle > 0:
        light = light * (1 + appearance.mottle * _film(light.shape, 1 / pixel_size_um, rng))
    shot_variance = appearance.shot_noise**2 * np.maximum(light, 0) / 255
    deviation = np.sqrt(appearance.read_noise**2 + shot_variance).astype(np.float32)
    light = light + deviation * rng.standard_normal(light.shape, dtype=np.float32)
    if appearance.sharpening > 0:
        blurred = ndimage.gaussian_filter(light, _SHARPENED_PX)
        light = light + np.float32(appearance.sharpening) * (light - blurred)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def illumination(shape: tuple[int, ...], appearance: Appearance) -> NDArray[np.float32]:
    """Grey level of the empty field, (Y, X) float32."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    slope = 1 + appearance.gradient_x * x + appearance.gradient_y * y
    field = appearance.brightness * slope * (1 - appearance.vignetting * (x * x + y * y) / 2)
    return np.asarray(field, dtype=np.float32)


def _defocused(
    layers_um: NDArray[np.float32],
    pixel_size_um: float,
    appearance: Appearance,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Relative intensity of the defocused specimen, 1 where it is empty."""
    height, width = layers_um.shape[1:]
    shape = (fft.next_fast_len(height), fft.next_fast_len(width))
    phase = 2 * np.pi / _WAVELENGTH_UM * _INDEX_DIFFERENCE * appearance.contrast
    delay = np.complex64(1j * phase - appearance.absorption_per_um / 2)
    # The undisturbed light is left out: it is 1 everywhere, also where the array is padded.
    spectra = [fft.fft2(np.exp(delay * layer_um) - 1, shape) for layer_um in layers_um]
    near, far = (
        _propagated(spectra, pixel_size_um, appearance.defocus_um + stray_um, appearance)
        for stray_um in (-appearance.defocus_spread_um, appearance.defocus_spread_um)
    )
    share = rng.uniform(0, 1, (4, 4)).astype(np.float32)
    factors = (shape[0] / 4, shape[1] / 4)
    share = ndimage.zoom(share, factors, order=1, grid_mode=True, mode="nearest")
    return np.asarray((near + (far - near) * share)[:height, :width], dtype=np.float32)


def _propagated(
    spectra: Sequence[NDArray[np.complex64]],
    pixel_size_um: float,
    defocus_um: float,
    appearance: Appearance,
) -> NDArray[np.float32]:
    """Intensity in a plane `defocus_um` away; each spectrum is that of a layer's wave minus 1.

    Layers do not shade each other (the first Born approximation): cells hardly overlap.
    """
    frequency_y = fft.fftfreq(spectra[0].shape[0], pixel_size_um).astype(np.float32)[:, None]
    frequency_x = fft.fftfreq(spectra[0].shape[1], pixel_size_um).astype(np.float32)[None, :]
    cutoff = _NUMERICAL_APERTURE / _WAVELENGTH_UM
    squared = frequency_x**2 + frequency_y**2
    tilt = appearance.tilt_x * frequency_x + appearance.tilt_y * frequency_y
    pupil = (1 + tilt / np.float32(cutoff)) * np.exp(-((squared / np.float32(cutoff**2)) ** 2))
    wave = np.complex64(1)
    if appearance.phase_ring_rad:
        # The ring also catches the cells' own low frequencies; that gives their halo.
        ring = np.complex64(_RING_TRANSMISSION * np.exp(1j * appearance.phase_ring_rad))
        wave = ring
        pupil = pupil * (1 + (ring - 1) * np.exp(-squared / np.float32(_RING_PER_UM**2)))
    spread_um = appearance.height_spread_um
    heights_um = np.linspace(-spread_um, spread_um, len(spectra)).tolist()
    for spectrum, height_um in zip(spectra, heights_um, strict=True):
        path_um = defocus_um + height_um
        fresnel = np.exp(np.complex64(-1j * np.pi * _WAVELENGTH_UM * path_um) * squared)
        wave = wave + fft.ifft2(spectrum * (pupil * fresnel))
    intensity = (wave.real**2 + wave.imag**2).astype(np.float32)
    if appearance.phase_ring_rad:
        intensity /= np.float32(_RING_TRANSMISSION**2)
    coherence_px = appearance.condenser_angle_rad * defocus_um / pixel_size_um
    blur_px = np.hypot(coherence_px, appearance.blur_px)
    return np.asarray(ndimage.gaussian_filter(intensity, blur_px), dtype=np.float32)


def _film(
    shape: tuple[int, ...], px_per_um: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Uneven transmission of mean 0 and standard deviation 1, in blotches of 0.5 to 3 um."""
    film = np.zeros(shape, dtype=np.float32)
    for size_um in (0.5, 1.2, 3.0):
        grain = rng.standard_normal(shape, dtype=np.float32)
        blotches = ndimage.gaussian_filter(grain, size_um * px_per_um, mode="wrap")
        film += rng.uniform(0.2, 1) * blotches / blotches.std()
    return np.asarray(film / film.std(), dtype=np.float32)


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
    """Add `count` soft spots to the image, in place: most dark, some bright, some rings."""
    for _ in range(count):
        radius_px = rng.uniform(0.008, 0.06) * min(light.shape)
        window, squared = _window(light, radius_px, 2.0, rng)
        depth = rng.uniform(0.02, 0.15) * (1 if rng.random() < 0.7 else -0.5)
        ring = 1 - rng.uniform(0, 1.5) * np.exp(-3 * squared)
        light[window] *= (1 - depth * np.exp(-(squared**1.5)) * ring).astype(np.float32)


def _window(
    image: NDArray[np.float32], radius_px: float, reach: float, rng: np.random.Generator
) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """Draw a place; return the window within `reach` radii of it and (distance / radius)^2."""
    centre_y, centre_x = rng.uniform(0, image.shape[0]), rng.uniform(0, image.shape[1])
    half_px = int(np.ceil(reach * radius_px))
    rows = slice(max(0, int(centre_y) - half_px), int(centre_y) + half_px + 2)
    columns = slice(max(0, int(centre_x) - half_px), int(centre_x) + half_px + 2)
    y = (np.arange(image.shape[0])[rows] - centre_y)[:, None]
    x = (np.arange(image.shape[1])[columns] - centre_x)[None, :]
    return (rows, columns), (y * y + x * x) / radius_px**2
