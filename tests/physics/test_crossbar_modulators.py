"""Modulators and losses inside a tile: what a finite contrast, a bent curve and a long path do to a product."""

import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import Chip, describe, load_chip, override, save_chip
from photonsim.cost.energy import price
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar
from photonsim.tiles.inputs import dac_levels
from photonsim.units import ELEMENTARY_CHARGE_C

ROWS, COLUMNS, READINGS = 16, 16, 2000
IDEAL = override(load_chip("ideal"), {"tile.rows": ROWS, "tile.columns": COLUMNS, "laser.power_w": 2e-5})
MACH_ZEHNDER = {
    "kind": "mach-zehnder",
    "half_wave_voltage_v": 2.0,
    "capacitance_f": 40e-15,
    "insertion_loss_db": 1.2,
    "extinction_ratio_db": 10.0,
}
ABSORBER = {
    "kind": "electro-absorption",
    "swing_v": 2.0,
    "capacitance_f": 10e-15,
    "insertion_loss_db": 3.0,
    "extinction_ratio_db": 8.0,
}
PIXEL = {
    "kind": "metasurface",
    "mirror_loss_db": 0.5,
    "resonance_depth_db": 15.0,
    "quality_factor": 1000.0,
    "tuning_m_per_v": 1e-9,
    "swing_v": 4.0,
    "capacitance_f": 1e-15,
}
LINEAR = {"kind": "linear", "energy_j": 1e-14, "insertion_loss_db": 1.2, "extinction_ratio_db": 10.0}
each_modulator = pytest.mark.parametrize("modulator", [MACH_ZEHNDER, ABSORBER, PIXEL, LINEAR], ids=lambda m: m["kind"])


def crossbar(chip: Chip) -> Crossbar:
    """The chip's tile, known to be a crossbar."""
    assert isinstance(chip.tile, Crossbar)
    return chip.tile


def product(chip, x, w, engine="jax"):
    programmed = chip.program(jnp.asarray(w, jnp.float32))
    return np.asarray(chip.matmul(jnp.asarray(x, jnp.float32), programmed, jax.random.key(0), engine), np.float64)


def pinned():
    """One input vector and a matrix whose scales are exactly 1."""
    rng = np.random.default_rng(1)
    x, w = rng.uniform(-1, 1, ROWS), rng.uniform(-1, 1, (ROWS, COLUMNS))
    x[0], w[0] = 1.0, 1.0
    return x.astype(np.float32), w.astype(np.float32)


@pytest.mark.parametrize("modulator", [MACH_ZEHNDER, PIXEL], ids=lambda m: m["kind"])
def test_a_table_leaves_the_mean_alone_and_the_light_at_zero_its_shot_noise(modulator):
    """Two rails leak ε of a full-scale input each: Var = [Σ |x| |w| + 2 ε/(1 − ε) Σ |w|] / (n (1 − ε))."""
    x, w = pinned()
    chip = override(IDEAL, {"tile.modulator": modulator, "receiver.shot_noise": True})
    tile = crossbar(chip)
    y = product(chip, np.tile(x, (READINGS, 1)), w)
    leak = float(tile.modulator.leakage)
    light = np.abs(x) @ np.abs(w) + 2 * leak / (1 - leak) * np.abs(w).sum(0)
    law = light / float(tile.electrons_per_mac)
    full = float(tile.receiver.responsivity_a_per_w * tile.power_per_mac_w) / ELEMENTARY_CHARGE_C / 1e9
    assert float(tile.electrons_per_mac) == pytest.approx(full * (1 - leak), rel=1e-5)
    # READINGS × COLUMNS normal draws
    assert (y.var(0) / law).mean() == pytest.approx(1, abs=5 * math.sqrt(2 / READINGS / COLUMNS))
    assert (np.abs(y.mean(0) - x @ w) < 5 * np.sqrt(law / READINGS)).all()
    assert leak > 0.01


def test_one_rail_leaks_half_as_much_in_each_of_two_passes():
    x, w = pinned()
    x[1] = -1.0  # both passes are read, at a scale of 1
    dark = {"tile.modulator": LINEAR | {"extinction_ratio_db": 190.0}}
    leaky = {"tile.modulator": LINEAR | {"extinction_ratio_db": 3.0103}}  # ε = 1/2: a leak of Σ |w| per rail
    lit = {"receiver.shot_noise": True, "tile.encoding": "two-pass"}
    chips = [override(IDEAL, lit | each) for each in (dark, leaky)]
    variances = [product(chip, np.tile(x, (READINGS, 1)), w).var(0).mean() for chip in chips]
    once, both = (np.abs(x) @ np.abs(w)).mean(), 2 * np.abs(w).sum(0).mean()
    error = 5 * math.sqrt(2 / READINGS / COLUMNS) * math.sqrt(2)
    assert variances[1] / variances[0] == pytest.approx(2 * (once + both) / once, rel=error)


