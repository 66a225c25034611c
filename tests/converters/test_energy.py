"""What converters cost: published points of each law, and the exponents that make them laws."""

import jax
import numpy as np
import pytest

from photonsim.converters import (
    PUBLISHED_ADCS,
    PUBLISHED_DACS,
    Adc,
    combined_enob,
    jitter_enob,
    jitter_snr_db,
    lightening_transformer_adc_power_w,
    lightening_transformer_dac_power_w,
    rekhi_floor_j,
    schreier_energy_j,
    survey_adc_area_m2,
    survey_adc_energy_j,
    walden_energy_j,
    walden_enob,
)
from photonsim.errors import PhotonsimError

BITS = range(4, 13)


def bits_per_doubling(energies):
    """Factor by which a bit multiplies an energy, fitted."""
    return 2 ** np.polyfit(BITS, np.log2(energies), 1)[0]


def test_a_bit_doubles_a_conversion_under_walden_and_quadruples_it_under_schreier():
    assert bits_per_doubling([walden_energy_j(b, 25e-15) for b in BITS]) == pytest.approx(2.0)
    assert bits_per_doubling([schreier_energy_j(b, 165.0) for b in BITS]) == pytest.approx(4.0, rel=1e-4)


def test_schreiers_figure_of_merit_is_sndr_plus_half_the_conversions_per_joule():
    """FOM_S = SNDR + 10 log10(f / 2 / P): 8 bits, 49.92 dB, for 1 pJ are 49.92 + 116.99 = 166.91 dB."""
    assert schreier_energy_j(8, 166.91) == pytest.approx(1e-12, rel=2e-3)


def test_the_label_of_lightening_transformers_converter_is_not_its_resolution():
    energy_j = lightening_transformer_adc_power_w(8, 10e9) / 10e9
    assert energy_j == pytest.approx(1.48e-12)
    assert walden_enob(energy_j, 25e-15) == pytest.approx(5.9, abs=0.02)
    assert walden_energy_j(walden_enob(energy_j, 25e-15), 25e-15) == pytest.approx(energy_j)


@pytest.mark.parametrize(
    ("node_nm", "bits", "at_1_gs_pj", "at_10_gs_pj"),
    [
        (32, 4, 0.92, 0.92),
        (32, 6, 1.07, 1.07),
        (32, 8, 1.71, 7.5),
        (32, 10, 13.9, 64),
        (32, 12, 133, 611),
        (22, 8, 0.85, 3.7),
        (22, 10, 6.9, 31.6),
        (7, 8, 0.10, 0.43),
        (7, 10, 0.80, 3.7),
        (7, 12, 7.7, 35),
    ],
)
def test_the_surveys_regression_gives_its_evaluated_table(node_nm, bits, at_1_gs_pj, at_10_gs_pj):
    for rate_hz, expected_pj in [(1e9, at_1_gs_pj), (10e9, at_10_gs_pj)]:
        energy_pj = survey_adc_energy_j(bits, rate_hz, node_nm) / 1e-12
        assert energy_pj == pytest.approx(expected_pj, rel=0.01, abs=0.005 if expected_pj < 1 else 0.05)


def test_outside_the_survey_the_regression_is_refused():
    with pytest.raises(PhotonsimError, match="outside the survey"):
        survey_adc_energy_j(8, 56e9, 22)
    with pytest.raises(PhotonsimError, match="outside the survey"):
        survey_adc_energy_j(3, 1e9, 22)


def test_a_converters_area_grows_with_the_node_and_the_rate():
    """ln A = 0.993·3.4657 + 0.181·20.7233 + 0.299·ln 1.71 + 1.346 = 8.698: 5,990 µm²."""
    assert survey_adc_area_m2(8, 1e9, 32) == pytest.approx(5990e-12, rel=0.01)
    assert survey_adc_area_m2(8, 1e9, 22) < survey_adc_area_m2(8, 1e9, 32) < survey_adc_area_m2(8, 10e9, 32)


@pytest.mark.parametrize(("enob", "energy_pj"), [(4, 0.3), (10.5, 0.3), (11, 0.63), (12, 2.5), (13, 10)])
def test_rekhis_floor(enob, energy_pj):
    assert rekhi_floor_j(enob) == pytest.approx(energy_pj * 1e-12, rel=0.02)


def test_rekhis_resnet_needs_300_femtojoule_per_multiply_accumulate():
    assert rekhi_floor_j(12) / 8 == pytest.approx(313e-15, rel=0.01)


