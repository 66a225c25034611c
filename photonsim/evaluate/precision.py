"""Effective bits of a full-scale reading, from the description alone: what a chip's own noises leave of its label bits.

A converter is measured with a sine that just fills its range. So is a column here: with a half-span of S full-scale
products,

    SNDR = (1/2) / (n² e^{2s²} + c² + LSB²/12 + V/S²)            ENOB = (SNDR_dB − 1.76) / 6.02

n is the measured noise over full scale with its log-normal spread s over the columns, c the disturbance that columns
share, and V the variance that light and receivers add to a full-scale sum, in products squared. With r the relative
intensity noise in a reading's bandwidth, b² the background of dark current and amplifier, N electrons in a product:

    incoherent, time-integrating   V = p b² + L / N + r S² / p      L, light: the sum's, that of products that cancel,
                                   and of cells at a weight of zero; p passes at full scale: n² and c² come p times
                                   (signs on differential rails or in two passes, modulators that shut)
    balanced detection             V = b² + L / 2N + v Σ x² w² + (σ_out S)² + r S²            L = Σ (x² + w²) / 2
    mesh                           V = b² + r S²                    the oscillators' shot noise is part of b²
    residues                       V = b² + L / N + g σ² S²         of a quadrature, with errors σ of g phases

The light is that of numbers one of which is at full scale and the others normal with the root mean square `INPUT_RMS`,
and more where the sum asks for it. Any other tile
is measured as it stands, by readings of its own (`measured_noise_rms`); tests hold these laws against the same.

Left out: errors that repeat (gain, offset, rounding of inputs and weights), which calibration may take away and a
published figure may hold.
"""

import dataclasses
import math
from functools import singledispatch
from operator import attrgetter

import jax
import numpy as np
from jax import numpy as jnp

from photonsim.chip import Chip, override
from photonsim.converters.adc import INPUT_RMS
from photonsim.devices import Receiver
from photonsim.tiles import AbstractTile, Die, Mesh, Residue, Sliced, TimeIntegrating
from photonsim.tiles.balanced_detection import AbstractBalancedTile
from photonsim.tiles.encodings import Differential, OffsetProgrammed, TwoPass
from photonsim.tiles.incoherent import AbstractIncoherentTile

MEAN_MAGNITUDE = math.sqrt(2 / math.pi)  # mean |z| of a normal number z of root mean square 1
READINGS = 256  # of each column that is measured: its RMS is known to 4 %, 0.06 bits, and that of all to 0.02
MEASURED_COLUMNS = 16


def full_scale_enob(chip: Chip) -> float:
    """Effective bits of a full-scale reading; infinite without noise and rounding."""
    if isinstance(chip.tile, Sliced):  # those of one pass
        return full_scale_enob(dataclasses.replace(chip, tile=chip.tile.inner))
    light = light_variance(chip.tile)
    adc, die = attrgetter("adc")(chip.tile), getattr(chip.tile, "die", Die())
    if light is None:
        noise_rms = measured_noise_rms(chip)
    else:
        measured = float(adc.noise_rms) ** 2 * math.exp(2 * float(die.noise_spread) ** 2)
        noise_rms = math.sqrt(_passes(chip.tile) * (measured + float(die.common_mode_rms) ** 2) + light)
    return dataclasses.replace(adc, noise_rms=noise_rms).noise_limited_enob


@singledispatch
def light_variance(tile: AbstractTile) -> float | None:
    """V/S²: what light and receivers add to a full-scale reading, over its square; `None` without a closed form."""
    return None


@light_variance.register
def _(tile: AbstractIncoherentTile) -> float | None:
    if tile.modulator.leaks or tile.noisy_cells or not isinstance(tile.encoding, Differential | TwoPass):
        return None
    products, always = tile.cell_light
    light = always * tile.rows * MEAN_MAGNITUDE * _rms(tile.rows)
    return _detected(tile, products, light, symbols=1) + _intensity(tile, 1) / _passes(tile)


@light_variance.register
def _(tile: TimeIntegrating) -> float | None:
    if tile.modulator.leaks:
        return None
    return _detected(tile, 1.0, 0.0, tile.terms_per_readout) + _intensity(tile, tile.terms_per_readout)


def _detected(tile: AbstractIncoherentTile | TimeIntegrating, products: float, always, symbols: int) -> float:
    """Background and shot noise over S², of `products` of the light of the products and what is `always` there."""
    terms, rms = tile.terms_per_readout, _rms(tile.terms_per_readout)
    span = _span(tile, rms)
    light = products * max(span, terms * (MEAN_MAGNITUDE * rms) ** 2) + float(always)
    shot = light / float(tile.electrons_per_mac) if tile.receiver.shot_noise else 0.0
    background = symbols * float(tile.background_variance) if _has_background(tile.receiver) else 0.0
    return (_passes(tile) * background + shot) / span**2


