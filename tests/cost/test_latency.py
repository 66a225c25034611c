"""The roofline: what each part of the chip needs, and which of them sets the pace."""

import math
from dataclasses import replace
from typing import cast

import equinox as eqx
import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photonsim.chip import load_chip
from photonsim.cost import (
    ForwardPass,
    Product,
    Storage,
    Workload,
    architecture,
    baselines,
    energy,
    forward,
    latency,
    load_architecture,
    peak_bill,
    peak_tops,
)
from photonsim.cost.forward import stack_products
from photonsim.cost.latency import CONVERTERS, DIGITAL, DRAM, OPTICS, RELOAD, SRAM, VECTOR, Step
from photonsim.cost.tariff import weight_prices
from photonsim.cost.workload import VectorWork
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar, DynamicCrossbar

ENVISE = load_chip("lightmatter-envise-2025")
TILE = cast(Crossbar, ENVISE.tile)
SHAPE = architecture(
    {
        "vocab_size": 500,
        "hidden_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 200,
    }
)


def only(*products, vector=()):
    return Workload("prefill", 1, products, vector, (), Storage())


def double_buffered(chip, flag):
    return replace(chip, tile=replace(TILE, cell=replace(TILE.cell, double_buffered=flag)))


SIZE = st.integers(1, 60)


@given(m=SIZE, k=SIZE, n=SIZE, rows=st.integers(1, 12), columns=st.integers(1, 12), cores=st.integers(1, 5))
def test_optical_time_is_the_rounds_of_a_schedule_played_out(m, k, n, rows, columns, cores):
    """Deal the tiles out to the cores one by one; the chip is done when its busiest core is."""
    tile = replace(ENVISE.tile, rows=rows, columns=columns)
    busy = [0] * cores
    for number in range(math.ceil(k / rows) * math.ceil(n / columns)):
        busy[number % cores] += m
    step = latency(replace(ENVISE, cores=cores, tile=tile), only(Product("p", "weight", 1, m, k, n))).steps[0]
    assert step.optics_s == pytest.approx(max(busy) / ENVISE.clock_hz, rel=1e-12)


def test_weights_arrive_behind_the_light_only_where_double_buffered():
    """16 tiles on 4 cores: 4 rounds, of 10,000 symbols and of a write each."""
    workload = only(Product("p", "weight", 1, 10_000, 512, 512))
    symbols_s, write_s = 10_000 / ENVISE.clock_hz, TILE.cell.tile_write_time_s
    assert latency(double_buffered(ENVISE, False), workload).steps[0].tiles_s == pytest.approx(
        4 * (symbols_s + write_s)
    )
    assert latency(double_buffered(ENVISE, True), workload).steps[0].tiles_s == pytest.approx(
        4 * max(symbols_s, write_s)
    )


def test_a_product_takes_as_long_as_its_slowest_part():
    assert Step("p", optics_s=3.0, reload_s=2.0, dram_s=4.0).seconds == 4.0
    assert Step("p", optics_s=3.0, reload_s=2.0, reload_hidden=False, dram_s=4.0).seconds == 5.0


@pytest.mark.parametrize(
    ("step", "bound"),
    [
        (Step("p", optics_s=3.0, reload_s=2.0, dram_s=1.0), OPTICS),
        (Step("p", optics_s=2.0, reload_s=3.0, reload_hidden=False, dram_s=4.0), RELOAD),
        (Step("p", optics_s=2.0, reload_s=3.0, dram_s=4.0), DRAM),
        (Step("p", digital_s=2.0, dram_s=1.0), DIGITAL),
        (Step("p", vector_s=2.0, dram_s=1.0), VECTOR),
    ],
)
def test_the_part_that_sets_the_pace_is_named(step, bound):
    assert step.bound_by == bound


def converters(chip, **changes):
    """The chip with other output converters."""
    return replace(chip, tile=replace(chip.tile, adc=replace(chip.tile.adc, **changes)))


def test_a_converter_that_is_slower_than_the_clock_sets_the_pace():
    """Half the clock, or one for two columns at the clock: twice the time, for the same optics."""
    workload = only(Product("p", "weight", 1, 10_000, 512, 512))
    double = double_buffered(ENVISE, True)
    usual = latency(double, workload).steps[0]
    for chip in (converters(double, rate_hz=0.25e9), converters(double, rate_hz=0.5e9, lanes=2)):
        step = latency(chip, workload).steps[0]
        assert step.bound_by == CONVERTERS
        assert step.optics_s == usual.optics_s
        assert step.seconds == pytest.approx(2 * usual.seconds)
        assert peak_tops(chip) == pytest.approx(peak_tops(ENVISE) / 2)
        assert 2e-12 * peak_bill(chip).macs == pytest.approx(peak_tops(chip))
    assert usual.bound_by == OPTICS


def test_outputs_that_are_added_up_before_a_reading_ask_for_fewer_conversions():
    """Lightening-Transformer reads after three symbols of two cores: a third of the clock is enough, less is not."""
    chip, workload = load_chip("lightening-transformer-b-4bit"), only(Product("p", "activation", 1, 960, 720, 960))
    enough, short = (latency(converters(chip, rate_hz=rate), workload).steps[0] for rate in (5e9 / 3, 4e9 / 3))
    assert enough.converters_s == pytest.approx(enough.optics_s)
    assert short.bound_by == CONVERTERS
    assert short.seconds == pytest.approx(1.25 * enough.seconds)


