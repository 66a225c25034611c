"""What an analog matrix-multiply unit does to a product, as arrays: the definition that every engine must reproduce.

A product `x @ w` with inner length K is cut into T blocks of R rows, the inputs a tile takes at once. Each block of an
input vector shares one scale (block floating point), each column of a block of weights another (ABFP: Basumallik et
al., arXiv 2205.06287). The light then adds up R products of integers, and every such *partial sum* passes the detector,
its noise, and one analog-to-digital conversion before the digital accumulation:

    q[m,k]  = round(x[m,k] · L_x / s_x[m,t])                       DAC,  s_x = max |x| over the block, in bfloat16
    p[m,n]  = Σ_k q[m,k] · levels[t,k,n]                           light: an exact sum of integers
    a[m,n]  = Σ_k |q[m,k]| · |levels[t,k,n]|                       all the light on the two rails: sets the shot noise
    b[m]    = Σ_k q[m,k]²                                          what the noise of each weight at each reading goes by
    v[m,n]  = p · gain[t,n] · (1 + intensity_rms · i[m, n // columns])      laser, detector and amplifier, in ADC codes
              + offset[t,n] + sqrt(noise_variance[t,n] + a · shot_variance[t,n] + b · square_variance[t,n]) · z[m,n]
              + common_mode_codes · c[m, n // columns]
    v[m,n] += L_adc (bend(v / L_adc) + inl[t,n](v / L_adc))    line of amplifier and converter, where it is not straight
    y[m,n] += round(v, clipped to the ADC's codes) · scale[t,n] · s_x[m,t]

`z`, `c` and `i` are standard normal deviates that depend on (key, t, m, n) alone: see `noise.py`. The order of the
operations is part of the definition: every sum below has exactly one product as an operand, so a compiler that
contracts `a*b + c` into a fused multiply-add gives the same bits wherever it does so, in XLA or in Numba. Bent lines
have no fast twin: such products run here.
"""

from collections.abc import Callable

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Num, UInt32

from photonsim.converters.nonlinearity import Bend, bridge
from photonsim.converters.quantizer import full_scale_code, quantize
from photonsim.tiles.noise import INTENSITY, gaussian_deviates, shared_deviates, tile_keys

SMALLEST_SCALE = 2.0**-100  # a block whose largest magnitude is below this counts as zero: no converter ranges that far


class Readout(eqx.Module):
    """The settings of a product that are known when it is compiled.

    `input_bits`, `adc_bits`: resolutions, `None` for ideal. `columns`: width of a tile, the columns that share one
    common-mode disturbance and one fluctuation of the light. `noise`, `shot_noise`, `common_mode`, `intensity_noise`,
    `square_noise`: whether each of the five is on at all.
    """

    input_bits: int | None = eqx.field(static=True)
    adc_bits: int | None = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    noise: bool = eqx.field(static=True)
    shot_noise: bool = eqx.field(static=True)
    common_mode: bool = eqx.field(static=True)
    intensity_noise: bool = eqx.field(static=True, default=False)
    square_noise: bool = eqx.field(static=True, default=False)

    @property
    def noisy(self) -> bool:
        """Whether readings of the same light differ from column to column."""
        return self.noise or self.shot_noise or self.square_noise


class Shared(eqx.Module):
    """What disturbs all columns of a tile alike at one reading, as standard deviations.

    `common_mode_codes`: added to the readings, ADC codes. `intensity_rms`: of the light, relative to it. `bend`: of all
    readings, `None` for a straight line.
    """

    common_mode_codes: Float[Array, ""] | float
    intensity_rms: Float[Array, ""] | float = 0.0
    bend: Bend | None = None


class Programmed(eqx.Module):
    """A weight matrix (K, N) as it sits in the tiles: T blocks of R rows. Every array may have leading batch axes.

    `levels` are integers, held as floats while gradients are wanted and, stored for reuse (`compact`), as int8 up to 8
    bits or int16 up to 16; real-valued for ideal or disturbed cells. Rows beyond K are zero. The other arrays are per
    block and column; see the equations in the module's header.
    """

    levels: Num[Array, "*b t r n"]
    gain: Float[Array, "*b t n"]  # ADC codes per unit of the integer sum p
    offset: Float[Array, "*b t n"]  # ADC codes
    noise_variance: Float[Array, "*b t n"]  # ADC codes squared
    shot_variance: Float[Array, "*b t n"]  # ADC codes squared per unit of the sum of magnitudes a
    scale: Float[Array, "*b t n"]  # output units per ADC code, for an input block of scale 1
    square_variance: Float[Array, "*b t n"] | None = None  # ADC codes squared per unit of the sum of squares b
    inl: Float[Array, "*b t n j"] | None = None  # waves of each converter's line, parts of its full scale

    def compact(self, weight_bits: int | None) -> "Programmed":
        """The same tiles with their integer levels stored in the narrowest type; `None` bits stay floats."""
        if weight_bits is None:
            return self
        narrow = jnp.int8 if weight_bits <= 8 else jnp.int16
        return eqx.tree_at(lambda tiles: tiles.levels, self, self.levels.astype(narrow))


