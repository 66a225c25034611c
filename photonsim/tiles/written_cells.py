"""From a matrix to cells that hold it: codes, what the cells make of them, and the reading of every column."""

import dataclasses
import functools
from typing import TYPE_CHECKING, NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import full_scale_code
from photonsim.tiles.die import DieColumns
from photonsim.tiles.partial_sums import Programmed, block_scales, encode, split_blocks
from photonsim.tiles.readout import set_readout

if TYPE_CHECKING:
    from photonsim.tiles.incoherent import AbstractIncoherentTile


class Known(NamedTuple):
    """What is known before a tile's numbers are traced, since it decides what is compiled.

    `input_bits` of the readout; `exact`: whether cells hold what they are given; `sound`: whether none errs; `noisy`:
    whether they change from reading to reading; `leaks`: whether light that modulators cannot shut off is noise.
    """

    cores: int
    input_bits: int | None
    exact: bool
    sound: bool
    noisy: bool
    leaks: bool


class WrittenCells(NamedTuple):
    """What cells make of the codes that they were given.

    `signal`: the light of the plus diode less that of the minus, as a code; real where cells are not exact. `light`: of
    both together, in the same unit. `correction`: by which the digital side multiplies each column's reading.
    `reading_variance`: of the signal from one reading to the next, codes squared; `None` where it stays.
    """

    signal: Float[Array, "*b t r n"]
    light: Float[Array, "*b t r n"]
    correction: Float[Array, "*b t n"] | float = 1.0
    reading_variance: Float[Array, "*b t r n"] | None = None


@functools.partial(jax.jit, static_argnames="known")
def program_cells(
    tile: "AbstractIncoherentTile",
    w: Float[Array, "*b k n"],
    scales: Float[Array, "*b t 1 n"] | None,
    columns: DieColumns,
    known: Known,
) -> Programmed:
    """Weights (k, n) in the cells of known physical columns, compiled as one piece."""
    blocks = split_blocks(w, tile.rows, axis=-2)  # (..., t, r, n)
    scales = block_scales(blocks, axis=-2) if scales is None else scales  # (..., t, 1, n)
    full = full_scale_code(tile.cell.bits)
    written = tile.write_cells(encode(blocks, scales, tile.cell.bits), known)
    if not known.sound:
        written = _with_errors(tile, written, full, known)
    return set_columns(tile, written, scales[..., 0, :], full, columns, known, w.shape[-2])


def _with_errors(tile: "AbstractIncoherentTile", written: WrittenCells, full: int, known: Known) -> WrittenCells:
    """The light of cells that differ, or do not answer."""
    dead = tile.dead_signal(written.light)
    hold = functools.partial(
        tile.cell_errors.hold, seed=tile.die.seed, cores=known.cores, columns=tile.columns, references=False
    )
    signal = hold(written.signal, full, rest=dead)
    light = hold(written.light, written.light, rest=jnp.abs(dead))
    return written._replace(signal=signal, light=light)


def set_columns(
    tile: "AbstractIncoherentTile",
    written: WrittenCells,
    scales: Float[Array, "*b t n"],
    full: int,
    columns: DieColumns,
    known: Known,
    inner: int,
) -> Programmed:
    """Columns of written cells, of which `full` passes all light, for weights of which `inner` rows are used."""
    signal, light = (jax.lax.stop_gradient(values) / full for values in (written.signal, written.light))
    programmed = set_readout(
        _rows_of_diodes(tile, written),
        scales * written.correction,
        tile.adc.full_scale(tile.rows, signal),
        float(full_scale_code(known.input_bits) * full),
        tile.adc,
        columns,
        variance=tile.background_variance + (tile.leak_variance(light) if known.leaks else 0.0),
        shot_variance=1.0 / tile.electrons_per_mac if tile.shot_noise else 0.0,
    )
    if written.reading_variance is None:
        return programmed
    used = split_blocks(jnp.ones((inner, 1), signal.dtype), tile.rows, axis=-2)  # (t, r, 1)
    mean = jnp.sum(written.reading_variance * used, axis=-2) / jnp.sum(used, axis=-2)
    groups = 2 if tile.splits_rows else 1  # of rows, each of which counts the inputs' squares
    squares = programmed.gain**2 * jax.lax.stop_gradient(mean) / groups
    return dataclasses.replace(programmed, square_variance=squares)


def _rows_of_diodes(tile: "AbstractIncoherentTile", written: WrittenCells) -> Float[Array, "*b t s n"]:
    """Levels to store: plus less minus; where the light of both counts, plus and −minus, below each other."""
    if not tile.splits_rows:
        return written.signal
    signal, light = written.signal, written.light
    return jnp.concatenate([(signal + light) / 2, (signal - light) / 2], axis=-2)
