"""Effective bits of a full-scale reading, from the description alone: what a chip's own noises leave of its label bits.

A converter is measured with a sine that just fills its range. So is a column here: with a half-span of S full-scale
products,

    SNDR = (1/2) / (n² e^{2s²} + c² + LSB²/12 + σ_i² / (S i₁)²)            ENOB = (SNDR_dB − 1.76) / 6.02

n is the measured noise over full scale with its log-normal spread s over the columns, c the disturbance that columns
share, σ_i² the receiver's noise budget with the laser's intensity noise in it, and i₁ the photocurrent of one product.

The light is that of the sum itself and of the products that cancel in it, for numbers whose root mean square is
`INPUT_RMS`. Left out: errors that repeat (gain, offset, rounding of inputs and weights), which calibration may
take away and a published figure may hold.
"""

import dataclasses
import math

from jax import numpy as jnp

from photonsim.chip import Chip
from photonsim.converters.adc import INPUT_RMS
from photonsim.tiles import Crossbar

MEAN_PRODUCT = 2 / math.pi * INPUT_RMS**2  # mean |x w| of two independent normal variables


def full_scale_enob(chip: Chip) -> float | None:
    """Effective bits of a full-scale reading; infinite without noise and rounding, `None` if not of a `Crossbar`."""
    tile = chip.tile
    if not isinstance(tile, Crossbar):
        return None
    spread, common_mode = float(tile.die.noise_spread), float(tile.die.common_mode_rms)
    measured = float(tile.adc.noise_rms) ** 2 * math.exp(2 * spread**2)
    noise_rms = math.sqrt(measured + common_mode**2 + _light_variance(tile))
    return dataclasses.replace(tile.adc, noise_rms=noise_rms).noise_limited_enob


def _light_variance(tile: Crossbar) -> float:
    """Variance of the receiver's current under a full-scale sum, over that sum's current squared."""
    weights = jnp.full((1, tile.rows, 1), INPUT_RMS)
    span = float(tile.adc.full_scale(tile.rows, weights)[0, 0])
    cancelling = max(0.0, tile.rows * MEAN_PRODUCT - span) / 2
    plus_w, minus_w = ((products + cancelling) * tile.power_per_mac_w for products in (span, 0.0))
    budget = tile.receiver.noise_budget(plus_w, tile.clock_hz / 2, tile.laser.rin_per_hz, minus_w)
    variance = float(budget.variance_a2)
    return variance and variance / float(budget.signal_a) ** 2  # a noiseless chip may have no light either
