"""What the modulators make of the inputs, where it is not what the DAC was told.

A modulator bends its light against voltage. Three ways to drive it:

    "exact"          a table in front of a DAC with bits to spare: codes are equally far apart in light
    "nearest-code"   a table in front of a DAC that has only its own bits, equally far apart in voltage: a value becomes
                     the nearest of the lights that such a DAC can make, coarse where the curve is steep
    "none"           no table: the codes run straight through the voltage, and the curve bends the values

The steps of a DAC differ in width as well (`Nonlinearity`), row by row of a tile. And whatever bends the way from code
to light, where it has been measured as a whole, is a curve of its own (`Bend`), alike for all rows and signs included.

All of it happens before the light meets a weight, so it is the same for every tile of `InputPath` settings: `shapes`
says whether there is anything to do, `shape_inputs` does it, `input_disturbances` names it.

The analog product then sees real values in place of integer codes, scaled to the brightest that each block really has.
The light that a modulator cannot shut off does not depend on the value: its mean is a constant of each column, which
balanced rails cancel and an amplifier's offset takes off, and its shot noise is counted with the tile's.
"""

import functools
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Bend, Dac, Nonlinearity, full_scale_code, straight_through
from photonsim.converters.nonlinearity import POWERS
from photonsim.devices import AbstractModulator
from photonsim.errors import check_choice, check_number
from photonsim.tiles.base import Disturbance
from photonsim.tiles.partial_sums import block_scales, encode, split_blocks

PREDISTORTIONS = ("exact", "nearest-code", "none")


class InputPath(NamedTuple):
    """A tile's way from a number to light.

    `predistortion`: how modulators are driven; `dnl_rms`: spread of the steps of their DACs, LSB; `bend`: of the way
    as a whole, where it was measured as one; `converters`: DACs that take the terms of a block in turn; `seed`: theirs.
    """

    dac: Dac
    modulator: AbstractModulator
    predistortion: str
    dnl_rms: float
    bend: Bend
    converters: int
    seed: int

    def check(self) -> None:
        """Refuse settings that cannot be."""
        check_number("tile.input_dnl_rms", self.dnl_rms, at_least=0.0)
        check_choice("tile.predistortion", self.predistortion, PREDISTORTIONS)

    @property
    def is_uneven(self) -> bool:
        """Whether the DACs' steps differ; a traced setting may let them."""
        return not isinstance(self.dnl_rms, int | float) or self.dnl_rms != 0

    @property
    def shapes(self) -> bool:
        """Whether the light is not that of the DAC's codes."""
        curved = self.predistortion != "exact" and not self.modulator.is_straight
        return not self.bend.is_off or (self.dac.bits is not None and (curved or self.is_uneven))

    @property
    def coded_bits(self) -> int | None:
        """Bits of the integers that the light stands for; `None` where it stands for real values."""
        return None if self.shapes else self.dac.bits


def shape_inputs(path: InputPath, x: Float[Array, "*b m k"], rows: int) -> Float[Array, "*b m k"]:
    """The inputs as the path writes them, in blocks of `rows`; as they are if it writes them as coded."""
    if not path.shapes:
        return x
    known = (path.dac.bits, path.predistortion, rows, path.converters if path.is_uneven else 0, not path.bend.is_off)
    return _shape(x, path.modulator, path.dnl_rms, path.bend, path.seed, known)


@functools.partial(jax.jit, static_argnames="known")
def _shape(x, modulator: AbstractModulator, dnl_rms, bend: Bend, seed, known: tuple) -> Float[Array, "*b m k"]:
    bits, predistortion, rows, converters, bent = known
    levels = dac_levels(bits, dnl_rms, converters, seed) if bits is not None and converters else None
    return written_inputs(x, bits, modulator, predistortion, levels, rows, bend if bent else None)


def input_disturbances(path: InputPath) -> tuple[Disturbance, ...]:
    """What modulators and their converters add, if there is a curve that they could follow."""
    found: list[Disturbance] = []
    modulator = path.modulator
    if not modulator.is_straight:
        found.append(Disturbance("modulator curve", f"predistortion {path.predistortion}", {"predistortion": "exact"}))
    if modulator.leaks:
        dark = {f"modulator.{name}": value for name, value in modulator.dark_settings.items()}
        share = f"{float(modulator.leakage):.2e} of full scale"
        found.append(Disturbance("light at zero", share, dark | {"receiver.shot_noise": False}))
    if path.is_uneven:
        found.append(Disturbance("unequal input steps", f"± {path.dnl_rms:g} LSB", {"input_dnl_rms": 0.0}))
    if not path.bend.is_off:
        off = {f"input_bend.{name}": 0.0 for name in POWERS}
        found.append(Disturbance("bent input line", f"cube {path.bend.cubic:g}", off))
    return tuple(found)


def leak_variance(modulator: AbstractModulator, rails: int, electrons_per_mac, light: Float[Array, "*b t r n"]):
    """Shot noise of what modulators cannot shut off, in full-scale products squared, for each column (*b, t, n).

    On each rail `T_min / (T_max − T_min)` of the `light` that cells pass at an input of 1, whatever the input.
    """
    leaked = rails * modulator.leakage / (1.0 - modulator.leakage)
    return leaked / electrons_per_mac * jnp.sum(light, axis=-2)


def dac_levels(bits: int, dnl_rms, rows: int, seed) -> Float[Array, "{rows} codes"]:
    """What the codes -L … L of each row's DAC really are, in LSB; the same DAC drives a row in every core."""
    seeds = jnp.arange(rows, dtype=jnp.int32) + rows * seed
    return jax.vmap(lambda row_seed: Nonlinearity(bits, dnl_rms, row_seed).levels)(seeds)


def written_inputs(
    x: Float[Array, "*b m k"],
    bits: int | None,
    modulator: AbstractModulator,
    predistortion: str,
    levels: Float[Array, "c codes"] | None,
    rows: int,
    bend: Bend | None = None,
) -> Float[Array, "*b m k"]:
    """The inputs as light: each block of `rows` under its scale, through DAC and modulator, and scaled back.

    `levels` of `dac_levels`, of one DAC per row or of fewer in turn, or `None` for equal steps; `bend`, or `None` for a
    straight way. Gradients pass straight through the rounding.
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
        drive = levels[jnp.arange(rows) % len(levels), codes.astype(jnp.int32) + limit] / limit
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
