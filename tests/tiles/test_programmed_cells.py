"""Weight banks of rings and crossbars of phase-change cells: perfect ones, spoilt by one thing at a time."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import describe, load_chip, override, save_chip
from photonsim.converters import Adc, Dac
from photonsim.cost import Product, Storage, Workload, latency, price
from photonsim.devices import (
    Laser,
    Loss,
    MachZehnderModulator,
    Microring,
    Modulator,
    PcmCell,
    Receiver,
    SplitterTree,
    WeightCell,
)
from photonsim.devices.pcm import DRIFT_START_S
from photonsim.errors import PhotonsimError
from photonsim.tiles import Die, PcmCrossbar, WeightBank
from photonsim.tiles.cell_errors import CellErrors
from photonsim.tiles.encodings import Differential, Offset, TwoPass

KEY_DATA = jax.random.key_data(jax.random.key(0))
LIGHT = {
    "clock_hz": 5e9,
    "insertion_loss_db": 3.0,
    "laser": Laser(power_w=0.1, wall_plug_efficiency=0.2, wavelength_m=1550e-9),
    "input_dac": Dac(bits=None, energy_j=1e-12),
    "modulator": Modulator(energy_j=1e-14, static_power_w=1e-3),
    "cell": WeightCell(bits=None, write_energy_j=3e-12, tile_write_time_s=1e-6, hold_power_w=1e-4),
    "receiver": Receiver(responsivity_a_per_w=1.0, energy_j=1e-13, shot_noise=False),
    "adc": Adc(bits=None, energy_j=2e-12),
}
RING = Microring(resonance_m=1550e-9, quality_factor=1e4, free_spectral_range_m=20e-9)
PERFECT = PcmCell(programming_scale=0.0, drift_scale=0.0, read_scale=0.0)
BANK = WeightBank(rows=8, columns=4, channel_spacing_m=1.2e-9, ring=RING, crosstalk=False, **LIGHT)
PCM = PcmCrossbar(rows=8, columns=4, cell_contrast_db=10.0, pcm=PERFECT, **LIGHT)
TILES = [BANK, PCM, dataclasses.replace(PCM, weight_encoding="reference")]
NAMES = ["WeightBank", "PcmCrossbar", "PcmCrossbar with references"]
each_tile = pytest.mark.parametrize("tile", TILES, ids=NAMES)
each_encoding = pytest.mark.parametrize("encoding", [Differential(), TwoPass()], ids=["differential", "two-pass"])


def operands(m=6, k=17, n=9):
    rng = np.random.default_rng(0)
    return tuple(jnp.asarray(rng.normal(size=shape).astype(np.float32)) for shape in ((m, k), (k, n)))


def written(tile, w, cores=2):
    """The matrix that a programmed tile really holds."""
    w = jnp.asarray(w, jnp.float32)
    return np.asarray(tile.matmul(jnp.eye(w.shape[0]), tile.program(w, cores), KEY_DATA, "numba"))


def relative_error(tile):
    _, w = operands()
    return np.linalg.norm(written(tile, w) - w) / np.linalg.norm(w)


def with_bits(tile, input_bits, weight_bits, output_bits, **adc):
    """The tile with converters of so many bits."""
    return dataclasses.replace(
        tile,
        input_dac=dataclasses.replace(tile.input_dac, bits=input_bits),
        cell=dataclasses.replace(tile.cell, bits=weight_bits),
        adc=dataclasses.replace(tile.adc, bits=output_bits, **adc),
    )


def under_shot_noise(tile, power_w=0.1):
    return dataclasses.replace(
        tile,
        receiver=dataclasses.replace(tile.receiver, shot_noise=True, tia_noise_a_per_sqrt_hz=1e-15),
        laser=dataclasses.replace(tile.laser, power_w=power_w),
    )


def on_chip(tile, cores=2):
    ideal = load_chip("ideal")
    return dataclasses.replace(ideal, name="custom", tile=tile, cores=cores, sources=(), quoted=())


# What all of them answer


@each_tile
@each_encoding
def test_perfect_cells_are_the_matrix(tile, encoding):
    """Under so much light that shot noise is 1e-7 of the product: through the rows of both diodes."""
    x, w = operands()
    tile = under_shot_noise(dataclasses.replace(tile, encoding=encoding), power_w=1e12)
    product = tile.matmul(x, tile.program(w, 2), KEY_DATA, "numba")
    np.testing.assert_allclose(product, np.asarray(x) @ np.asarray(w), atol=2e-5)


def test_the_gradient_is_that_of_the_matrix():
    x, w = operands()
    tile = under_shot_noise(PCM, power_w=1e12)
    gradient = jax.grad(lambda w: jnp.sum(tile.matmul(x, tile.program(w, 2), KEY_DATA, "jax") ** 2))(w)
    np.testing.assert_allclose(gradient, 2 * x.T @ (x @ w), atol=4e-4)


def test_the_compiled_engine_reads_cells_that_are_not_whole_numbers():
    """Shot and measured noise, two passes, two groups of rows: sums of 16 float32 in two orders."""
    spoilt = under_shot_noise(with_bits(PCM, 6, 5, None, noise_rms=0.01))
    spoilt = dataclasses.replace(spoilt, encoding=TwoPass(), pcm=PcmCell())
    x, w = operands()
    programmed = spoilt.program(w, 2)
    fast, definition = (np.asarray(spoilt.matmul(x, programmed, KEY_DATA, e)) for e in ("numba", "jax"))
    np.testing.assert_allclose(fast, definition, atol=3e-5)
    assert np.abs(definition - np.asarray(x @ w)).max() > 1e-2


@each_tile
def test_two_passes_give_the_rows_of_a_batch_cut_in_two(tile):
    spoilt = dataclasses.replace(under_shot_noise(tile, 1e-5), encoding=TwoPass())
    x, w = operands()
    programmed = spoilt.program(w, 2)
    whole = spoilt.matmul(x, programmed, KEY_DATA, "numba")
    part = spoilt.matmul(x[4:], programmed, KEY_DATA, "numba", jnp.uint32(4))
    np.testing.assert_array_equal(whole[4:], part)


@each_tile
def test_a_chip_of_it_is_read_back_from_its_file_and_ideal_once_all_is_off(tile, tmp_path):
    chip = on_chip(dataclasses.replace(tile, die=Die(seed=3)))
    save_chip(chip, tmp_path / "copy.toml")
    assert describe(load_chip(tmp_path / "copy.toml")) == describe(chip)
    for disturbance in tile.disturbances():
        off = override(chip, {f"tile.{path}": value for path, value in disturbance.off.items()})
        assert describe(off) == describe(chip), disturbance.name


@each_encoding
@pytest.mark.parametrize(
    ("tile", "cells"), [(BANK, 1), (PCM, 2), (TILES[2], 1), (dataclasses.replace(PCM, wavelengths_per_row=3), 2)]
)
def test_a_pass_is_counted_priced_and_timed(tile, cells, encoding):
    """3 × 3 blocks of 8 × 4 hold 17 × 9; two rails have cells of their own, two passes a time of their own."""
    tile = dataclasses.replace(tile, encoding=encoding)
    rails, passes = (2, 1) if isinstance(encoding, Differential) else (1, 2)
    vectors = tile.wavelengths_per_row if isinstance(tile, PcmCrossbar) else 1
    chip = on_chip(tile)
    events = chip.events(1, 6, 17, 9)
    assert events.tile_writes == 9
    assert events.tile_cycles == 9 * passes * math.ceil(6 / vectors)
    assert events.input_conversions == 6 * 17 * 3 * passes
    assert events.output_conversions == 6 * 9 * 3 * passes
    assert events.weight_writes == 17 * 9 * rails * cells
    held_w = 1e-4 * 32 * rails * cells
    if tile is BANK or isinstance(tile, WeightBank):
        held_w += 32 * rails * float(RING.hold_power_w(RING.fwhm_m / 2))
    bill = price(chip, events, 1e-6, "one product").by_component_j()
    assert bill["weights"] == pytest.approx(events.weight_writes * 3e-12 + 2 * held_w * 1e-6)
    converted = events.input_conversions * (1e-12 + 1e-14) + events.output_conversions * (2e-12 + 1e-13)
    assert bill["modulators + DAC"] + bill["TIA + ADC"] == pytest.approx(converted + 2e-6 * 8 * vectors * 1e-3)
    step = latency(chip, Workload("prefill", 6, (Product("wq", "weight", 1, 6, 17, 9),), (), (), Storage())).steps[0]
    assert step.reload_s == pytest.approx(5e-6)  # nine blocks on two cores
    assert step.optics_s == pytest.approx(5 * passes * math.ceil(6 / vectors) / 5e9)


@each_tile
def test_shot_noise_counts_the_light_of_both_diodes(tile):
    """A weight of zero is dark to no diode: Var = Σ x · (light of a cell) / electrons, whatever the weights.

    In full-scale products, a ring's light is 1/ŵ at any weight, that of a cell beside its tap 2 g + 1 + 4 d/(1 − d),
    that of a pair |w| + 2 d/(1 − d). 4,000 readings: a standard error of 2.2 % of each variance.
    """
    dim = under_shot_noise(tile)
    dim = dataclasses.replace(dim, laser=dataclasses.replace(dim.laser, power_w=float(100 / dim.photons_per_mac) / 10))
    assert float(dim.photons_per_mac) == pytest.approx(100, rel=1e-5)
    x = jnp.ones((4000, 8), jnp.float32)
    weights = np.array([0.0, 0.5, 1.0, -1.0], np.float32)
    w = jnp.asarray(np.tile(weights, (8, 1)))
    scale = np.where(weights == 0, 0, np.abs(weights))  # of a column, whose codes are then all of full scale
    variance = np.asarray(dim.matmul(x, dim.program(w, 1), KEY_DATA, "numba")).var(0)
    full = np.sign(weights)
    dark = 0.1 / 0.9
    if isinstance(dim, WeightBank):
        light = np.full(4, 1 / dim.full_scale_share)
    elif dim.paired:
        light = np.abs(full) + 2 * dark
    else:
        light = full + 2 + 4 * dark
    expected = 8 * light / float(dim.electrons_per_mac) * scale**2
    np.testing.assert_allclose(variance, expected, rtol=0.1)


@pytest.mark.parametrize(
    ("tile", "wrong", "message"),
    [
        (BANK, {"rows": 17}, "at most 16"),
        (BANK, {"channel_spacing_m": 0.1e-9}, "wider spacing"),
        (BANK, {"ring": dataclasses.replace(RING, insertion_loss_db=1.0)}, "must be 0"),
        (BANK, {"locking_gain": 0.5}, "locking_gain"),
        (BANK, {"encoding": Offset()}, "two-pass"),
        (PCM, {"weight_encoding": "pairs"}, "pair"),
        (PCM, {"time_since_writing_s": 0.0}, "time_since_writing_s"),
        (PCM, {"cell_contrast_db": 0.0}, "cell_contrast_db"),
    ],
)
def test_a_tile_that_cannot_be_is_refused(tile, wrong, message):
    with pytest.raises(PhotonsimError, match=message):
        dataclasses.replace(tile, **wrong)


@each_tile
def test_stages_take_the_light_that_one_loss_would(tile):
    stages = {"coupler": Loss("coupler", 1.5), "tree": SplitterTree(fan_out=tile.columns, stage_loss_db=0.25)}
    itemised = dataclasses.replace(tile, stages=stages, insertion_loss_db=1.0)
    loss_db = 1.0 + 1.5 + 0.25 * math.log2(tile.columns)
    lumped = dataclasses.replace(tile, insertion_loss_db=loss_db)
    assert float(itemised.photons_per_mac) == pytest.approx(float(lumped.photons_per_mac), rel=1e-5)
    with pytest.raises(PhotonsimError, match="divide the light by 5"):
        dataclasses.replace(tile, stages={"tree": SplitterTree(fan_out=5, stage_loss_db=0.0)})


@each_tile
def test_modulators_bend_the_inputs_before_any_cell_sees_them(tile):
    """A cosine without a table, and cells that get what it lets pass."""
    cosine = MachZehnderModulator(1.0, 1e-14, insertion_loss_db=0.0, extinction_ratio_db=30.0)
    bent = dataclasses.replace(with_bits(tile, 16, None, None), modulator=cosine, predistortion="none")
    x, w = operands(m=3, k=8, n=4)
    x = x.at[:, 0].set(1.0).clip(-1, 1)
    light = np.asarray(cosine.untabled_transmission(jnp.abs(x)))
    dark, bright = float(cosine.darkest), float(cosine.brightest)
    expected = (np.sign(x) * (light - dark) / (bright - dark)) @ np.asarray(w)
    found = bent.matmul(x, bent.program(w, 2), KEY_DATA, "numba")
    # half a code of 16 bits, where the curve rises by π/2, on eight weights of up to 2
    np.testing.assert_allclose(found, expected, atol=0.5 / 32767 * np.pi / 2 * 8 * 2 + 1e-5)
    assert np.abs(np.asarray(x @ w) - expected).max() > 0.1


@each_tile
def test_a_dead_cell_is_dark_and_a_dead_ring_lets_all_through(tile):
    w = np.ones((8, 4), np.float32)
    gone = written(dataclasses.replace(tile, cell_errors=CellErrors(dead_share=1.0)), w)
    left = -1 / float(tile.full_scale_share) if isinstance(tile, WeightBank) else 0.0
    np.testing.assert_allclose(gone, left, rtol=1e-5)
    if not isinstance(tile, WeightBank):  # 64 wavelengths are more than its rings tell apart
        spread = dataclasses.replace(tile, rows=64, columns=16, cell_errors=CellErrors(gain_spread=0.1))
        cells = written(spread, np.ones((64, 16), np.float32), cores=1)
        assert cells.std() == pytest.approx(0.1, rel=4 / math.sqrt(2 * 1024))


# Rings


def test_crosstalk_falls_as_the_square_of_width_over_spacing():
    """A Lorentzian's skirt, on either side of a ring: fitted from 10 to 80 widths."""
    wide = dataclasses.replace(with_bits(BANK, None, 12, None), crosstalk=True)
    widths = np.array([10, 20, 40, 80])
    errors = []
    for spacing in widths:
        ring = dataclasses.replace(RING, free_spectral_range_m=200e-9)
        apart = dataclasses.replace(wide, ring=ring, channel_spacing_m=float(spacing) * RING.fwhm_m)
        without = dataclasses.replace(apart, crosstalk=False)
        _, w = operands()
        errors.append(np.linalg.norm(written(apart, w) - written(without, w)))
    assert np.polyfit(np.log(widths), np.log(errors), 1)[0] == pytest.approx(-2.0, abs=0.05)


