"""A product of many bits in passes of few: exact where every pass is, and as noisy as its passes."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import describe, load_chip, override, save_chip
from photonsim.converters import Adc, Dac
from photonsim.converters.slices import exact_sum_bits
from photonsim.cost import Product, Storage, Workload, latency, price
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar, Homodyne, Sliced
from photonsim.tiles.encodings import TwoPass

IDEAL = load_chip("ideal")
KEY_DATA = jax.random.key_data(jax.random.key(0))
ROWS = 8


def crossbar(input_bits, weight_bits, adc: Adc) -> Crossbar:
    tile = IDEAL.tile
    assert isinstance(tile, Crossbar)
    cell = dataclasses.replace(tile.cell, bits=weight_bits, write_energy_j=3e-12)
    laser = dataclasses.replace(tile.laser, power_w=1.0)
    return dataclasses.replace(
        tile, rows=ROWS, columns=4, laser=laser, input_dac=Dac(input_bits, 1e-12), cell=cell, adc=adc
    )


def resolving(input_bits, weight_bits, bits=None) -> Adc:
    """A converter one of whose codes is one unit of the sum of products of codes."""
    bits = bits or exact_sum_bits(input_bits, weight_bits, ROWS)
    products = (2 ** (input_bits - 1) - 1) * (2 ** (weight_bits - 1) - 1)
    return Adc(bits, 1e-12, "calibrated", full_scale_products=(2 ** (bits - 1) - 1) / products)


INNER = crossbar(4, 3, resolving(4, 3))
SLICED = Sliced(INNER, input_bits=8, weight_bits=7)


def operands(m=6, k=17, n=9):
    rng = np.random.default_rng(0)
    return tuple(jnp.asarray(rng.normal(size=shape).astype(np.float32)) for shape in ((m, k), (k, n)))


def product(tile, engine="numba", shape=(6, 17, 9)):
    x, w = operands(*shape)
    return np.asarray(tile.matmul(x, tile.compact(tile.program(w, 2)), KEY_DATA, engine))


@pytest.mark.parametrize(("slices", "bits"), [((4, 3), (8, 7)), ((5, 9), (8, 9)), ((2, 2), (4, 3))])
def test_a_product_is_exact_where_the_converter_resolves_every_pass(slices, bits):
    """As on a crossbar of all the bits with an ideal converter, to float32 rounding of the shifts and additions."""
    (input_slice, weight_slice), (input_bits, weight_bits) = slices, bits
    inner = crossbar(input_slice, weight_slice, resolving(input_slice, weight_slice))
    whole = product(crossbar(input_bits, weight_bits, Adc(None, 0.0)))
    np.testing.assert_allclose(product(Sliced(inner, input_bits, weight_bits)), whole, atol=4e-6)


def test_the_compiled_engine_takes_the_passes_bit_for_bit():
    np.testing.assert_array_equal(product(SLICED), product(SLICED, "jax"))


def test_noise_of_the_passes_is_drawn_for_each():
    """Of measured noise over full scale, the places' variances add, Σ_ij 4^(3 i + 2 j) = 65 · 17 · the last's."""
    noisy = dataclasses.replace(resolving(4, 3), noise_rms=0.01)
    sliced = Sliced(crossbar(4, 3, noisy), input_bits=7, weight_bits=5)
    x, w = operands(400, ROWS, 32)
    x, w = jnp.clip(x, -4, 4).at[:, 0].set(4.0), jnp.clip(w, -4, 4).at[0].set(4.0)  # scales of 4
    quiet = Sliced(INNER, input_bits=7, weight_bits=5)
    error = sliced.matmul(x, sliced.program(w, 1), KEY_DATA, "jax") - quiet.matmul(
        x, quiet.program(w, 1), KEY_DATA, "jax"
    )
    sums = 0.01 * noisy.full_scale_code  # units of the sum, in one pass
    expected = (sums**2 + 1 / 12) * (1 + 64) * (1 + 16) * (16 / (63 * 15)) ** 2
    assert np.asarray(error).var() == pytest.approx(expected, rel=0.05)  # 12,800 outputs: 1.3 %; rounding in part


def test_events_are_those_of_the_passes():
    """Three digits of inputs by three of weights; each matrix of digits is written once for all its passes."""
    assert SLICED.digits == (3, 3)
    assert SLICED.macs_per_cycle == ROWS * 4 / 9
    events, inner = SLICED.events(2, 6, 17, 9), INNER.events(2, 6, 17, 9)
    for name in ("tile_cycles", "input_conversions", "output_conversions", "accumulations"):
        assert getattr(events, name) == 9 * getattr(inner, name)
    for name in ("weight_writes", "tile_writes"):
        assert getattr(events, name) == 3 * getattr(inner, name)
    assert events.macs == inner.macs


def test_it_is_priced_and_timed_as_its_inner_tile_with_the_sources_of_its_settings(tmp_path):
    chip = dataclasses.replace(IDEAL, name="sliced", tile=SLICED, cores=2, sources=(), quoted=())
    events = chip.events(1, 6, 17, 9)
    bill = price(chip, events, 1e-6, "one product")
    assert bill.by_component_j()["weights"] == pytest.approx(events.weight_writes * 3e-12)
    names = {name for charge in bill.charges for name, _ in charge.sources}
    assert {"tile.inner.adc.energy_j", "tile.inner.laser.power_w"} <= names
    step = latency(chip, Workload("prefill", 6, (Product("wq", "weight", 1, 6, 17, 9),), (), (), Storage())).steps[0]
    assert step.optics_s == pytest.approx(14 * 18 / 1e9)  # 27 tiles on two cores, 18 symbols each
    save_chip(chip, tmp_path / "copy.toml")
    assert describe(load_chip(tmp_path / "copy.toml")) == describe(chip)
    assert describe(override(chip, {"adc.energy_j": 0.0}))["tile"]["inner"]["adc"]["energy_j"] == 0.0


def test_every_disturbance_of_the_inner_tile_can_be_turned_off():
    chip = dataclasses.replace(IDEAL, name="sliced", tile=SLICED, cores=2, sources=(), quoted=())
    names = [disturbance.name for disturbance in SLICED.disturbances()]
    assert "output converter" in names
    assert "weight levels" not in names  # the digits' own: a cell of fewer levels is another slicing
    for disturbance in SLICED.disturbances():
        override(chip, {f"tile.{path}": value for path, value in disturbance.off.items()})


def test_gradients_are_those_of_a_tile_of_all_the_bits():
    x, w = operands()
    sliced, whole = (
        jax.grad(lambda w, tile=tile: jnp.sum(tile.matmul(x, tile.program(w, 2), KEY_DATA, "jax") ** 2))(w)
        for tile in (SLICED, crossbar(8, 7, Adc(None, 0.0)))
    )
    np.testing.assert_allclose(sliced, whole, atol=1e-3)
    assert float(jnp.abs(whole).max()) > 10


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (Homodyne, "not codes under a scale"),
        ({"encoding": TwoPass()}, "differential"),
        ({"input_dac": Dac(None, 0.0)}, "input_dac.bits"),
    ],
)
def test_an_inner_tile_that_cannot_be_sliced_is_refused(inner, message):
    if inner is Homodyne:
        shared = {name: getattr(INNER, name) for name in ("clock_hz", "input_dac", "modulator", "receiver", "adc")}
        wrong = Homodyne(4, 4, 8, insertion_loss_db=0.0, weight_dac=INNER.input_dac, laser=INNER.laser, **shared)
    else:
        wrong = dataclasses.replace(INNER, **inner)
    with pytest.raises(PhotonsimError, match=message):
        Sliced(wrong, 8, 8)
