"""Calibration as code: known vectors through the chip's own tiles, with all their noise, and what a fit makes of them.

Every column is driven with n known sums S, and read as `v = g S + o + noise` before any correction. Least squares give
its gain and offset, and the digital side divides by the one and takes off the other. With readings of noise σ,

    Var[ĝ] = σ² / (n ⟨S²⟩)            Var[ô] = σ² / n            for sums of both signs

so the error of a calibrated column falls as 1/√n, down to what rounding repeats. It is not free: n symbols on every
tile, their conversions, and the writing of the pattern. And it ages: a gain that walks by σ_w √t (`tiles/drift.py`) is
off by `σ²/(n ⟨S²⟩) + σ_w² t/2` in the mean square over an interval t between calibrations. If a share f of all time may
go into calibration, n grows with t, and there is a best interval: `t* = √(2 σ² τ / (f ⟨S²⟩)) / σ_w` for symbols of τ.

What a calibration cannot tell: cells that differ within a column, and a laser that has become dimmer for all.
"""

import dataclasses

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp

from photonsim.chip.chip import Chip
from photonsim.converters import full_scale_code
from photonsim.errors import PhotonsimError, check_count
from photonsim.events import EventCounts
from photonsim.tiles import Crossbar
from photonsim.tiles.correction import AbstractCorrection, MeasuredCorrection, NoCorrection

FILLED = (0.2, 0.8)  # of a converter's half-span: the magnitudes of the sums
FEWEST_READINGS = 4


class Calibration(eqx.Module):
    """What a calibration found, and what it took.

    - `correction`: gain and offset of every column.
    - `events`: what happened on the chip meanwhile; `photonsim.cost.energy.price` has the bill.
    - `seconds`: for how long the chip did nothing else.
    """

    correction: MeasuredCorrection
    events: EventCounts
    seconds: float

    def apply(self, chip: Chip) -> Chip:
        """The chip with this correction."""
        return _corrected(chip, self.correction)


def calibrate(chip: Chip, readings: int, seed: int = 0) -> Calibration:
    """Measure every column of a crossbar chip with `readings` known vectors; `seed` draws vectors and noise.

    All cores at once, each with one tile of weights ±1 (all 1 where there is no reference column to tell apart).
    """
    tile = chip.tile
    if not isinstance(tile, Crossbar):
        raise PhotonsimError(f"{chip.name} has a {type(tile).__name__}: calibrate() knows the columns of a crossbar.")
    check_count("readings", readings)
    if readings < FEWEST_READINGS:
        raise PhotonsimError(f"readings = {readings}: a gain and an offset take at least {FEWEST_READINGS}.")
    random = np.random.default_rng(seed)
    w = np.ones(tile.rows) if not tile.encoding.references else random.choice([-1.0, 1.0], tile.rows)
    w[0] = 0.0  # this row holds the inputs' scale at 1
    matrix = np.repeat(w[:, None], chip.cores * tile.columns, axis=1).astype(np.float32)
    span = float(tile.adc.full_scale(tile.rows, jnp.asarray(matrix[None, :, :1]))[0, 0])
    x = _vectors(random, readings, w, span, full_scale_code(tile.input_dac.bits))
    bare = _corrected(chip, NoCorrection())
    answers = bare.matmul(jnp.asarray(x), bare.program(jnp.asarray(matrix)), jax.random.key(seed), "jax")
    correction = _fit(x, w, np.asarray(answers, np.float64), span, tile, chip.cores)
    events = _events(chip.events(1, readings, tile.rows, matrix.shape[1]), readings * matrix.shape[1], tile)
    streaming_s = events.tile_cycles / chip.cores / chip.clock_hz
    return Calibration(correction, events, tile.cell.tile_write_time_s + streaming_s)


def _corrected(chip: Chip, correction: AbstractCorrection) -> Chip:
    assert isinstance(chip.tile, Crossbar)
    die = dataclasses.replace(chip.tile.die, correction=correction)
    sources = tuple((name, source) for name, source in chip.sources if name != "tile.die.correction")
    return dataclasses.replace(chip, tile=dataclasses.replace(chip.tile, die=die), sources=sources)


def _vectors(random: np.random.Generator, readings: int, w: np.ndarray, span: float, code: int) -> np.ndarray:
    """Inputs whose sums fill the range, of both signs in turn, from rows picked anew each time: (readings, rows)."""
    x = np.zeros((readings, len(w)), np.float32)
    for m in range(readings):
        sign, wanted = 1.0 - 2.0 * (m % 2), random.uniform(*FILLED) * min(span, len(w) - 1)
        lit = random.choice(np.arange(1, len(w)), size=max(1, round(wanted)), replace=False)
        level = min(wanted / len(lit), 1.0)
        x[m, lit] = sign * w[lit] * (level if code == 1 else max(round(level * code), 1) / code)
        x[m, 0] = sign
    return x


def _fit(x, w, answers, span: float, tile: Crossbar, cores: int) -> MeasuredCorrection:
    """Least squares, column by column: the sum, the sign that an offset is read with, and the reference's sum."""
    read_twice = tile.encoding.passes == 2  # an offset is read with the sign of the inputs, all of one kind
    constant = np.sign(x[:, 0]) if read_twice else np.ones(len(x))
    regressors = [x @ w, constant] + [x.sum(1)] * tile.encoding.references
    found = np.linalg.lstsq(np.stack(regressors, axis=1), answers, rcond=None)[0].reshape(-1, cores, tile.columns)
    gain, offset = found[0], found[1] / span
    reference = np.ones((cores, 1))
    if tile.encoding.references:  # y = g (S + X) − g_ref X, and the cells' offset is read doubled
        reference, offset = (gain - found[2]).mean(1, keepdims=True), offset / 2
    return MeasuredCorrection(*(jnp.asarray(each, jnp.float32) for each in (gain, offset, reference)))


def _events(product: EventCounts, answers: int, tile: Crossbar) -> EventCounts:
    """Of the product, and two digital multiply-adds with each answer for each number that is fitted."""
    return product + EventCounts(vector_operations=float(2 * (2 + tile.encoding.references) * answers))
