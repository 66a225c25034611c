"""Columns that drift and calibrations that catch up with them: how exact, how long, how much, and how often."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import calibrate, describe, load_chip, override, save_chip
from photonsim.cost.energy import price
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar, Mesh
from photonsim.tiles.drift import brownian_path

ROWS, COLUMNS, CORES = 32, 64, 4
NOISE = 2e-2
CHIP = override(
    load_chip("lightmatter-envise-2025"),
    {
        "tile.rows": ROWS,
        "tile.columns": COLUMNS,
        "adc.gain": 1.0,
        "adc.bits": 14,
        "adc.noise_rms": NOISE,
        "die.noise_spread": 0.0,
        "die.common_mode_rms": 0.0,
    },
)
# the mean of the sums' squares over the span's: uniform from 0.2 to 0.8 of it
MEAN_SQUARE = (0.8**3 - 0.2**3) / 3 / 0.6


def drawn(chip):
    """The chip's physical columns."""
    return chip.tile.die.draw(chip.cores, chip.tile.columns)


def gain_error(chip):
    """True gain over the gain that is divided by, less 1, of every column."""
    columns = drawn(chip)
    return np.asarray(columns.gain / columns.known_gain, np.float64) - 1


def offset_error(chip):
    """Offset that is left, over full scale."""
    columns = drawn(chip)
    return np.asarray(columns.offset - columns.known_offset, np.float64)


def law(readings):
    """Standard deviation of a fitted gain, over the gain."""
    return NOISE / 0.834 / math.sqrt(readings * MEAN_SQUARE)


def test_the_error_of_calibrated_columns_falls_with_the_root_of_the_readings():
    counts = (32, 512)
    calibrated = [calibrate(CHIP, readings, seed=readings).apply(CHIP) for readings in counts]
    gains = [gain_error(chip).std() for chip in calibrated]
    offsets = [offset_error(chip).std() for chip in calibrated]
    columns = CORES * COLUMNS
    # 256 columns: a standard deviation is known to 1/√512 = 4.4 %; ⟨S²⟩ of 32 sums to 10 %
    for gain, offset, readings in zip(gains, offsets, counts, strict=True):
        assert gain == pytest.approx(law(readings), rel=0.25)
        assert offset == pytest.approx(NOISE / math.sqrt(readings), rel=0.25)
    exponent = np.polyfit(np.log(counts), np.log(gains), 1)[0]
    assert exponent == pytest.approx(-0.5, abs=5 / math.sqrt(2 * columns) / math.log(16) * math.sqrt(2))
    assert abs(gain_error(calibrated[-1]).mean()) < 5 * law(512) / math.sqrt(columns) + 1e-3


def test_a_calibrated_chip_multiplies_better_than_one_whose_mean_is_known():
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in [(64, ROWS), (ROWS, CORES * COLUMNS)])
    rough = override(CHIP, {"die.gain_spread": 0.1, "die.offset_spread": 0.01})
    quiet = {"adc.noise_rms": 0.0}
    errors = {}
    for name, chip in (("mean", rough), ("measured", calibrate(rough, 512).apply(rough))):
        still = override(chip, quiet)
        answer = still.matmul(x, still.program(w), jax.random.key(0), "jax")
        errors[name] = float(jnp.linalg.norm(answer - x @ w))
    assert errors["measured"] < 0.2 * errors["mean"]


@pytest.mark.parametrize("encoding", ["offset", "two-pass"])
def test_other_encodings_can_be_calibrated(encoding):
    quiet = {"adc.noise_rms": 1e-4, "die.gain_spread": 0.1, "die.offset_spread": 0.02}
    chip = override(CHIP, {"tile.encoding": encoding, "laser.power_w": 1e3, **quiet})
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in [(16, ROWS), (ROWS, COLUMNS)])
    errors = []
    for each in (chip, calibrate(chip, 128).apply(chip)):
        answer = each.matmul(x, each.program(w), jax.random.key(0), "jax")
        errors.append(float(jnp.linalg.norm(answer - x @ w)))
    assert errors[1] < 0.2 * errors[0]


def error_of(chip, programmed_for):
    """Relative error of a product, its matrix written anew."""
    x, w = programmed_for
    answer = chip.matmul(x, chip.program(w), jax.random.key(0), "jax")
    return float(jnp.linalg.norm(answer - x @ w) / jnp.linalg.norm(x @ w))