def test_a_compiler_that_knows_the_crosstalk_takes_it_away():
    """At 7.7 widths, from 3 % of the weights to what float32 leaves of eight steps, each a factor of the crosstalk."""
    crossed = dataclasses.replace(with_bits(BANK, None, 12, None), crosstalk=True)
    corrected = dataclasses.replace(crossed, crosstalk_corrected=True)
    exact = written(with_bits(BANK, None, 12, None), operands()[1])
    assert np.abs(written(crossed, operands()[1]) - exact).max() > 0.02
    assert np.abs(written(corrected, operands()[1]) - exact).max() < 1e-5


def test_a_weight_moves_with_temperature_by_the_slope_of_the_lorentzian():
    """dw/dδ = −(8/FWHM) H^(3/2) (1 − H)^(1/2) at H = (1 + ŵ w)/2; all weights of a column under one scale."""
    w = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    warm = dataclasses.replace(BANK, temperature_offset_k=1e-3)
    share = float(BANK.full_scale_share)
    height = (1 + share * w) / 2
    slope = -8 / RING.fwhm_m * height**1.5 * (1 - height) ** 0.5
    moved = (written(warm, w) - written(BANK, w)) * share
    # 75 fm against a width of 155 pm: the second order is below 0.3 % of the largest slope; float32 of 2 H − 1, 1e-6
    expected = slope * 75e-15
    np.testing.assert_allclose(moved, expected, atol=4e-3 * np.abs(expected).max())


