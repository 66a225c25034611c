"""Counts of tiles whose operands are both live, against a schedule played out symbol by symbol."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photonsim.chip import load_chip, override
from photonsim.errors import PhotonsimError
from photonsim.tiles.live_operands import live_events


def symbols(events, cores):
    """Symbol periods of the cores that take turns with stretches: rounds times the symbols of one."""
    return math.ceil(events.tile_writes / cores) * events.tile_cycles / events.tile_writes


SIZE, LANES = st.integers(1, 13), st.integers(1, 5)


@given(st.integers(1, 2), SIZE, SIZE, SIZE, LANES, LANES, LANES, st.integers(1, 3))
def test_counts_are_those_of_a_schedule_played_out(batch, m, k, n, rows, columns, wavelengths, accumulation):
    """Every symbol takes up to `wavelengths` terms for a group of rows and one of columns; a reading ends a stretch."""
    counts = dict.fromkeys(("tile_cycles", "input", "weight", "stretches", "output", "macs"), 0)
    per_readout = wavelengths * accumulation
    for _ in range(batch):
        for top in range(0, m, rows):
            for left in range(0, n, columns):
                height, width = min(rows, m - top), min(columns, n - left)
                for begin in range(0, k, per_readout):
                    end = min(begin + per_readout, k)
                    for first in range(begin, end, wavelengths):
                        terms = min(wavelengths, end - first)
                        counts["tile_cycles"] += 1
                        counts["input"] += height * terms
                        counts["weight"] += width * terms
                        counts["macs"] += height * width * terms
                    counts["stretches"] += 1
                    counts["output"] += height * width
    events = live_events((batch, m, k, n), rows, columns, wavelengths, per_readout, (8, 4))
    assert events.macs == counts["macs"] == batch * m * k * n
    assert events.tile_cycles == counts["tile_cycles"]
    assert events.input_conversions == counts["input"]
    assert events.weight_writes == counts["weight"]
    assert events.tile_writes == counts["stretches"]
    assert events.output_conversions == events.accumulations == counts["output"]


def test_cores_that_add_their_currents_are_read_once():
    """Two cores of 12 × 12 × 12 in the time of one with half the conversions, and the answer stays the product."""
    chip = load_chip("lightening-transformer-b-4bit")
    pair, single = (chip, override(chip, {"summed_cores": 1}))
    ours, theirs = (each.events(1, 24, 144, 24) for each in (pair, single))
    assert ours.tile_cycles == theirs.tile_cycles
    assert 2 * ours.output_conversions == theirs.output_conversions
    assert symbols(ours, 2) == symbols(theirs, 2)


def test_cores_that_share_must_divide_the_chip():
    with pytest.raises(PhotonsimError, match=r"tile\.broadcast = 3 does not divide the chip's 8 cores"):
        override(load_chip("lightening-transformer-b-4bit"), {"broadcast": 3})


@pytest.mark.parametrize("accumulation", [1, 3])
def test_a_layer_of_deit_takes_lightening_transformer_as_many_cycles_as_published(accumulation):
    """197 × 192 × 576 on eight cores of 12 × 12 × 12: ceil(17 · 48 · 16 / 8) = 1632 (HPCA 2024)."""
    events = live_events((1, 197, 192, 576), 12, 12, 12, 12 * accumulation, (4, 4))
    if accumulation == 1:
        assert math.ceil(events.tile_cycles / 8) == 1632
    assert symbols(events, 8) == pytest.approx(1632)


@given(st.integers(1, 40), LANES, st.integers(1, 4))
def test_one_conversion_of_a_weight_serves_as_many_groups_of_rows_as_it_is_broadcast_to(m, rows, broadcast):
    alone = live_events((2, m, 6, 5), rows, 2, 3, 6, (8, 4))
    shared = live_events((2, m, 6, 5), rows, 2, 3, 6, (8, 4), broadcast)
    assert shared.weight_writes == 2 * 6 * 5 * math.ceil(math.ceil(m / rows) / broadcast)
    saved = alone.weight_writes - shared.weight_writes
    assert alone.sram_read_bits - shared.sram_read_bits == 4 * saved
    assert alone.scale_operations - shared.scale_operations == saved
    assert dataclasses.replace(alone, weight_writes=0.0, sram_read_bits=0.0, scale_operations=0.0) == (
        dataclasses.replace(shared, weight_writes=0.0, sram_read_bits=0.0, scale_operations=0.0)
    )


def test_weights_are_converted_again_for_every_group_of_rows():
    once = live_events((1, 12, 64, 64), 12, 12, 1, 64, (8, 8))
    twice = live_events((1, 13, 64, 64), 12, 12, 1, 64, (8, 8))
    assert twice.weight_writes == 2 * once.weight_writes == 2 * 64 * 64