OTHER_TILES = {  # lit enough for the columns to be what errs
    "deap-cnn-2020": {"crosstalk": False, "laser.power_w": 1e3},
    "feldmann-2021": {
        "weight_encoding": "pair",
        "pcm.programming_scale": 0.0,
        "pcm.read_scale": 0.0,
        "pcm.drift_scale": 0.1,
        "time_since_writing_s": 1e5,
        "laser.power_w": 1e3,
    },
}


@pytest.mark.parametrize("name", OTHER_TILES)
def test_weight_banks_and_phase_change_cells_are_calibrated_too(name):
    """Columns 10 % apart; cells that have drifted together are found as a gain."""
    spread = {"die.gain_spread": 0.1, "adc.bits": "none", "input_dac.bits": "none", "cell.bits": "none"}
    chip = override(load_chip(name), OTHER_TILES[name] | spread)
    rows, columns = chip.tile.rows, chip.cores * chip.tile.columns
    rng = np.random.default_rng(0)
    operands = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in [(64, rows), (rows, columns)]]
    found = calibrate(chip, 64)
    assert error_of(found.apply(chip), operands) < 0.3 * error_of(chip, operands)
    assert found.seconds > chip.tile.reload.seconds
    assert price(chip, found.events, found.seconds).total_j > 0


@pytest.mark.slow
def test_a_mesh_that_configures_itself_is_measured_cell_by_cell_and_pays_for_each():
    """64 readings leave 1/8 of a reading's noise; splitters known as badly as they are made spoil the matrix."""
    silent = {"receiver.shot_noise": False, "receiver.tia_noise_a_per_sqrt_hz": 0.0, "receiver.dark_current_a": 0.0}
    ideal = {"phase_sigma_rad": 0.0, "phase_shifter.bits": "none", "phase_shifter.crosstalk": 0.0, "cell_loss_db": 0.0}
    bits = {"adc.bits": "none", "input_dac.bits": "none", "adc.noise_rms": 1e-4, "cores": 1}
    size = {"tile.rows": 6, "tile.columns": 6, "splitter_sigma_rad": 0.03, "self_configured": True}
    chip = override(load_chip("shen-2017"), silent | ideal | bits | size)
    tile = chip.tile
    assert isinstance(tile, Mesh)
    rng = np.random.default_rng(0)
    operands = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in [(64, 6), (6, 6)]]
    found = calibrate(chip, 64)
    assert found.splitter_error_rad == pytest.approx(1e-4 * 6 / 8, rel=1e-5)  # the range is six products
    measured = found.apply(chip)
    blind = dataclasses.replace(measured, tile=dataclasses.replace(measured.tile, splitter_error_rad=0.03))
    assert error_of(measured, operands) < 0.8 * error_of(blind, operands)
    cells, settle_s = 2 * 6 * 5 // 2, tile.reload.seconds
    assert found.seconds == pytest.approx(4 * cells * (settle_s + 64 / chip.clock_hz) + settle_s + 64 / chip.clock_hz)
    assert found.events.weight_writes == pytest.approx(2 * 4 * cells + tile.phase_shifters)


def test_a_calibration_has_its_own_time_and_its_own_bill():
    short, long = (calibrate(CHIP, readings) for readings in (64, 128))
    assert isinstance(CHIP.tile, Crossbar)
    written_s = CHIP.tile.cell.tile_write_time_s
    assert short.seconds == pytest.approx(written_s + 64 / CHIP.clock_hz)
    assert long.seconds - short.seconds == pytest.approx(64 / CHIP.clock_hz)
    assert long.events.output_conversions == 2 * short.events.output_conversions == 128 * CORES * COLUMNS
    assert long.events.weight_writes == short.events.weight_writes == ROWS * CORES * COLUMNS
    bills = [price(CHIP, each.events, each.seconds).total_j for each in (short, long)]
    assert bills[1] > bills[0] > 0


def test_a_calibrated_chip_survives_a_chip_file(tmp_path):
    chip = calibrate(CHIP, 16).apply(CHIP)
    save_chip(chip, tmp_path / "chip.toml")
    read = load_chip(tmp_path / "chip.toml")
    assert describe(read) == describe(chip)
    np.testing.assert_array_equal(gain_error(read), gain_error(chip))


