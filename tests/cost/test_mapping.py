"""Dataflows against a loop that plays out every pass, and cycle counts against published closed forms."""

import math
from dataclasses import replace
from typing import cast

import equinox as eqx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photonsim.chip import load_chip
from photonsim.cost import ForwardPass, Product, architecture, energy, forward, latency
from photonsim.cost.lightening_transformer import BERT_B, DEIT_B, DEIT_T, LighteningTransformer, gemms
from photonsim.cost.mapping import (
    DYNAMIC,
    EXCHANGED,
    INPUT_STATIONARY,
    OUTPUT_STATIONARY,
    WEIGHT_STATIONARY,
    accumulated_rows,
    dataflows,
    lay_out,
    map_product,
    stay_in_tiles,
    utilisation,
)
from photonsim.cost.workload import kept_in_sram
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar, DynamicCrossbar

ENVISE = load_chip("lightmatter-envise-2025")
LIGHTENING = load_chip("lightening-transformer-b-4bit")
SMALL, TILE, CORES = st.integers(1, 20), st.integers(1, 7), st.integers(1, 5)
COUNTED: tuple[str, ...] = (
    "macs",
    "tile_cycles",
    "input_conversions",
    "weight_writes",
    "output_conversions",
    "tile_writes",
)


def array(rows: int, columns: int, cores: int = 1, register_rows: int = 1):
    """Envise with another array, whose accumulators hold `register_rows` rows of outputs."""
    tile = replace(cast(Crossbar, ENVISE.tile), rows=rows, columns=columns)
    chip = replace(ENVISE, cores=cores, tile=tile)
    return eqx.tree_at(lambda c: c.memory.register_capacity_bits, chip, 32.0 * columns * register_rows)


def spans(length: int, step: int) -> list[int]:
    """Lengths of the blocks that cover `length`."""
    return [min(step, length - start) for start in range(0, length, step)]


def played(batch, moving, k, still, rows, columns) -> dict[str, int]:
    """Count pass by pass: `still` vectors of length k written into an array, `moving` vectors through it."""
    counts: dict[str, int] = dict.fromkeys(COUNTED, 0)
    for _ in range(batch):
        for height in spans(k, rows):
            for width in spans(still, columns):
                counts["tile_writes"] += 1
                counts["weight_writes"] += height * width
                for _ in range(moving):
                    counts["tile_cycles"] += 1
                    counts["input_conversions"] += height
                    counts["output_conversions"] += width
                    counts["macs"] += height * width
    return counts


def assert_same(events, counts):
    assert {name: getattr(events, name) for name in counts} == counts


@given(batch=st.integers(1, 3), m=SMALL, k=SMALL, n=SMALL, rows=TILE, columns=TILE)
def test_input_stationary_events_are_those_of_a_loop_over_every_pass(batch, m, k, n, rows, columns):
    mapped = map_product(array(rows, columns), Product("p", "weight", batch, m, k, n), INPUT_STATIONARY)
    assert_same(mapped.events, played(batch, moving=n, k=k, still=m, rows=rows, columns=columns))


@given(batch=st.integers(1, 3), m=SMALL, k=SMALL, n=SMALL, rows=TILE, columns=TILE, held=st.integers(1, 6))
def test_output_stationary_events_are_those_of_a_loop_over_every_pass(batch, m, k, n, rows, columns, held):
    chip = array(rows, columns, register_rows=held)
    mapped = map_product(chip, Product("p", "weight", batch, m, k, n), OUTPUT_STATIONARY)
    counts: dict[str, int] = dict.fromkeys(COUNTED, 0)
    for group in spans(m, held):
        for name, count in played(batch, group, k, n, rows, columns).items():
            counts[name] += count
    assert_same(mapped.events, counts)
    beyond_first = math.ceil(k / rows) - 1
    assert mapped.events.register_bits == 2 * 32 * batch * m * n * beyond_first


@given(m=SMALL, k=SMALL, n=SMALL, rows=TILE, columns=TILE, waves=TILE)
def test_dynamic_events_are_those_of_a_loop_over_every_symbol(m, k, n, rows, columns, waves):
    tile = replace(cast(DynamicCrossbar, LIGHTENING.tile), rows=rows, columns=columns, wavelengths=waves)
    tile = replace(tile, accumulation=1, broadcast=1, summed_cores=1)
    chip = replace(LIGHTENING, cores=1, tile=tile)
    for dataflow, (down, across) in {DYNAMIC: (m, n), EXCHANGED: (n, m)}.items():
        counts = dict.fromkeys(("macs", "tile_cycles", "input_conversions", "weight_writes", "output_conversions"), 0)
        for height in spans(down, rows):
            for width in spans(across, columns):
                for depth in spans(k, waves):
                    counts["tile_cycles"] += 1
                    counts["input_conversions"] += height * depth
                    counts["weight_writes"] += width * depth
                    counts["output_conversions"] += height * width
                    counts["macs"] += height * width * depth
        assert_same(map_product(chip, Product("p", "activation", 1, m, k, n), dataflow).events, counts)


