"""Effective bits of a full-scale reading: against the converter alone, counted photoelectrons, and the tile itself."""

import dataclasses
import math
from operator import attrgetter

import jax
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.evaluate import full_scale_enob
from photonsim.evaluate.precision import light_variance, measured_noise_rms
from photonsim.tiles import Crossbar, Sliced
from photonsim.units import enob_from_sndr_db

LIT = override(load_chip("ideal"), {"laser.power_w": 1e-3, "receiver.shot_noise": True})


def bits_of_noise(relative_rms: float) -> float:
    """Effective bits of a full-scale sine under noise of a given RMS over full scale."""
    return float(enob_from_sndr_db(10 * math.log10(0.5 / relative_rms**2)))


def test_an_ideal_chip_has_infinitely_many():
    assert full_scale_enob(load_chip("ideal")) == math.inf


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_without_noise_they_are_those_of_the_converter(bits):
    """2^b − 1 codes, the same above and below zero, span 2^b − 2 steps."""
    chip = override(load_chip("ideal"), {"adc.bits": bits})
    assert full_scale_enob(chip) == pytest.approx(math.log2(2**bits - 2), rel=1e-9)


def test_shot_noise_leaves_those_of_the_photoelectrons_of_a_full_scale_sum():
    """At the Nyquist bandwidth the variance of a sum of N electrons is N: relative noise N^(-1/2)."""
    assert isinstance(LIT.tile, Crossbar)
    electrons = LIT.tile.electrons_per_mac * LIT.tile.rows
    assert full_scale_enob(LIT) == pytest.approx(bits_of_noise(float(electrons) ** -0.5), abs=1e-4)


def test_four_times_the_light_is_one_bit_until_the_laser_trembles():
    brighter = override(LIT, {"laser.power_w": 4e-3})
    assert full_scale_enob(brighter) - full_scale_enob(LIT) == pytest.approx(1, abs=1e-4)
    trembling = override(LIT, {"laser.power_w": 1e3, "laser.rin_db_per_hz": -120.0})
    ceiling = bits_of_noise(math.sqrt(1e-12 * LIT.clock_hz / 2))
    assert full_scale_enob(trembling) == pytest.approx(ceiling, abs=0.01)


def test_they_are_what_the_tile_itself_shows_of_a_full_scale_sum():
    """64,000 readings: the RMS is known to 0.3 %, which is 0.004 bits; the bound is four of those."""
    chip = override(LIT, {"receiver.tia_noise_a_per_sqrt_hz": 20e-12})
    rows = chip.tile.rows
    y = chip.matmul(jnp.ones((1000, rows)), chip.program(jnp.ones((rows, 64))), jax.random.key(0))
    assert full_scale_enob(chip) == pytest.approx(bits_of_noise(float(jnp.std(y)) / rows), abs=0.016)
    assert full_scale_enob(chip) < full_scale_enob(LIT) - 0.1


@pytest.mark.parametrize(
    "name", ["netcast-2022", "lightening-transformer-b-8bit", "hamerly-homodyne-2019", "shen-2017", "feldmann-2021"]
)
def test_the_laws_of_other_tiles_are_what_their_own_products_show(name):
    """16 columns of 256 readings, 4 of Shen's: the RMS is known to 0.02 bits.

    The rest of the bound is that of numbers drawn: their squares add to those of `INPUT_RMS` within 10 %.
    """
    chip = load_chip(name)
    if name == "feldmann-2021":  # its nine rows are too few numbers; a law of two passes takes both to be at full scale
        chip = override(chip, {"tile.rows": 64, "tile.columns": 16, "tile.encoding": "differential"})
    measured = dataclasses.replace(attrgetter("adc")(chip.tile), noise_rms=measured_noise_rms(chip)).noise_limited_enob
    assert full_scale_enob(chip) == pytest.approx(measured, abs=0.12)


def test_a_crossbar_without_a_law_is_measured():
    """Shot noise alone: raised cells have half of all light on."""
    chip = override(LIT, {"adc.range_policy": "sigma"})
    raised = override(chip, {"tile.encoding": "offset"})
    assert light_variance(raised.tile) is None
    assert full_scale_enob(raised) < full_scale_enob(chip)


def test_two_passes_share_the_light_of_one_reading_and_take_all_else_twice():
    two = override(LIT, {"tile.encoding": "two-pass"})
    assert full_scale_enob(two) == pytest.approx(full_scale_enob(LIT), abs=1e-6)
    noisy = {"adc.noise_rms": 0.01, "receiver.shot_noise": False}
    halved = full_scale_enob(override(two, noisy)) - full_scale_enob(override(LIT, noisy))
    assert halved == pytest.approx(-0.5, abs=1e-6)


def test_a_sliced_product_has_the_bits_of_one_pass():
    pace = load_chip("lightelligence-pace")
    sliced = dataclasses.replace(pace, tile=Sliced(inner=pace.tile, input_bits=12, weight_bits=8))
    assert full_scale_enob(sliced) == full_scale_enob(pace)


def test_residues_have_the_bits_of_a_quadrature():
    """Without noise, those of its converter: 2^5 − 2 steps. A phase error of each of 16 terms adds in squares."""
    mirage = load_chip("mirage-2024")
    silent = {"receiver.shot_noise": False, "tia_noise_a_per_sqrt_hz": 0, "dark_current_a": 0, "phase_sigma_rad": 0}
    quiet = override(mirage, silent)
    assert full_scale_enob(quiet) == pytest.approx(math.log2(30), rel=1e-9)
    turned = override(quiet, {"phase_sigma_rad": 0.01, "adc.bits": "none"})
    assert full_scale_enob(turned) == pytest.approx(bits_of_noise(0.04), abs=1e-4)
    assert full_scale_enob(mirage) < full_scale_enob(quiet)


def test_pace_has_the_bits_its_noise_was_taken_from():
    assert full_scale_enob(load_chip("lightelligence-pace")) == pytest.approx(7.61, abs=0.005)


def test_envise_has_more_than_its_residuals_leave_since_those_hold_what_repeats():
    assert 8.0 < full_scale_enob(load_chip("lightmatter-envise-2025")) < 8.5