def test_temperature_moves_all_gains_at_once_and_each_at_its_own_rate():
    drift = {"drift.gain_per_k": -1e-3, "drift.gain_spread_per_k": 2e-4, "drift.offset_per_k": 5e-4}
    still, warm, hot = (
        override(CHIP, {"die.correction": "column", **drift, "drift.temperature_offset_k": kelvins})
        for kelvins in (0.0, 5.0, 10.0)
    )
    assert np.abs(gain_error(still)).max() < 1e-6
    np.testing.assert_allclose(gain_error(hot), 2 * gain_error(warm), atol=1e-6)
    columns = CORES * COLUMNS
    assert gain_error(hot).mean() == pytest.approx(-1e-2, abs=5 * 2e-3 / math.sqrt(columns))
    assert gain_error(hot).std() == pytest.approx(2e-3, rel=5 / math.sqrt(2 * columns))
    np.testing.assert_allclose(offset_error(hot), 5e-3, atol=1e-6)


def test_a_walk_has_independent_increments_that_grow_with_time():
    """W(t) of 4000 paths at 1, 2, 10 and 1000 s: Var[W(t) − W(s)] = t − s, and increments do not know each other."""
    at = {t: np.asarray(brownian_path(jax.random.key(0), t, (4000,)), np.float64) for t in (0.0, 1.0, 2.0, 10.0, 1e3)}
    assert (at[0.0] == 0).all()
    steps = {(s, t): at[t] - at[s] for s, t in [(0.0, 1.0), (1.0, 2.0), (2.0, 10.0), (10.0, 1e3)]}
    for (s, t), step in steps.items():
        assert step.var() == pytest.approx(t - s, rel=5 * math.sqrt(2 / 4000))
    correlations = np.corrcoef(list(steps.values())) - np.eye(4)
    assert np.abs(correlations).max() < 5 / math.sqrt(4000)


def test_between_always_and_never_there_is_a_best_interval_to_recalibrate():
    """A tenth of the time may go into calibration, in readings of 1 s each: n = t / 10.

    Mean square gain error over an interval t: `law(1)² · 10 / t + σ_w² t / 2`, least at `t* = √20 law(1) / σ_w`.
    """
    walk = 1e-3
    best_s = math.sqrt(20) * law(1) / walk
    born_s, errors, laws = 1000.0, [], []
    for interval_s in (best_s / 4, best_s, 4 * best_s):
        readings = round(interval_s / 10)
        then, later = (
            override(CHIP, {"drift.gain_walk_per_sqrt_s": walk, "drift.age_s": age_s})
            for age_s in (born_s, born_s + interval_s / 2)  # the mean of an error that grows in proportion to time
        )
        drifted = calibrate(then, readings, seed=1).apply(later)
        errors.append(np.mean(gain_error(drifted) ** 2))
        laws.append(law(readings) ** 2 + walk**2 * interval_s / 2)
        born_s += 1000.0
    assert errors[1] < 0.7 * errors[0]
    assert errors[1] < 0.7 * errors[2]
    # 256 columns: a mean square is known to √(2/256) = 9 %; the sums of few readings to some 20 %
    np.testing.assert_allclose(errors, laws, rtol=0.45)


def test_drift_is_a_disturbance_that_can_be_turned_off():
    aged = override(CHIP, {"drift.gain_walk_per_sqrt_s": 1e-3, "drift.age_s": 100.0})
    entry = next(each for each in aged.tile.disturbances() if each.name == "drift of the columns")
    assert entry.setting == "0 K, 100 s"
    fresh = override(aged, {f"tile.{path}": value for path, value in entry.off.items()})
    np.testing.assert_array_equal(gain_error(fresh), gain_error(CHIP))


def test_what_cannot_be_calibrated_is_refused():
    with pytest.raises(PhotonsimError, match="at least 4"):
        calibrate(CHIP, 2)
    with pytest.raises(PhotonsimError, match="knows the columns of tiles that hold their weights"):
        calibrate(load_chip("lightening-transformer-b-8bit"), 64)
    calibrated = calibrate(CHIP, 8).apply(CHIP)
    wider = dataclasses.replace(calibrated, cores=8)
    with pytest.raises(PhotonsimError, match="calibrate it again"):
        wider.program(jnp.ones((ROWS, COLUMNS), jnp.float32))
    with pytest.raises(PhotonsimError, match=r"age_s = -1"):
        override(CHIP, {"drift.age_s": -1.0})