@given(m=SMALL, k=SMALL, n=SMALL, rows=TILE, columns=TILE, cores=CORES)
def test_no_dataflow_does_more_or_less_than_the_product(m, k, n, rows, columns, cores):
    """MACs are those asked for, the time holds them all, and no utilisation is above one."""
    chip, product = array(rows, columns, cores), Product("p", "weight", 1, m, k, n)
    for dataflow in dataflows(chip.tile):
        mapped = map_product(chip, product, dataflow)
        assert mapped.events.macs == m * k * n
        assert 0 < utilisation(chip, product, mapped) <= 1


@pytest.mark.parametrize("model", [DEIT_T, DEIT_B, BERT_B], ids=lambda model: model.name)
def test_cycles_equal_the_closed_form_of_lightening_transformer(model):
    """`⌈ batch ⌈M/12⌉ ⌈K/12⌉ ⌈N/12⌉ / 8 ⌉`, for every product of three published models."""
    published = LighteningTransformer(bits=4)
    for gemm in gemms(model):
        product = Product(gemm.name, "weight", gemm.batch, gemm.rows, gemm.inner, gemm.columns)
        assert map_product(LIGHTENING, product, DYNAMIC).cycles == published.cycles(gemm)


def test_the_qkv_product_of_deit_t_takes_1632_cycles():
    qkv = Product("qkv", "weight", 1, 197, 192, 576)
    mapped = map_product(LIGHTENING, qkv, DYNAMIC)
    assert mapped.cycles == 1632
    assert mapped.cycles * 12 / LIGHTENING.clock_hz == pytest.approx(0.0039168e-3, rel=1e-12)
    assert utilisation(LIGHTENING, qkv, mapped) == pytest.approx(197 * 576 * 192 / (1632 * 8 * 12**3))


def test_twice_the_tile_is_a_quarter_of_the_passes():
    product = Product("p", "weight", 1, 10, 512, 512)
    small, large = (map_product(array(size, size), product, WEIGHT_STATIONARY) for size in (64, 128))
    assert small.rounds == 4 * large.rounds
    assert small.cycles == 4 * large.cycles


def test_a_model_whose_weights_fill_no_more_than_the_tiles_is_written_once():
    """One layer of 64-wide matrices in 64 × 64 tiles: 7 blocks of weights and 4 of the head; one core is spare."""
    config = {"vocab_size": 256, "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    workload = forward(architecture(config | {"intermediate_size": 64}), ForwardPass(1, 8))
    for cores, resident in ((11, False), (12, True)):
        chip = array(64, 64, cores)
        assert stay_in_tiles(chip, workload) == resident
        writes = energy(chip, workload).charges
        written = next(charge.count for charge in writes if charge.what == "cells written")
        scores = sum(p.k * p.n * p.batch for p in workload.products if p.kind == "activation")
        assert written == (scores if resident else scores + 7 * 64**2 + 64 * 256)
        assert lay_out(chip, workload).workload.weight_bits == 0  # in the cells, or at least in SRAM
        steps = latency(chip, workload).steps
        assert (steps[0].reload_s == 0) == resident


def test_sram_keeps_the_residual_stream_then_the_weights_then_the_cache():
    config = {"vocab_size": 256, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1}
    workload = forward(architecture(config | {"intermediate_size": 64}), ForwardPass(1, 4, past=60))
    stream, cache = 4 * 64 * 16, 2 * 2 * 64 * 64 * 16
    weights = workload.model_bits
    sizes = {0: {"residual stream", "KV cache"}, stream: {"KV cache"}, stream + weights + cache: set()}
    for capacity, left in sizes.items():
        found = kept_in_sram(workload, capacity)
        assert {each.name for each in found.traffic} - {"embedding rows"} == left
        assert found.weights_kept == (capacity >= stream + weights)
    assert kept_in_sram(workload, stream + weights + cache - 1).weights_kept


def test_what_sram_keeps_costs_neither_time_nor_energy_of_dram():
    config = {"vocab_size": 256, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1}
    workload = forward(architecture(config | {"intermediate_size": 64}), ForwardPass(1, 4, past=60))
    none = eqx.tree_at(lambda c: c.memory.sram_capacity_bits, ENVISE, 0.0)
    assert energy(ENVISE, workload).component_j("DRAM") < 0.01 * energy(none, workload).component_j("DRAM")
    fetched = [step.name for step in latency(none, workload).steps if step.dataflow and step.dram_s]
    assert fetched == [product.name for product in workload.products if product.kind == "weight"]
    assert not any(step.dram_s for step in latency(ENVISE, workload).steps if step.dataflow)


def test_slow_sram_bounds_a_product():
    slow = eqx.tree_at(lambda c: c.memory.sram_bandwidth_bits_per_s, ENVISE, 1e6)
    step = latency(slow, forward(load_tiny(), ForwardPass(1, 8))).steps[0]
    assert step.bound_by == "SRAM"


def load_tiny():
    config = {"vocab_size": 256, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1}
    return architecture(config | {"intermediate_size": 64})


def test_accumulators_hold_at_least_one_row():
    tiny = eqx.tree_at(lambda c: c.memory.register_capacity_bits, ENVISE, 1.0)
    assert accumulated_rows(tiny, 100) == 1
    assert accumulated_rows(ENVISE, 100) == 100


def test_an_array_that_is_written_cannot_stream_both_operands():
    with pytest.raises(PhotonsimError, match="weight-stationary"):
        map_product(ENVISE, Product("p", "weight", 1, 2, 2, 2), DYNAMIC)
