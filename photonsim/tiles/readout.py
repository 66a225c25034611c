"""Behind the detectors: how a column's amplifier, converter and die turn a sum of light into codes, and codes back."""

from typing import Protocol

from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Adc, Dac, bits_in_words
from photonsim.converters.nonlinearity import POWERS
from photonsim.devices.laser import NOISELESS_RIN_DB_PER_HZ, Laser
from photonsim.devices.receiver import Receiver
from photonsim.errors import PhotonsimError
from photonsim.tiles.base import Disturbance
from photonsim.tiles.die import Die, DieColumns
from photonsim.tiles.partial_sums import Programmed, Readout, Shared


def is_on(value) -> bool:
    """Whether an effect is on: a number that is not zero, or a traced value, which may be anything."""
    return not isinstance(value, int | float) or value != 0


def check_light(laser: Laser, receiver: Receiver) -> None:
    """Refuse a receiver that adds noise to no light at all: nothing could be read."""
    noise = (receiver.shot_noise, receiver.tia_noise_a_per_sqrt_hz, receiver.dark_current_a)
    dark = isinstance(laser.power_w, int | float) and laser.power_w == 0
    if dark and any(isinstance(value, int | float) and value != 0 for value in noise):
        raise PhotonsimError(
            "tile.laser.power_w = 0 leaves nothing to read under the noise of tile.receiver: give a power, or set "
            "shot_noise = false, tia_noise_a_per_sqrt_hz = 0 and dark_current_a = 0."
        )


def in_products(variance_a2, current_a) -> Float[Array, "..."]:
    """A variance of the photocurrent in units of a full-scale product's square; 0 in the dark (see `check_light`)."""
    square = jnp.asarray(current_a) ** 2
    lit = square > 0
    return jnp.where(lit, variance_a2 / jnp.where(lit, square, 1.0), 0.0)


class Reads(Protocol):
    """What a tile of any kind reads with."""

    @property
    def columns(self) -> int: ...
    @property
    def laser(self) -> Laser: ...
    @property
    def receiver(self) -> Receiver: ...
    @property
    def adc(self) -> Adc: ...
    @property
    def die(self) -> Die: ...


def readout_of(
    tile: Reads, input_bits: int | None, *, shot_noise: bool, constant_noise: bool = False, square_noise: bool = False
) -> Readout:
    """What of a tile's reading is fixed when a product is compiled.

    `shot_noise` goes by the light of the products, `square_noise` by the inputs' squares; `constant_noise`: whether
    there is any that goes by neither, beside that of receivers and converters.
    """
    noise = (tile.adc.noise_rms, tile.receiver.tia_noise_a_per_sqrt_hz, tile.receiver.dark_current_a)
    return Readout(
        input_bits=input_bits,
        adc_bits=tile.adc.bits,
        columns=tile.columns,
        noise=constant_noise or any(is_on(value) for value in noise),
        shot_noise=shot_noise,
        common_mode=is_on(tile.die.common_mode_rms),
        intensity_noise=not tile.laser.is_noiseless,
        square_noise=square_noise,
    )


def set_readout(
    levels: Float[Array, "*b t r n"],
    scales: Float[Array, "*b t n"],
    full_scale: Float[Array, "*b t n"],
    per_product: float,
    adc: Adc,
    columns: DieColumns,
    variance: Float[Array, "..."] | float = 0.0,
    shot_variance: Float[Array, "..."] | float = 0.0,
    extra: Float[Array, "..."] | float = 0.0,
) -> Programmed:
    """A matrix whose `levels` are set, with the gain, offset, noise and scale of every column's reading.

    In units of one full-scale product, whose levels and input codes multiply to `per_product`: `full_scale`, the ADC's
    half-span; `variance`, of the noise before the converter; `shot_variance`, the same for each `per_product` of light;
    `extra`, a known addition to the sum. `columns`: the physical columns of the die that the matrix lies on.
    """
    codes_per_unit = adc.full_scale_code / full_scale
    gain = columns.gain * codes_per_unit
    noise = adc.noise_rms * adc.full_scale_code * columns.noise
    offset = (columns.offset - columns.known_offset) * adc.full_scale_code
    shape = scales.shape
    return Programmed(
        levels=levels,
        gain=gain / per_product,
        offset=jnp.broadcast_to(offset, shape) + extra * gain,
        noise_variance=jnp.broadcast_to(noise**2, shape) + variance * gain**2,
        shot_variance=shot_variance * gain**2 / per_product,
        scale=scales * (full_scale / (adc.full_scale_code * columns.known_gain)),
        inl=None if columns.inl is None else jnp.broadcast_to(columns.inl, (*shape, columns.inl.shape[-1])),
    )


def shared_disturbances(laser: Laser, adc: Adc, die: Die, bandwidth_hz) -> Shared:
    """What the columns of a tile have in common: common mode, the laser's tremor in a reading's bandwidth, a bend."""
    bend = None if adc.bend.is_off else adc.bend
    return Shared(die.common_mode_rms * adc.full_scale_code, laser.intensity_rms(bandwidth_hz), bend)


def intensity_disturbance(laser: Laser) -> Disturbance:
    """The laser's intensity noise, which multiplies every reading of a tile."""
    setting = "noiseless laser" if laser.is_noiseless else f"{laser.rin_db_per_hz:g} dB/Hz"
    return Disturbance("laser intensity noise", setting, {"laser.rin_db_per_hz": NOISELESS_RIN_DB_PER_HZ})


def reading_disturbances(
    input_dac: Dac, receiver: Receiver, adc: Adc, die: Die, photons_per_mac
) -> tuple[Disturbance, ...]:
    """What converters, receivers and columns do to any tile."""
    return (
        Disturbance("input converter", bits_in_words(input_dac.bits), {"input_dac.bits": "none"}),
        Disturbance("output converter", f"{bits_in_words(adc.bits)}, {adc.span_in_words}", {"adc.bits": "none"}),
        Disturbance(
            "measured noise", f"{adc.noise_rms:.2e} of full scale", {"adc.noise_rms": 0.0, "die.noise_spread": 0.0}
        ),
        Disturbance("common-mode noise", f"{die.common_mode_rms:.2e} of full scale", {"die.common_mode_rms": 0.0}),
        Disturbance(
            "amplifier and dark noise",
            f"{receiver.tia_noise_a_per_sqrt_hz * 1e12:g} pA/√Hz",
            {"receiver.tia_noise_a_per_sqrt_hz": 0.0, "receiver.dark_current_a": 0.0},
        ),
        Disturbance(
            "shot noise",
            f"{float(photons_per_mac):.3g} photons/MAC at full scale",
            {"receiver.shot_noise": False},
        ),
        Disturbance(
            "bent output line",
            f"cube {adc.bend.cubic:g} over {adc.bend.span:.3g} of full scale",
            {f"adc.bend.{name}": 0.0 for name in POWERS},
        ),
        Disturbance("uneven output steps", f"INL {die.inl_rms:.2e} of full scale", {"die.inl_rms": 0.0}),
        Disturbance(
            "column gain", f"{die.gain_mean:g} ± {die.gain_spread:g}", {"die.gain_mean": 1.0, "die.gain_spread": 0.0}
        ),
        Disturbance(
            "drift of the columns",
            f"{die.drift.temperature_offset_k:g} K, {die.drift.age_s:g} s",
            {"die.drift.temperature_offset_k": 0.0, "die.drift.age_s": 0.0},
        ),
        Disturbance(
            "column offset",
            f"± {die.offset_spread:.2e} of full scale",
            {"die.offset_mean": 0.0, "die.offset_spread": 0.0},
        ),
    )