def test_half_a_kelvin_ruins_an_unlocked_bank_and_a_lock_saves_it():
    warm = dataclasses.replace(BANK, temperature_offset_k=0.5)
    locked = dataclasses.replace(warm, locking_gain=100.0)
    cool = dataclasses.replace(BANK, temperature_offset_k=0.005)
    _, w = operands()
    assert relative_error(warm) > 0.3
    assert relative_error(locked) < 0.02
    np.testing.assert_allclose(written(locked, w), written(cool, w), rtol=1e-5, atol=1e-6)


def test_what_a_lock_leaves_belongs_to_its_ring():
    """Equal blocks on two cores differ, on one core they do not; another die is another draw, of the same size."""
    loose = dataclasses.replace(BANK, locking_sigma_m=2e-12)
    same = np.tile(np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32), (1, 2))
    one, two = written(loose, same, cores=1), written(loose, same, cores=2)
    np.testing.assert_array_equal(one[:, :4], one[:, 4:])
    assert np.abs(two[:, :4] - two[:, 4:]).max() > 1e-3
    errors = [relative_error(dataclasses.replace(loose, locking_sigma_m=s)) for s in (0.5e-12, 1e-12, 2e-12)]
    assert np.polyfit(np.log([0.5, 1, 2]), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.05)


