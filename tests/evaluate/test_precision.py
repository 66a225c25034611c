"""Effective bits of a full-scale reading: against the converter alone, counted photoelectrons, and the tile itself."""

import math

import jax
import pytest
from jax import numpy as jnp

from photonsim.chip import Chip, load_chip, override
from photonsim.evaluate import full_scale_enob
from photonsim.tiles import Crossbar
from photonsim.units import enob_from_sndr_db

LIT = override(load_chip("ideal"), {"laser.power_w": 1e-3, "receiver.shot_noise": True})


def bits_of(chip: Chip) -> float:
    """Its effective bits, of a chip that is known to be a crossbar."""
    bits = full_scale_enob(chip)
    assert bits is not None
    return bits


def bits_of_noise(relative_rms: float) -> float:
    """Effective bits of a full-scale sine under noise of a given RMS over full scale."""
    return float(enob_from_sndr_db(10 * math.log10(0.5 / relative_rms**2)))


def test_an_ideal_chip_has_infinitely_many():
    assert bits_of(load_chip("ideal")) == math.inf


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_without_noise_they_are_those_of_the_converter(bits):
    """2^b − 1 codes, the same above and below zero, span 2^b − 2 steps."""
    chip = override(load_chip("ideal"), {"adc.bits": bits})
    assert bits_of(chip) == pytest.approx(math.log2(2**bits - 2), rel=1e-9)


def test_shot_noise_leaves_those_of_the_photoelectrons_of_a_full_scale_sum():
    """At the Nyquist bandwidth the variance of a sum of N electrons is N: relative noise N^(-1/2)."""
    assert isinstance(LIT.tile, Crossbar)
    electrons = LIT.tile.electrons_per_mac * LIT.tile.rows
    assert bits_of(LIT) == pytest.approx(bits_of_noise(float(electrons) ** -0.5), abs=1e-4)


def test_four_times_the_light_is_one_bit_until_the_laser_trembles():
    brighter = override(LIT, {"laser.power_w": 4e-3})
    assert bits_of(brighter) - bits_of(LIT) == pytest.approx(1, abs=1e-4)
    trembling = override(LIT, {"laser.power_w": 1e3, "laser.rin_db_per_hz": -120.0})
    ceiling = bits_of_noise(math.sqrt(1e-12 * LIT.clock_hz / 2))
    assert bits_of(trembling) == pytest.approx(ceiling, abs=0.01)


def test_they_are_what_the_tile_itself_shows_of_a_full_scale_sum():
    """64,000 readings: the RMS is known to 0.3 %, which is 0.004 bits; the bound is four of those."""
    chip = override(LIT, {"receiver.tia_noise_a_per_sqrt_hz": 20e-12})
    rows = chip.tile.rows
    y = chip.matmul(jnp.ones((1000, rows)), chip.program(jnp.ones((rows, 64))), jax.random.key(0))
    assert bits_of(chip) == pytest.approx(bits_of_noise(float(jnp.std(y)) / rows), abs=0.016)
    assert bits_of(chip) < bits_of(LIT) - 0.1


def test_pace_has_the_bits_its_noise_was_taken_from():
    assert bits_of(load_chip("lightelligence-pace")) == pytest.approx(7.61, abs=0.005)


def test_envise_has_more_than_its_residuals_leave_since_those_hold_what_repeats():
    assert 8.0 < bits_of(load_chip("lightmatter-envise-2025")) < 8.5