def _passes(tile: AbstractTile) -> int:
    """Readings of one output."""
    return tile.encoding.passes if isinstance(tile, AbstractIncoherentTile) else 1


@light_variance.register
def _(tile: AbstractBalancedTile) -> float:
    terms, meeting, rms = tile.terms_per_readout, tile.interference, _rms(tile.terms_per_readout)
    span = _span(tile, rms)
    brightness = max(span, terms * rms**2)  # Σ (x² + w²) / 2 is at least Σ x w
    shot = brightness / (2 * float(tile.electrons_per_operand)) if tile.receiver.shot_noise else 0.0
    products = brightness**2 / terms * float(meeting.product_variance) if meeting.relative_noise else 0.0
    relative = float(meeting.output_sigma) ** 2 if meeting.relative_noise else 0.0
    background = float(tile.background_variance) if _has_background(tile.receiver) else 0.0
    variance = background + shot + products
    return variance / span**2 + relative + _intensity(tile, tile.symbols_per_readout)


@light_variance.register
def _(tile: Mesh) -> float:
    levels = 1 / (math.sqrt(tile.rows) + math.sqrt(tile.columns))  # of normal numbers over their largest singular value
    noisy = tile.receiver.shot_noise or _has_background(tile.receiver)
    return (float(tile.noise_variance) / _span(tile, levels) ** 2 if noisy else 0.0) + _intensity(tile, 1)


@light_variance.register
def _(tile: Residue) -> float:
    receiver = tile.receiver
    noisy = receiver.shot_noise or _has_background(receiver)
    light = float(tile.quadrature_variance) - float(tile.adc.noise_rms) ** 2 if noisy else 0.0
    return light + tile.rows * float(tile.phase_sigma_rad) ** 2


def _rms(count: int) -> float:
    """Root mean square of `count` numbers: normal but for one at full scale."""
    return math.sqrt(INPUT_RMS**2 + (1 - INPUT_RMS**2) / count)


def _span(tile, weight_rms: float) -> float:
    """S: the converter's half-span in full-scale products, for weights of a root mean square."""
    return float(
        tile.adc.full_scale(tile.terms_per_readout, jnp.full((1, tile.terms_per_readout, 1), weight_rms))[0, 0]
    )


def _has_background(receiver: Receiver) -> bool:
    return receiver.tia_noise_a_per_sqrt_hz != 0 or receiver.dark_current_a != 0


def _intensity(tile, symbols: int) -> float:
    """r: intensity noise of the laser in the bandwidth of a reading of some symbols."""
    return 0.0 if tile.laser.is_noiseless else float(tile.laser.rin_per_hz * tile.clock_hz / 2 / symbols)


def measured_noise_rms(chip: Chip) -> float:
    """Noise of full-scale readings over their full scale, by the chip's own products with an ideal converter.

    Weights are normal numbers, one of them the largest of its column. The inputs of each measured column lean on its
    weights as far as it takes for the sum to fill the range of the converter, or entirely where even that does not.
    """
    quiet = override(chip, {"adc.bits": "none"})
    terms, columns = chip.tile.terms_per_readout, min(chip.tile.columns, MEASURED_COLUMNS)
    rng = np.random.default_rng(0)
    w = _normal(rng, (terms, columns))
    programmed = quiet.program(jnp.asarray(w))
    readings = programmed.cells if isinstance(programmed, OffsetProgrammed) else programmed
    span = np.asarray(readings.scale)[0]
    lean = np.minimum(1.0, span / np.sum(w**2, axis=0))
    x = lean * w + np.sqrt(1 - lean**2) * _normal(rng, w.shape)
    x = (x / np.abs(x).max(axis=0)).T
    y = quiet.matmul(jnp.asarray(np.repeat(x, READINGS, axis=0)), programmed, jax.random.key(0), "jax")
    own = np.asarray(y).reshape(columns, READINGS, columns)[range(columns), :, range(columns)]
    return float(np.sqrt(np.mean(own.var(axis=1, ddof=1) / span**2)))


def _normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Normal numbers of the root mean square `INPUT_RMS`, within ±1, and a 1 in each column."""
    numbers = np.clip(INPUT_RMS * rng.normal(size=shape), -1, 1).astype(np.float32)
    numbers[0] = 1.0
    return numbers