@each_modulator
def test_insertion_loss_and_drive_energy_are_on_the_bill(modulator):
    chip = override(IDEAL, {"tile.modulator": modulator})
    device = crossbar(chip).modulator
    lost_db = 10 * math.log10(float(crossbar(IDEAL).photons_per_mac / crossbar(chip).photons_per_mac))
    assert lost_db == pytest.approx(float(device.insertion_loss_db), abs=1e-4)
    bill = price(chip, chip.events(1, 10, ROWS, COLUMNS), 1e-6)
    modulated = next(charge for charge in bill.charges if charge.what == "symbols modulated")
    assert modulated.count * modulated.price == pytest.approx(10 * ROWS * float(device.energy_j))
    drive = {"mach-zehnder": 3, "electro-absorption": 3, "metasurface": 3, "linear": 1}[modulator["kind"]]
    assert len(modulated.sources) == drive  # C, V and the activity, or the energy itself


@pytest.mark.parametrize("modulator", [MACH_ZEHNDER, ABSORBER], ids=lambda m: m["kind"])
def test_without_a_table_the_curve_bends_the_inputs(modulator):
    """The answer is that of the inputs that the modulator's own curve makes of the DAC's codes, on either engine."""
    x, w = pinned()
    chip = override(IDEAL, {"tile.modulator": modulator, "input_dac.bits": 8, "tile.predistortion": "none"})
    device = crossbar(chip).modulator
    light = device.untabled_transmission(jnp.asarray(np.rint(np.abs(x) * 127) / 127))
    bent = np.sign(x) * np.asarray((light - device.darkest) / (device.brightest - device.darkest), np.float64)
    np.testing.assert_allclose(product(chip, x[None], w)[0], bent @ w, atol=1e-4)
    np.testing.assert_allclose(product(chip, x[None], w, "numba")[0], bent @ w, atol=1e-4)
    assert np.abs(bent - x).max() > 0.05
    assert any(each.name == "modulator curve" for each in chip.tile.disturbances())


def test_a_table_in_a_dac_of_few_bits_finds_the_nearest_light():
    """64 codes equally far apart in voltage along a raised cosine: steps of π/2 · 1/63 of the light at most."""
    inputs = np.linspace(-1, 1, 401, dtype=np.float32)[:, None] * np.eye(ROWS, dtype=np.float32)[:1]
    inputs[:, 1] = 1.0  # the scale of each block; its weight is zero
    w = np.zeros((ROWS, COLUMNS), np.float32)
    w[0] = 1.0
    changes = {"tile.modulator": MACH_ZEHNDER, "input_dac.bits": 7, "tile.predistortion": "nearest-code"}
    y = product(override(IDEAL, changes), inputs, w)[:, 0]
    error = np.abs(y - inputs[:, 0])
    assert (np.diff(y) >= -1e-6).all()
    assert error.max() <= math.pi / 2 / 63 / 2 * 1.001
    assert len(np.unique(np.round(y, 6))) <= 2 * 63 + 1
    coarse = (np.abs(inputs[:, 0]) > 0.4) & (np.abs(inputs[:, 0]) < 0.6)
    fine = np.abs(inputs[:, 0]) > 0.95
    assert error[coarse].max() > 1.5 * error[fine].max()  # steep in the middle, flat at the ends


def test_unequal_steps_of_the_inputs_converters_are_those_of_each_rows_curve():
    x, w = pinned()
    chip = override(IDEAL, {"input_dac.bits": 8, "tile.input_dnl_rms": 0.3, "die.seed": 5})
    levels = np.asarray(dac_levels(8, 0.3, ROWS, 5))
    written = levels[np.arange(ROWS), np.rint(x * 127).astype(int) + 127] / 127
    np.testing.assert_allclose(product(chip, x[None], w)[0], written @ w, atol=1e-4)
    inl = levels - np.arange(-127, 128)
    # a Brownian bridge of 254 steps of 0.3 LSB: mean square σ² N / 6; 16 rows, whose bridges vary by 1.0 of that
    assert (inl**2).mean() == pytest.approx(0.3**2 * 254 / 6, rel=5 * 0.9 / math.sqrt(ROWS))