def test_the_error_is_differentiable_in_temperature():
    x, w = operands()

    def error(kelvin):
        warm = dataclasses.replace(BANK, crosstalk=True, temperature_offset_k=kelvin)
        return jnp.sum((warm.matmul(x, warm.program(w, 1), KEY_DATA, "jax") - x @ w) ** 2)

    step = (error(0.052) - error(0.048)) / 0.004
    assert float(jax.grad(error)(0.05)) == pytest.approx(float(step), rel=1e-3)


# Phase-change cells


def pcm(**scales):
    """A crossbar of 64 × 64 cells with the named imperfections, at their published size."""
    return dataclasses.replace(PCM, rows=64, columns=64, pcm=dataclasses.replace(PERFECT, **scales))


def test_a_written_weight_scatters_as_its_two_cells_do():
    """w = 0.5 of the scale: g⁺ = 0.5 ± 3.8 %, g⁻ = 0 and never below: a half-normal of mean σ/√(2π), variance
    σ² (1/2 − 1/(2π)). 4,032 cells: standard errors 1.1 % of the spread and 0.0006 of the mean.
    """
    w = np.full((64, 64), 0.5, np.float32)
    w[0] = 1.0
    cells = written(pcm(programming_scale=1.0), w)[1:] - 0.5
    at_half, at_zero = 0.95271 / 25, 0.26348 / 25
    assert cells.mean() == pytest.approx(-at_zero / math.sqrt(2 * math.pi), abs=0.0025)
    spread = math.sqrt(at_half**2 + at_zero**2 * (0.5 - 1 / (2 * math.pi)))
    assert cells.std() == pytest.approx(spread, rel=0.045)