@pytest.mark.parametrize(("bits", "adcs_mw", "dacs_mw"), [(4, 2131.2, 3214.286), (8, 4262.4, 25714.286)])
def test_lightening_transformers_rules_give_the_published_power_of_its_converters(bits, adcs_mw, dacs_mw):
    """DOTA-B at 5 GHz: one ADC per output of each of 4 tiles; a DAC per input, 12 × 12 a core for the operand that each
    of 8 cores has to itself, and 12 × 12 twice over for the one that is broadcast."""
    adcs, dacs = 4 * 12 * 12, (8 + 2) * 12 * 12
    assert 1e3 * adcs * lightening_transformer_adc_power_w(bits, 5e9) == pytest.approx(adcs_mw, rel=1e-6)
    assert 1e3 * dacs * lightening_transformer_dac_power_w(bits, 5e9) == pytest.approx(dacs_mw, rel=1e-6)


@pytest.mark.parametrize(("jitter_s", "bits"), [(100e-15, 11.4), (1e-12, 8.0)])
def test_jitter_limits_a_gigasample_converter(jitter_s, bits):
    assert jitter_enob(1e9, jitter_s) == pytest.approx(bits, abs=0.06)


def test_a_trembling_clock_gives_the_predicted_noise():
    input_hz, jitter_s, draws = 500e6, 2e-12, 200_000
    rng = np.random.default_rng(0)
    times = rng.uniform(0, 1e-6, draws)
    late = np.sin(2 * np.pi * input_hz * (times + jitter_s * rng.standard_normal(draws)))
    error = late - np.sin(2 * np.pi * input_hz * times)
    snr_db = 10 * np.log10(0.5 / np.mean(error**2))
    # the error squared has a relative spread below 2.3 (cos² times a squared normal): five standard errors, in dB
    assert snr_db == pytest.approx(jitter_snr_db(input_hz, jitter_s), abs=4.34 * 5 * 2.3 / np.sqrt(draws))


def test_noises_of_several_limits_add():
    assert combined_enob(8.0) == pytest.approx(8.0, abs=1e-5)
    assert combined_enob(8.0, 8.0) == pytest.approx(7.5, abs=1e-3)
    assert combined_enob(8.0, 12.0) < combined_enob(8.0, 14.0) < 8.0


def test_label_bits_and_measured_noise_are_two_such_limits():
    noisy = Adc(bits=8, energy_j=0.0, noise_rms=3e-3)
    ideal, quiet = Adc(None, 0.0, noise_rms=3e-3), Adc(8, 0.0)
    together = combined_enob(float(ideal.noise_limited_enob), float(quiet.noise_limited_enob))
    assert float(noisy.noise_limited_enob) == pytest.approx(together, abs=1e-4)


@pytest.mark.parametrize("adc", PUBLISHED_ADCS, ids=lambda adc: adc.name)
def test_published_converters_lie_in_the_field_walden_and_rekhi_mark_out(adc):
    """1 to 50 fJ a step, nothing below the floor; the regression, fitted to the best, asks for less than they do."""
    assert 1e-15 <= adc.walden_fom_j_per_step <= 50e-15
    assert adc.energy_j >= rekhi_floor_j(adc.bits)
    assert survey_adc_energy_j(adc.bits, adc.rate_hz, 14) < adc.energy_j


def test_the_rule_for_more_bits_asks_more_of_a_dac_than_a_published_one_takes():
    """2^b / b carries 8 bits of 50 mW to 533 mW at 12; SimPhony's library has one of 169 mW at the same rate."""
    dacs = {dac.name: dac for dac in PUBLISHED_DACS}
    assert dacs["VLSI 2020, 16 nm"].power_w == pytest.approx(lightening_transformer_dac_power_w(8, 14e9))
    assert lightening_transformer_dac_power_w(12, 14e9) == pytest.approx(0.533, rel=1e-3)
    assert dacs["12 bit, 14 GS/s"].power_w == pytest.approx(0.169)


def test_gradient_of_waldens_energy_is_ln_2_of_it_per_bit():
    energy = lambda enob: walden_energy_j(enob, 25.0)  # noqa: E731  (fJ)
    gradient = float(jax.grad(energy)(8.0))
    assert gradient == pytest.approx(np.log(2) * energy(8.0), rel=1e-5)
    assert gradient == pytest.approx((energy(8.01) - energy(7.99)) / 0.02, rel=1e-3)
