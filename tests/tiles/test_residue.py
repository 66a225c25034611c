"""Remainders in phases: exact while every angle is read right, ruinous when one is not, and how often that is."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import describe, load_chip, override, save_chip
from photonsim.converters import Adc, Dac
from photonsim.converters.formats import BlockFloatingPoint
from photonsim.cost import price
from photonsim.devices import Laser, Modulator, Receiver, WeightCell
from photonsim.errors import PhotonsimError
from photonsim.tiles import Residue

KEY_DATA = jax.random.key_data(jax.random.key(0))
MIRAGE = Residue(
    rows=16,
    columns=8,
    clock_hz=10e9,
    insertion_loss_db=3.0,
    k=5,
    laser=Laser(power_w=0.1, wall_plug_efficiency=0.2, wavelength_m=1550e-9),
    input_dac=Dac(5, 1e-12),
    modulator=Modulator(1e-14),
    cell=WeightCell(bits=5, write_energy_j=3e-12, tile_write_time_s=1e-8),
    receiver=Receiver(responsivity_a_per_w=1.0, energy_j=1e-13, shot_noise=False),
    adc=Adc(None, 2e-12),
)
MODULI = (31, 32, 33)
M = 31 * 32 * 33


def operands(m=6, k=40, n=9):
    rng = np.random.default_rng(0)
    return tuple(jnp.asarray(rng.normal(size=shape).astype(np.float32)) for shape in ((m, k), (k, n)))


def product(tile, shape=(6, 40, 9)):
    x, w = operands(*shape)
    return np.asarray(tile.matmul(x, tile.compact(tile.program(w, 2)), KEY_DATA, "jax"))


def steps_off(tile, m=250, n=64):
    """Errors of one group's whole-numbered sums: of codes under the exponent 0."""
    x, w = operands(m, 16, n)
    x, w = (v.at[:].set(jnp.clip(v / 3, -1, 1)) for v in (x, w))
    x, w = x.at[:, 0].set(1.0), w.at[0].set(1.0)
    quiet = dataclasses.replace(tile, adc=MIRAGE.adc, phase_sigma_rad=0.0, receiver=MIRAGE.receiver)
    noisy, exact = (t.matmul(x, t.program(w, 1), KEY_DATA, "jax") for t in (tile, quiet))
    return np.rint((np.asarray(noisy) - np.asarray(exact)) * 15 * 15).astype(int)


def test_a_quiet_tile_multiplies_block_floating_point_exactly():
    """Groups of 16 with a shared exponent and codes within ±15, as `BlockFloatingPoint` rounds them."""
    x, w = operands()
    rounding = BlockFloatingPoint(5, 16, "power of two")
    expected = np.asarray(rounding.quantize(x)) @ np.asarray(rounding.quantize(w.T)).T
    np.testing.assert_allclose(product(MIRAGE), expected, atol=2e-5)
    unrounded = dataclasses.replace(MIRAGE, input_dac=Dac(None, 0.0), cell=dataclasses.replace(MIRAGE.cell, bits=None))
    np.testing.assert_allclose(product(unrounded), x @ w, atol=2e-5)


def test_five_bits_a_quadrature_tell_all_remainders_apart_and_three_do_not():
    """Half a code of each quadrature, at right angles: 0.71/15 rad against π/33; with L = 3, 0.24 rad."""
    np.testing.assert_array_equal(product(dataclasses.replace(MIRAGE, adc=Adc(5, 0.0))), product(MIRAGE))
    assert np.abs(product(dataclasses.replace(MIRAGE, adc=Adc(3, 0.0))) - product(MIRAGE)).max() > 10


@pytest.mark.parametrize("sigma", [0.04, 0.055])
def test_remainders_are_misread_as_often_as_an_angle_errs_by_half_a_step(sigma):
    """P = erfc(π / (√2 m σ)) for each modulus, all three right with Π (1 − P). 16,000 sums."""
    off = steps_off(dataclasses.replace(MIRAGE, adc=Adc(None, 0.0, noise_rms=sigma)))
    right = math.prod(1 - math.erfc(math.pi / (math.sqrt(2) * m * sigma)) for m in MODULI)
    assert (off != 0).mean() == pytest.approx(1 - right, rel=0.15)


def test_the_phase_errors_of_a_group_add_up_in_variance():
    """0.01 rad a term are 0.04 rad in a group of 16."""
    off = steps_off(dataclasses.replace(MIRAGE, phase_sigma_rad=0.01))
    right = math.prod(1 - math.erfc(math.pi / (math.sqrt(2) * m * 0.04)) for m in MODULI)
    assert (off != 0).mean() == pytest.approx(1 - right, rel=0.2)