@pytest.mark.parametrize("compensated", [False, True])
def test_drift_is_the_published_power_law_and_its_mean_is_multiplied_back(compensated):
    """Weights 0.5 and one row of 1: ν̄ = 0.049 for both. Compensated, what is left is the spread of ν."""
    w = np.full((64, 64), 0.5, np.float32)
    w[0] = 1.0
    ages = DRIFT_START_S * np.array([1.0, 1e2, 1e4])
    tiles = [
        dataclasses.replace(pcm(drift_scale=1.0), time_since_writing_s=age, drift_compensated=compensated)
        for age in ages
    ]
    cells = [written(tile, w)[1:] for tile in tiles]
    exponent = np.polyfit(np.log(ages), [np.log(c).mean() for c in cells], 1)[0]
    # the spread of ν is 0.008 at g = 1 and 0.0125 ln 2 − 0.0059 → 0.008 at 0.5: standard error 0.008/√4032
    assert exponent == pytest.approx(0.0 if compensated else -0.049, abs=1e-3)
    assert np.log(cells[2]).std() == pytest.approx(0.008 * math.log(1e4), rel=0.06)


def test_read_noise_is_that_of_the_cell():
    """q = 0.0088/0.5^0.65 at half: one draw for a written matrix."""
    w = np.full((64, 64), 0.5, np.float32)
    w[0] = 1.0
    cells = written(pcm(read_scale=1.0), w)[1:]
    expected = 0.5 * 0.0088 / 0.5**0.65 * math.sqrt(math.log((20 + 250e-9) / 500e-9))
    assert cells.std() == pytest.approx(expected, rel=0.045)