def split_blocks(values: Float[Array, "..."], rows: int, axis: int) -> Float[Array, "..."]:
    """Cut a negative `axis` into blocks of `rows`, the last one filled up with zeros: (…, k, …) to (…, t, r, …)."""
    length = values.shape[axis]
    blocks = -(-length // rows)
    padding = [(0, 0)] * values.ndim
    padding[axis] = (0, blocks * rows - length)
    place = values.ndim + axis
    return jnp.pad(values, padding).reshape(*values.shape[:place], blocks, rows, *values.shape[place + 1 :])


def block_scales(blocks: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
    """Largest magnitude along the `axis` of a block, kept with length 1: rounded to bfloat16; 0 if all but zero.

    A block that holds a NaN or an infinity gets the scale NaN, which carries on to its row of the result and no other.
    """
    magnitude = jax.lax.stop_gradient(jnp.abs(blocks).max(axis=axis, keepdims=True))
    scale = magnitude.astype(jnp.bfloat16).astype(blocks.dtype)
    scale = jnp.where(scale < SMALLEST_SCALE, 0.0, scale)
    return jnp.where(jnp.isfinite(scale), scale, jnp.nan)


def encode(blocks: Float[Array, "..."], scales: Float[Array, "..."], bits: int | None) -> Float[Array, "..."]:
    """Codes of blocks under their scales; a block of scale 0 is all zeros, also of 1 bit, which has no code for it."""
    per_unit = jnp.where(scales > 0, full_scale_code(bits) / jnp.where(scales > 0, scales, 1.0), 0.0)
    codes = quantize(blocks * per_unit, bits)
    return jnp.where(scales == 0, 0.0, codes) if bits == 1 else codes


def has_bent_lines(programmed: Programmed, shared: Shared) -> bool:
    """Whether readings go by a line that is not straight, which only the definition knows."""
    return shared.bend is not None or programmed.inl is not None


def convert(value: Float[Array, "m n"], tile: Programmed, readout: Readout, shared: Shared) -> Float[Array, "m n"]:
    """ADC codes of analog readings: along the line of amplifier and converter, then rounded."""
    limit = full_scale_code(readout.adc_bits)
    parts = value / limit
    if shared.bend is not None:
        value = value + limit * shared.bend.added(parts)
    if tile.inl is not None:
        value = value + limit * bridge(parts, tile.inl)
    return quantize(value, readout.adc_bits)


def read_partial_sums(
    q: Float[Array, "m r"],
    tile: Programmed,
    readout: Readout,
    shared: Shared,
    key_data: UInt32[Array, "2"],
    row_offset: UInt32[Array, ""] | int,
) -> Float[Array, "m n"]:
    """ADC codes of one block: the inputs `q` (codes) against one programmed tile, with the key of that tile."""
    return convert(analog_readings(q, tile, readout, shared, key_data, row_offset), tile, readout, shared)


def analog_readings(
    q: Float[Array, "m r"],
    tile: Programmed,
    readout: Readout,
    shared: Shared,
    key_data: UInt32[Array, "2"],
    row_offset: UInt32[Array, ""] | int,
) -> Float[Array, "m n"]:
    """What the converters of one block are given, in ADC codes."""
    levels = tile.levels.astype(q.dtype)
    light = dot(jnp.abs(q), jnp.abs(levels)) if readout.shot_noise else None
    squares = jnp.sum(q * q, axis=-1, keepdims=True) if readout.square_noise else None
    sums = Sums(dot(q, levels), light, squares)
    rows, columns = q.shape[0], levels.shape[1]
    deviates = gaussian_deviates(key_data, rows, columns, row_offset) if readout.noisy else None
    factor = intensity(readout, shared, key_data, rows, columns, row_offset) if readout.intensity_noise else None
    common = None
    if readout.common_mode:
        common = shared_deviates(key_data, rows, columns, readout.columns, row_offset, shared.common_mode_codes)
    return disturbed(sums, Draws(deviates, factor, common), tile, positive_root)


class Sums(eqx.Module):
    """What the light of one block adds up to: `p`, `a` and `b` of the module's header, `None` if not wanted."""

    signal: Float[Array, "..."]
    light: Float[Array, "..."] | None
    squares: Float[Array, "..."] | None


class Draws(eqx.Module):
    """What is drawn for each reading: the deviate `z`, the light over its mean, and what is added to all of a tile."""

    deviates: Float[Array, "..."] | None
    intensity: Float[Array, "..."] | None
    common: Float[Array, "..."] | None


def disturbed(sums: Sums, draws: Draws, tile: Programmed, root: Callable) -> Float[Array, "..."]:
    """Analog readings in ADC codes, before any bend: element by element, so in whatever shape an engine holds them.

    `root`: `positive_root`, or the identity if the roots of constant variances are taken already.
    """
    signal = sums.signal * tile.gain
    if draws.intensity is not None:
        signal = signal * draws.intensity
    value = signal + tile.offset
    if draws.deviates is not None:
        variance = tile.noise_variance
        if sums.light is not None:
            variance = sums.light * tile.shot_variance + variance
        if sums.squares is not None:
            assert tile.square_variance is not None
            variance = sums.squares * tile.square_variance + variance
        value = root(variance) * draws.deviates + value
    if draws.common is not None:
        value = value + draws.common
    return value


def positive_root(variance: Float[Array, "..."]) -> Float[Array, "..."]:
    """Square root, with a gradient of zero where the variance is zero."""
    some = variance > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, variance, 1.0)), 0.0)