def test_one_wrong_remainder_is_wrong_by_a_multiple_of_the_others_moduli():
    """M/m times a whole number: a thirty-third of the whole range at least. Two wrong at once are 2 % of these."""
    off = steps_off(dataclasses.replace(MIRAGE, adc=Adc(None, 0.0, noise_rms=0.04)))
    wrong = off[off != 0]
    single = np.any([wrong % (M // m) == 0 for m in MODULI], axis=0)
    assert single.mean() > 0.95
    assert np.abs(wrong[single]).min() >= M // 33
    assert np.abs(wrong).max() <= M


def test_light_sets_the_angle_s_noise():
    """σ² = 2/n: of n electrons on a reading's diodes half are on each quadrature's, and of those half are signal."""
    bright = dataclasses.replace(MIRAGE, receiver=dataclasses.replace(MIRAGE.receiver, shot_noise=True))
    power_w = 0.1 / 10**0.3 / (8 * 3)
    electrons = power_w / (1.602176634e-19 * 10e9)
    assert float(bright.electrons_per_reading) == pytest.approx(electrons, rel=1e-5)
    assert float(bright.quadrature_variance) == pytest.approx(2 / electrons, rel=1e-5)
    dim = dataclasses.replace(bright, laser=dataclasses.replace(bright.laser, power_w=0.1 * 1250 / electrons))
    right = math.prod(1 - math.erfc(math.pi / (math.sqrt(2) * m * 0.04)) for m in MODULI)
    assert (steps_off(dim) != 0).mean() == pytest.approx(1 - right, rel=0.2)


def test_gradients_pass_as_if_all_remainders_were_right():
    x, w = operands()
    noisy = dataclasses.replace(MIRAGE, adc=Adc(5, 0.0, noise_rms=0.04))
    gradient = jax.grad(lambda x: jnp.sum(noisy.matmul(x, noisy.program(w, 1), KEY_DATA, "jax")))(x)
    expected = np.broadcast_to(np.asarray(w).sum(1), (6, 40))
    assert np.corrcoef(np.asarray(gradient).ravel(), expected.ravel())[0, 1] > 0.99


def test_three_channels_convert_and_two_quadratures_of_each_are_read(tmp_path):
    ideal = load_chip("ideal")
    chip = dataclasses.replace(ideal, name="mirage", tile=MIRAGE, cores=2, sources=(), quoted=())
    events = chip.events(2, 6, 40, 9)
    assert events.tile_writes == 2 * 3 * 2
    assert events.tile_cycles == 6 * events.tile_writes
    assert events.input_conversions == 2 * 3 * 6 * 40 * 2
    assert events.weight_writes == 2 * 3 * 40 * 9
    assert events.output_conversions == 2 * 6 * (6 * 9 * 3)
    bill = price(chip, events, 1e-6, "one product").by_component_j()
    assert bill["weights"] == pytest.approx(events.weight_writes * 3e-12)
    assert bill["TIA + ADC"] == pytest.approx(events.output_conversions * 2.1e-12)
    save_chip(chip, tmp_path / "copy.toml")
    assert describe(load_chip(tmp_path / "copy.toml")) == describe(chip)
    for disturbance in MIRAGE.disturbances():
        override(chip, {f"tile.{path}": value for path, value in disturbance.off.items()})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": 73}, "at most 72"),
        ({"adc": Adc(5, 0.0, gain=2.0)}, "fills its converter's range"),
        ({"phase_sigma_rad": -0.1}, "phase_sigma_rad"),
    ],
)
def test_a_tile_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(PhotonsimError, match=message):
        dataclasses.replace(MIRAGE, **wrong)


def test_the_compiled_kernel_finds_the_same_bits_and_has_the_definition_s_gradient():
    """For a batch of products, each with its own key."""
    tile = dataclasses.replace(MIRAGE, adc=Adc(4, 0.0, noise_rms=0.05), phase_sigma_rad=0.02)
    x, w = operands(7, 40, 70)
    both, weights = jnp.stack([x, 2 - x]), tile.compact(tile.program(jnp.stack([w, w[::-1]])))
    keys = jnp.stack([KEY_DATA, KEY_DATA + 1])

    def total(x, engine):
        product = tile.matmul(x, weights, keys, engine, 3)
        return product.sum(), product

    (ours, fast), (theirs, defined) = (jax.grad(total, has_aux=True)(both, engine) for engine in ("numba", "jax"))
    np.testing.assert_array_equal(fast, defined)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_kernel_maps_over_keys():
    tile = dataclasses.replace(MIRAGE, adc=Adc(5, 0.0, noise_rms=0.05))
    x, w = operands()
    weights, keys = tile.program(w), jnp.stack([KEY_DATA, KEY_DATA + 1])
    mapped = jax.vmap(lambda key: tile.matmul(x, weights, key, "numba"))(keys)
    np.testing.assert_array_equal(mapped, jnp.stack([tile.matmul(x, weights, key, "numba") for key in keys]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"input_dac": Dac(None, 0.0)}, "unrounded operands"), ({"k": 8}, "k = 8 counts beyond the kernel's 32 bits")],
)
def test_what_the_kernel_cannot_count_it_refuses(changes, message):
    x, w = operands()
    tile = dataclasses.replace(MIRAGE, **changes)
    with pytest.raises(PhotonsimError, match=message):
        tile.matmul(x, tile.program(w), KEY_DATA, "numba")
    with pytest.raises(PhotonsimError, match="no Pallas kernel"):
        tile.matmul(x, tile.program(w), KEY_DATA, "pallas")