def test_a_slow_input_converter_binds_too_where_weights_are_light():
    chip = load_chip("lightening-transformer-b-4bit")
    assert isinstance(chip.tile, DynamicCrossbar)
    slow = replace(chip, tile=replace(chip.tile, weight_dac=replace(chip.tile.weight_dac, rate_hz=1e9)))
    step = latency(slow, only(Product("p", "activation", 1, 960, 720, 960))).steps[0]
    assert step.converters_s == pytest.approx(5 * step.optics_s)


def test_sram_binds_by_default_where_an_array_is_fast_enough():
    """Neurophos at its peak moves 1e16 bits a second, more than any SRAM that ships, if nothing has to be written."""
    chip = load_chip("neurophos-t100")
    assert isinstance(chip.tile, Crossbar)
    held = replace(chip, tile=replace(chip.tile, cell=replace(chip.tile.cell, double_buffered=True)))
    step = latency(held, only(Product("p", "weight", 1, 10**6, 4096, 4096))).steps[0]
    assert step.bound_by == SRAM


def test_what_each_part_needs_is_said_and_the_slowest_is_the_bound():
    step = latency(ENVISE, forward(SHAPE, ForwardPass(1, 32))).steps[0]
    assert step.needs_s[RELOAD] == step.reload_s
    assert step.seconds >= max(step.needs_s.values())


def test_decode_at_batch_one_is_bound_by_memory():
    step = forward(load_architecture("llama-3.1-8b"), ForwardPass(1, 1, past=100))
    assert latency(load_chip("ideal"), step).bound_by == DRAM


def test_a_product_left_digital_runs_at_the_digital_rate():
    step = latency(ENVISE, only(Product("p", "activation", 2, 10, 20, 30, trips=4, on_chip=False))).steps[0]
    assert step.digital_s == pytest.approx(4 * 2 * 6000 / ENVISE.digital.macs_per_s)
    assert step.optics_s == 0


def test_steps_add_up_and_vector_work_comes_last():
    found = latency(ENVISE, only(Product("p", "weight", 1, 10, 20, 30), vector=(VectorWork("softmax", 2000),)))
    assert [step.name for step in found.steps] == ["p", "vector work"]
    assert found.steps[1].vector_s == pytest.approx(2000 / ENVISE.digital.vector_operations_per_s)
    assert found.seconds == found.steps[0].seconds + found.steps[1].seconds
    assert sum(found.by_bound_s.values()) == pytest.approx(found.seconds)


def test_the_bill_lasts_as_long_as_the_pass():
    workload = forward(SHAPE, ForwardPass(1, 32))
    assert energy(ENVISE, workload).seconds == latency(ENVISE, workload).seconds


def test_gradient_of_the_time_with_respect_to_the_clock_is_that_of_the_optical_part():
    """`d/df (cycles / f + reload) = -cycles / f²`: the rest does not move."""
    workload = forward(SHAPE, ForwardPass(1, 256))
    workload = replace(workload, traffic=())

    def seconds(clock_hz):
        return latency(eqx.tree_at(lambda c: c.tile.clock_hz, ENVISE, clock_hz), workload).seconds

    optics_s = sum(step.optics_s for step in latency(ENVISE, workload).steps if step.bound_by in (OPTICS, RELOAD))
    assert float(jax.grad(seconds)(ENVISE.clock_hz)) == pytest.approx(-optics_s / ENVISE.clock_hz, rel=1e-5)


LEAVES = [
    lambda c: c.memory.dram_bandwidth_bits_per_s,
    lambda c: c.digital.vector_operations_per_s,
    lambda c: c.digital.macs_per_s,
    lambda c: c.tile.clock_hz,
]


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_model_of_405_billion_parameters_is_priced_and_differentiated(leaf):
    """Its counts exceed 2^31 by far, in every rate that they are divided by: seconds cannot grow with any rate."""
    shape = architecture(
        {
            "vocab_size": 128256,
            "hidden_size": 16384,
            "num_hidden_layers": 126,
            "num_attention_heads": 128,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "intermediate_size": 53248,
        }
    )
    head = Product("lm_head", "weight", 1, 8192, 16384, 128256, on_chip=False)
    run = ForwardPass(8, 1024)
    workload = forward(shape, run, products=(*stack_products(shape.main, run)[:-1], head))
    chip = load_chip("neurophos-t100")
    slope = jax.grad(lambda rate: latency(eqx.tree_at(leaf, chip, rate), workload).seconds)(leaf(chip))
    assert math.isfinite(slope)
    assert slope <= 0
    assert all(baseline.latency(chip, workload).seconds > 0 for baseline in baselines().values())


def test_a_tile_that_nobody_priced_is_refused_by_its_kind():
    with pytest.raises(PhotonsimError, match="The tile object has no tariff"):
        weight_prices(cast(Crossbar, object()))
