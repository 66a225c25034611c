"""Bits are not free: a converter's energy follows its resolution, unless the user says what it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photonsim.chip import describe, load_chip, override, save_chip
from photonsim.converters import Adc, Dac, walden_energy_j

BITS = st.integers(1, 16)


def adc_energy_j(chip):
    return describe(chip)["tile"]["adc"]["energy_j"]


def envise():
    return load_chip("lightmatter-envise-2025")


@given(BITS, BITS, st.floats(1e-15, 1e-9))
def test_one_bit_more_doubles_a_conversion(own, bits, energy_j):
    assert Adc(own, energy_j).energy_at(bits) == pytest.approx(energy_j * 2.0 ** (bits - own))


@given(BITS, st.floats(1e-16, 1e-12))
def test_scaling_and_the_figure_of_merit_are_one_law(bits, fom_j_per_step):
    converter = Adc(8, walden_energy_j(8, fom_j_per_step))
    assert converter.energy_at(bits) == pytest.approx(walden_energy_j(bits, fom_j_per_step))


def test_the_dac_follows_its_published_pair_of_points():
    # Lightening-Transformer: 50 mW at 14 GS/s and 8 bits is 3.57 pJ, and 0.45 pJ at 4 bits
    assert Dac(8, 3.57e-12).energy_at(4) == pytest.approx(0.45e-12, rel=0.01)


@given(BITS, st.sampled_from(["adc", "input_dac"]))
def test_overridden_bits_reprice_the_converter_and_the_source_says_so(bits, name):
    chip = envise()
    own = getattr(chip.tile, name)
    changed = override(chip, {f"{name}.bits": bits})
    assert getattr(changed.tile, name).energy_j == pytest.approx(own.energy_at(bits))
    source = dict(changed.sources)[f"tile.{name}.energy_j"]
    assert source.assumed
    assert (f"scaled from {own.bits} to {bits} bits" in source.text) == (bits != own.bits)


def test_an_energy_that_is_given_stands():
    chip = override(envise(), {"adc.bits": 8, "adc.energy_j": 1e-12})
    assert adc_energy_j(chip) == 1e-12
    assert "tile.adc.energy_j" not in dict(chip.sources)


def test_an_ideal_converter_has_no_law():
    chip = envise()
    assert adc_energy_j(override(chip, {"adc.bits": "none"})) == adc_energy_j(chip)
    assert adc_energy_j(override(load_chip("ideal"), {"adc.bits": 8})) == 0.0


def test_a_repriced_chip_survives_its_file(tmp_path):
    chip = override(envise(), {"adc.bits": 8})
    save_chip(chip, tmp_path / "chip.toml")
    assert dict(load_chip(tmp_path / "chip.toml").sources) == dict(chip.sources)