def test_gradients_pass_straight_through_the_modulators():
    x, w = pinned()
    chip = override(IDEAL, {"tile.modulator": MACH_ZEHNDER, "input_dac.bits": 8, "tile.predistortion": "nearest-code"})
    gradient = jax.grad(lambda x: chip.matmul(x, chip.program(jnp.asarray(w)), jax.random.key(0), "jax").sum())
    reached = gradient(jnp.asarray(x[None]))[0, 1:]  # the first input is at the converter's end, where a clip begins
    np.testing.assert_allclose(reached, w.sum(1)[1:], rtol=1e-3, atol=1e-3)


@each_modulator
def test_a_modulator_and_the_stages_of_a_path_survive_a_chip_file(modulator, tmp_path):
    stages = {
        "coupler": {"kind": "loss", "loss_db": 2.0, "count": 2},
        "bus": {"kind": "waveguide", "loss_db_per_cm": 1.5, "length_m": 0.01},
        "row_tree": {"kind": "splitter-tree", "fan_out": ROWS, "stage_loss_db": 0.1},
        "grid": {"kind": "crossings", "count": 15, "loss_db": 0.02},
    }
    chip = override(IDEAL, {"tile.modulator": modulator})
    text = describe(chip)["tile"] | {"stages": stages}
    save_chip(chip, tmp_path / "chip.toml")
    source = (tmp_path / "chip.toml").read_text()
    tables = {name: "\n".join(f"{k} = {v!r}" for k, v in each.items()) for name, each in stages.items()}
    lines = [f"[tile.stages.{name}]\n{table}" for name, table in tables.items()]
    (tmp_path / "chip.toml").write_text(source.replace("[memory]", "\n".join([*lines, "\n[memory]"])))
    read = load_chip(tmp_path / "chip.toml")
    assert describe(read)["tile"]["stages"].keys() == stages.keys()
    assert describe(read)["tile"]["modulator"] == text["modulator"]
    save_chip(read, tmp_path / "again.toml")
    assert describe(load_chip(tmp_path / "again.toml")) == describe(read)
    # 4 dB of couplers, 1.5 of waveguide, 4 stages of 0.1, 0.3 of crossings; the tree's division is the tile's own
    itemised_db = 4.0 + 1.5 + 0.4 + 0.3 + float(crossbar(read).modulator.insertion_loss_db)
    assert float(crossbar(read).link.excess_loss_db) == pytest.approx(itemised_db, abs=1e-5)
    assert crossbar(read).link.fan_out == COLUMNS
    lost_db = 10 * math.log10(float(crossbar(chip).photons_per_mac / crossbar(read).photons_per_mac))
    assert lost_db == pytest.approx(6.2, abs=1e-4)


def test_light_follows_from_the_laser_and_the_laser_from_the_light():
    tile = crossbar(override(IDEAL, {"tile.modulator": MACH_ZEHNDER, "tile.insertion_loss_db": 5.0}))
    laser_w = tile.link.laser_power_w(tile.power_per_mac_w)
    assert float(laser_w) == pytest.approx(float(tile.laser.power_w), rel=1e-5)
    assert float(tile.with_photons_per_mac(123.0).photons_per_mac) == pytest.approx(123.0, rel=1e-5)
    wanted_w = float(tile.with_photons_per_mac(123.0).power_per_mac_w)
    assert float(tile.link.laser_power_w(wanted_w)) == pytest.approx(
        float(tile.with_photons_per_mac(123.0).laser.power_w), rel=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile.modulator": "mach-zehnder"}, "tile.modulator.half_wave_voltage_v is missing"),
        ({"tile.modulator": "ring"}, "tile.modulator.kind = 'ring' is unknown"),
        ({"tile.modulator": MACH_ZEHNDER | {"extinction_ratio_db": 0.0}}, "extinction_ratio_db"),
        ({"tile.predistortion": "some"}, "Known: exact"),
        ({"tile.stages": {"tree": {"kind": "splitter-tree", "fan_out": 7}}}, "does not divide"),
        ({"tile.stages": {"tree": {"kind": "bush"}}}, "tile.stages.tree.kind = 'bush' is unknown. Known: crossings"),
        ({"tile.stages": {"coupler": 3.0}}, "tile.stages.coupler is a table"),
    ],
)
def test_a_modulator_or_a_path_that_cannot_be_is_refused(changes, message):
    with pytest.raises(PhotonsimError, match=message):
        override(IDEAL, changes)
