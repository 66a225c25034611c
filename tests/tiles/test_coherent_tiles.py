"""What meshes, dynamic crossbars, homodyne and time-integrating receivers share: exact when ideal, TOML, prices."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import describe, load_chip, override, save_chip
from photonsim.converters import Adc, Dac
from photonsim.cost import Product, Storage, Workload, latency, price
from photonsim.devices import Laser, Modulator, Receiver
from photonsim.devices.phase_shifter import PhaseShifter
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar, Die, DynamicCrossbar, Homodyne, Mesh, TimeIntegrating

LASER = Laser(power_w=0.1, wall_plug_efficiency=0.2, wavelength_m=1550e-9)
RECEIVER = Receiver(responsivity_a_per_w=1.0, energy_j=1e-13, shot_noise=False)
DAC, ADC = Dac(bits=None, energy_j=1e-12), Adc(bits=None, energy_j=2e-12)
MODULATOR = Modulator(energy_j=1e-14, static_power_w=1e-3)
LIGHT = {"clock_hz": 5e9, "insertion_loss_db": 3.0, "laser": LASER, "receiver": RECEIVER, "adc": ADC}
STREAMS = LIGHT | {"input_dac": DAC, "weight_dac": DAC, "modulator": MODULATOR}
SHIFTER = PhaseShifter(pi_power_w=30e-3, response_time_s=10e-6, write_energy_j=1e-12)
MESH = Mesh(rows=5, columns=4, cell_loss_db=0.2, input_dac=DAC, modulator=MODULATOR, phase_shifter=SHIFTER, **LIGHT)
DYNAMIC = DynamicCrossbar(rows=3, columns=4, wavelengths=3, accumulation=2, **STREAMS)
HOMODYNE = Homodyne(rows=3, columns=4, integration_steps=7, **STREAMS)
NETCAST = TimeIntegrating(rows=1, columns=4, integration_steps=7, weight_modulator=MODULATOR, **STREAMS)
TILES = [MESH, DYNAMIC, HOMODYNE, NETCAST]
IDEAL = load_chip("ideal")


def on_chip(tile, cores=2):
    return dataclasses.replace(IDEAL, name="custom", tile=tile, cores=cores, sources=(), quoted=())


def operands(m=6, k=17, n=9):
    rng = np.random.default_rng(0)
    return rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: type(tile).__name__)
def test_a_tile_without_errors_is_the_matrix_its_gradient_and_its_batch(tile):
    chip = on_chip(tile)
    x, w = operands()
    key = jax.random.key(0)

    def squared(w):
        product = chip.matmul(jnp.asarray(x), chip.compact(chip.program(w)), key, "jax")
        return jnp.sum(product**2), product

    gradient, product = jax.jit(jax.grad(squared, has_aux=True))(jnp.asarray(w))
    assert np.asarray(product) == pytest.approx(x @ w, abs=3e-5)  # a mesh: 2N layers of float32 rotations
    assert np.asarray(gradient) == pytest.approx(2 * x.T @ (x @ w), abs=3e-4)
    pair = chip.matmul(jnp.stack([x, -x]), chip.program(jnp.stack([w, 2 * w])), jax.random.split(key, 2), "jax")
    assert np.asarray(pair) == pytest.approx(np.stack([x @ w, -2 * x @ w]), abs=6e-5)


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: type(tile).__name__)
def test_a_chip_written_and_read_back_is_the_same_chip(tile, tmp_path):
    die = Die(seed=3, gain_spread=0.01)
    chip = on_chip(dataclasses.replace(tile, die=die))
    save_chip(chip, tmp_path / "copy.toml")
    copy = load_chip(tmp_path / "copy.toml")
    assert type(copy.tile) is type(tile)
    assert describe(copy) == describe(chip)


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: type(tile).__name__)
def test_every_disturbance_is_a_setting_and_off_in_an_ideal_tile(tile):
    chip = on_chip(tile)
    for disturbance in tile.disturbances():
        changed = override(chip, {f"tile.{path}": value for path, value in disturbance.off.items()})
        if disturbance.name != "splitters and paths":
            assert describe(changed) == describe(chip)


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: type(tile).__name__)
def test_a_pass_has_a_price_and_a_time(tile):
    chip = on_chip(tile)
    product = Product("blocks.0.wq", "weight", 1, 6, 17, 9)
    events = chip.events(1, 6, 17, 9)
    bill = price(chip, events, 1e-6, "one product")
    converted = events.input_conversions * (1e-12 + 1e-14) + events.output_conversions * (2e-12 + 1e-13)
    assert bill.by_component_j()["modulators + DAC"] + bill.by_component_j()["TIA + ADC"] == pytest.approx(
        converted + 1e-6 * 2 * 1e-3 * {Mesh: 5, DynamicCrossbar: 9, Homodyne: 3, TimeIntegrating: 1}[type(tile)]
    )
    weights = events.weight_writes * (1e-12 if tile is MESH else 1.01e-12)
    lit = {DynamicCrossbar: 12, Homodyne: 4, TimeIntegrating: 4}.get(
        type(tile), 0
    )  # modulators of weights that are light
    held = 2 * (25 + 16 + 4) * 15e-3 * 1e-6 if tile is MESH else 2 * lit * 1e-3 * 1e-6
    assert bill.by_component_j()["weights"] == pytest.approx(weights + held)
    step = latency(chip, Workload("prefill", 6, (product,), (), (), Storage())).steps[0]
    assert step.reload_s == pytest.approx({Mesh: 6 * 10e-6}.get(type(tile), 0.0))  # 4 × 3 blocks on two cores
    assert step.optics_s >= events.tile_cycles / chip.cores / 5e9 * (1 - 1e-12)


@pytest.mark.parametrize("engine", ["numba", "pallas"])
@pytest.mark.parametrize("tile", [DYNAMIC, HOMODYNE], ids=["DynamicCrossbar", "Homodyne"])
def test_a_tile_without_a_kernel_says_so(tile, engine):
    x, w = operands()
    chip = on_chip(dataclasses.replace(tile, phase_sigma_rad=0.1))
    with pytest.raises(PhotonsimError, match=rf'has no {engine.title()} kernel.*engine="jax"'):
        chip.matmul(jnp.asarray(x), chip.program(jnp.asarray(w)), jax.random.key(0), engine)


@pytest.mark.parametrize("tile", [MESH, NETCAST], ids=["Mesh", "TimeIntegrating"])
def test_a_tile_whose_noise_is_the_crossbar_s_runs_its_kernel_bit_for_bit(tile):
    tile = dataclasses.replace(tile, adc=Adc(bits=8, energy_j=0.0, noise_rms=0.01), input_dac=Dac(6, 0.0))
    chip = on_chip(tile)
    x, w = operands()
    programmed = chip.program(jnp.asarray(w))
    fast, definition = (
        np.asarray(chip.matmul(jnp.asarray(x), programmed, jax.random.key(0), engine)) for engine in ("numba", "jax")
    )
    assert np.array_equal(fast, definition)


@pytest.mark.parametrize(
    ("tile", "wrong"),
    [
        (MESH, {"scheme": "clement"}),
        (MESH, {"local_oscillator_share": 1.0}),
        (DYNAMIC, {"wavelengths": 0}),
        (HOMODYNE, {"phase_sigma_rad": -0.1}),
        (NETCAST, {"integration_steps": 0}),
        (DYNAMIC, {"laser": Laser(0.0, 0.2, 1550e-9)}),
    ],
)
def test_a_tile_that_cannot_be_is_refused(tile, wrong):
    with pytest.raises(PhotonsimError, match=next(iter(wrong))):
        dataclasses.replace(tile, **wrong)


def test_time_in_place_of_rows_changes_no_number():
    """An integrating receiver of 7 steps is a crossbar of 7 rows under as much light per multiplication."""
    bright = dataclasses.replace(RECEIVER, shot_noise=True)
    receiver = dataclasses.replace(NETCAST, receiver=bright, weight_dac=Dac(5, 0.0), input_dac=Dac(6, 0.0))
    ideal = IDEAL.tile
    assert isinstance(ideal, Crossbar)
    crossbar = dataclasses.replace(
        ideal,
        rows=7,
        columns=4,
        clock_hz=5e9,
        insertion_loss_db=3.0,
        laser=dataclasses.replace(LASER, power_w=0.7),
        input_dac=Dac(6, 0.0),
        cell=dataclasses.replace(ideal.cell, bits=5),
        receiver=bright,
        adc=ADC,
    )
    x, w = (jnp.asarray(v) for v in operands())
    key = jax.random.key(0)
    answers = [chip.matmul(x, chip.program(w), key, "jax") for chip in (on_chip(receiver), on_chip(crossbar))]
    assert np.asarray(answers[0]) == pytest.approx(np.asarray(answers[1]), rel=1e-4, abs=1e-4)
    assert np.abs(np.asarray(answers[0]) - np.asarray(x @ w)).max() > 1e-3


def test_a_chip_file_names_its_tile(tmp_path):
    text = """
    cores = 8
    [tile]
    kind = "dynamic-crossbar"
    rows = 12
    columns = 12
    wavelengths = 12
    clock_hz = 5e9
    insertion_loss_db = 4.22
    channel_spacing_m = 0.4e-9
    laser = { power_w = 19e-3, wall_plug_efficiency = 0.2, wavelength_m = 1550e-9 }
    input_dac = { bits = 4, energy_j = 0.45e-12 }
    weight_dac = { bits = 4, energy_j = 0.45e-12 }
    modulator = { energy_j = 1.8e-12 }
    receiver = { responsivity_a_per_w = 1.0, energy_j = 0.6e-12 }
    adc = { bits = 8, energy_j = 1.48e-12 }
    [memory]
    sram_read_j_per_bit = 1e-13
    sram_write_j_per_bit = 1e-13
    dram_name = "HBM2"
    dram_j_per_bit = 3.9e-12
    dram_bandwidth_bits_per_s = 8e12
    dram_capacity_bits = 1e12
    [digital]
    accumulate_j = 1e-13
    scale_j = 1e-13
    mac_j = 3e-13
    macs_per_s = 1e14
    vector_operation_j = 5e-13
    vector_operations_per_s = 1e13
    node_nm = 14.0
    """
    (tmp_path / "lt.toml").write_text(text)
    chip = load_chip(tmp_path / "lt.toml")
    assert isinstance(chip.tile, DynamicCrossbar)
    assert 2 * chip.cores * chip.tile.macs_per_cycle * chip.clock_hz == pytest.approx(138.24e12)
    (tmp_path / "wrong.toml").write_text(text.replace("dynamic-crossbar", "dynamic"))
    with pytest.raises(PhotonsimError, match="Did you mean dynamic-crossbar"):
        load_chip(tmp_path / "wrong.toml")