def intensity(
    readout: Readout, shared: Shared, key_data: UInt32[Array, "2"], rows: int, columns: int, row_offset
) -> Float[Array, "{rows} {columns}"]:
    """The light of each row and tile over its mean: 1 + intensity_rms · i."""
    return 1 + shared_deviates(key_data, rows, columns, readout.columns, row_offset, shared.intensity_rms, INTENSITY)


def dot(q: Float[Array, "m r"], levels: Float[Array, "r n"]) -> Float[Array, "m n"]:
    """Float product at full precision (a GPU must not drop to TF32): exact while the integer sum is below 2^24."""
    return jnp.matmul(q, levels, precision=jax.lax.Precision.HIGHEST)


def analog_matmul(
    x: Float[Array, "m k"],
    programmed: Programmed,
    readout: Readout,
    shared: Shared,
    key_data: UInt32[Array, "2"],
    row_offset: UInt32[Array, ""] | int = 0,
) -> Float[Array, "m n"]:
    """`x @ w` as the programmed tiles answer it: the equations of the module's header, one block after another.

    `key_data` are the two words of a JAX key; `shared` what disturbs the columns of a tile alike; `row_offset` the
    number of the first row of `x` in the noise stream, so that a batch cut in two gives the same rows. Differentiable:
    rounding passes gradients straight through.
    """
    blocks, rows, columns = programmed.levels.shape
    inputs = split_blocks(x, rows, axis=-1)  # (m, t, r)
    scales = block_scales(inputs, axis=-1)  # (m, t, 1)
    codes = encode(inputs, scales, readout.input_bits)
    if readout.input_bits == 1:  # which has no code for zero: rows that the matrix does not fill are dark all the same
        codes = codes * split_blocks(jnp.ones(x.shape[-1:], x.dtype), rows, axis=-1)

    def add_block(total, block):
        tile_key, q, s_x, tile = block
        code = read_partial_sums(q, tile, readout, shared, tile_key, row_offset)
        return (code * tile.scale) * s_x + total, None

    steps = (tile_keys(key_data, blocks), codes.swapaxes(0, 1), scales.swapaxes(0, 1), programmed)
    total, _ = jax.lax.scan(add_block, jnp.zeros((x.shape[0], columns), x.dtype), steps)
    return total


def batched_analog_matmul(x, programmed, readout, shared, key_data, row_offset):
    """`analog_matmul` over a leading batch axis of `x`, `programmed` and `key_data`, if there is one."""

    def one(operands):
        x, programmed, key_data = operands
        return analog_matmul(x, programmed, readout, shared, key_data, row_offset)

    operands = (x, programmed, key_data)
    return one(operands) if x.ndim == 2 else jax.lax.map(one, operands)
