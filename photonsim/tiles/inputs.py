"""What the modulators make of the inputs, where it is not what the DAC was told.

A modulator bends its light against voltage. Three ways to drive it:

    "exact"          a table in front of a DAC with bits to spare: codes are equally far apart in light
    "nearest-code"   a table in front of a DAC that has only its own bits, equally far apart in voltage: a value becomes
                     the nearest of the lights that such a DAC can make, coarse where the curve is steep
    "none"           no table: the codes run straight through the voltage, and the curve bends the values

The steps of a DAC differ in width as well (`Nonlinearity`), row by row of a tile. And whatever bends the way from code
to light, where it has been measured as a whole, is a curve of its own (`Bend`), alike for all rows and signs included.

The analog product then sees real values in place of integer codes, scaled to the brightest that each block really has.
The light that a modulator cannot shut off does not depend on the value: its mean is a constant of each column, which
balanced rails cancel and an amplifier's offset takes off, and its shot noise is counted with the tile's.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Bend, Nonlinearity, full_scale_code, straight_through
from photonsim.devices import AbstractModulator
from photonsim.tiles.partial_sums import block_scales, encode, split_blocks

PREDISTORTIONS = ("exact", "nearest-code", "none")


def dac_levels(bits: int, dnl_rms, rows: int, seed) -> Float[Array, "{rows} codes"]:
    """What the codes -L … L of each row's DAC really are, in LSB; the same DAC drives a row in every core."""
    seeds = jnp.arange(rows, dtype=jnp.int32) + rows * seed
    return jax.vmap(lambda row_seed: Nonlinearity(bits, dnl_rms, row_seed).levels)(seeds)


def written_inputs(
    x: Float[Array, "*b m k"],
    bits: int | None,
    modulator: AbstractModulator,
    predistortion: str,
    levels: Float[Array, "r codes"] | None,
    rows: int,
    bend: Bend | None = None,
) -> Float[Array, "*b m k"]:
    """The inputs as light: each block of `rows` under its scale, through DAC and modulator, and scaled back.

    `levels` of `dac_levels`, or `None` for a DAC of equal steps; `bend`, or `None` for a straight way.
    Gradients pass straight through the rounding.
    """
    blocks = split_blocks(x, rows, axis=-1)  # (..., m, t, r)
    scales = block_scales(blocks, axis=-1)
    wanted = jnp.clip(encode(blocks, scales, None), -1.0, 1.0)
    limit = full_scale_code(bits)
    codes = wanted * limit
    if predistortion == "nearest-code" and bits is not None:
        codes = jnp.sign(wanted) * _nearest_code(modulator, jnp.abs(wanted), limit)
    codes = codes if bits is None else jnp.rint(codes)
    drive = codes / limit
    if levels is not None and bits is not None:
        drive = levels[jnp.arange(rows), codes.astype(jnp.int32) + limit] / limit
    light = drive
    if predistortion != "exact":
        light = jnp.sign(drive) * _bent(modulator, jnp.abs(drive))
    expected = wanted if predistortion != "none" else jnp.sign(wanted) * _bent(modulator, jnp.abs(wanted))
    if bend is not None:
        light, expected = (value + bend.added(value) for value in (light, expected))
    written = straight_through(expected, light)
    return (written * scales).reshape(*x.shape[:-1], -1)[..., : x.shape[-1]]


def _bent(modulator: AbstractModulator, u: Float[Array, "..."]) -> Float[Array, "..."]:
    """Light above the darkest, over the full swing of light, of a drive that runs straight through the voltage."""
    dark, bright = modulator.darkest, modulator.brightest
    return (modulator.untabled_transmission(jnp.clip(u, 0.0, 1.0)) - dark) / (bright - dark)


def _nearest_code(modulator: AbstractModulator, u: Float[Array, "..."], limit: int) -> Float[Array, "..."]:
    """Of the two codes around the voltage that the value u wants, the one whose light is nearer."""
    dark_v, bright_v = modulator.voltage_v(jnp.asarray(0.0, u.dtype)), modulator.voltage_v(jnp.asarray(1.0, u.dtype))
    code = (modulator.voltage_v(u) - dark_v) / (bright_v - dark_v) * limit
    below, above = jnp.floor(code), jnp.ceil(code)
    nearer_below = u - _bent(modulator, below / limit) < _bent(modulator, above / limit) - u
    return jnp.where(nearer_below, below, above)