@pytest.mark.parametrize("shot_noise", [False, True])
def test_read_noise_can_be_that_of_each_reading(shot_noise):
    """Var[y] = Σ_k x_k² σ_r², σ_r of g = 1 for weights at full scale, under so much light that nothing else counts."""
    tile = dataclasses.replace(pcm(read_scale=1.0), read_noise="each-reading")
    tile = under_shot_noise(tile, power_w=1e12) if shot_noise else tile
    w = np.where(np.arange(64)[:, None] % 2, 1.0, -1.0) * np.ones((64, 64), np.float32)
    x = np.ones((64, 64), np.float32) * np.where(np.arange(64) % 4 < 2, 1.0, 0.5)
    y = np.asarray(
        tile.matmul(jnp.asarray(x, jnp.float32), tile.program(jnp.asarray(w, jnp.float32), 1), KEY_DATA, "numba")
    )
    sigma = 0.0088 * math.sqrt(math.log((20 + 250e-9) / 500e-9))
    expected = sigma * math.sqrt(float((x[0] ** 2).sum()))
    # 4,096 readings: a standard error of 1.1 %
    assert (y - x @ w).std() == pytest.approx(expected, rel=0.045)


def test_each_writing_is_a_draw_of_its_own_and_the_same_matrix_gives_the_same_cells():
    tile = pcm(programming_scale=1.0)
    w = np.full((64, 64), 0.5, np.float32)
    w[0] = 1.0
    other = w.copy()
    other[1, 1] = 0.25
    first, again, second = (written(tile, matrix)[2:] for matrix in (w, w, other))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.07  # 3,968 cells: 4.4 standard errors
    die = written(dataclasses.replace(tile, die=Die(seed=1)), w)[2:]
    assert abs(np.corrcoef(first.ravel(), die.ravel())[0, 1]) < 0.07


def test_drift_of_a_cell_beside_a_fixed_tap_shifts_its_zero():
    """(1 + w)/2 falls to a share f of itself while the tap stays: w becomes f (1 + w) − 1, and 0 becomes f − 1."""
    cell = dataclasses.replace(pcm(drift_scale=1.0), weight_encoding="reference", time_since_writing_s=2000.0)
    w = np.zeros((64, 64), np.float32)
    w[0] = 1.0
    assert written(cell, w)[1:].mean() == pytest.approx(100**-0.049 - 1, abs=1e-3)


def test_a_worn_out_cell_has_been_written_its_endurance():
    """Ten vectors at 5 GHz take 2 ns beside the 1 µs of writing: 1e8 writes in 100.2 s."""
    assert PCM.lifetime_s(10) == pytest.approx(1e8 * (1e-6 + 10 / 5e9))
    assert dataclasses.replace(PCM, wavelengths_per_row=5).lifetime_s(10) == pytest.approx(1e8 * (1e-6 + 2 / 5e9))


def test_vectors_at_once_share_the_light_and_multiply_the_peak():
    many = dataclasses.replace(PCM, wavelengths_per_row=4)
    assert many.macs_per_cycle == 4 * PCM.macs_per_cycle
    assert float(PCM.photons_per_mac / many.photons_per_mac) == pytest.approx(4.0)
