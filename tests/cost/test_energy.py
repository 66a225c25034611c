"""Laws of the bill: it adds up, it scales as the physics says, and it can be differentiated."""

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
    architecture,
    assumed,
    energy,
    explain,
    forward,
    peak_bill,
    peak_power_w,
    peak_tops,
    peak_tops_per_w,
    price,
    tops_per_w,
    workload_events,
)
from photonsim.cost.tariff import COMPONENTS, LASER, READOUT
from photonsim.errors import PhotonsimError
from photonsim.events import EventCounts
from photonsim.tiles import Crossbar

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
WORKLOAD = forward(SHAPE, ForwardPass(sequences=2, tokens=64))
ENVISE = load_chip("lightmatter-envise-2025")
TILE = cast(Crossbar, ENVISE.tile)


def with_adc_energy(chip, energy_j):
    return eqx.tree_at(lambda c: c.tile.adc.energy_j, chip, energy_j)


def test_components_and_charges_add_up_to_the_total():
    bill = energy(ENVISE, WORKLOAD)
    assert sum(bill.by_component_j().values()) == bill.total_j
    assert tuple(bill.by_component_j()) == COMPONENTS
    assert bill.total_j == pytest.approx(sum(charge.joules for charge in bill.charges), rel=1e-12)
    assert bill.per_token(WORKLOAD.tokens) * 128 == pytest.approx(bill.total_j)


def test_boundaries_are_nested_and_end_at_the_total():
    within_j = list(energy(ENVISE, WORKLOAD).by_boundary_j().values())
    assert within_j == sorted(within_j)
    assert within_j[0] > 0
    assert within_j[-1] == pytest.approx(energy(ENVISE, WORKLOAD).total_j, rel=1e-12)


def test_two_halves_of_the_work_cost_the_whole():
    """Layers are alike and run one after another, so one layer and two more cost what three do."""
    one, two = (product_bill(trips) for trips in (1, 2))
    for component, joules in product_bill(3).by_component_j().items():
        assert joules == pytest.approx(one.component_j(component) + two.component_j(component), rel=1e-12)


def product_bill(trips):
    product = Product("up", "weight", 1, 40, 300, 200, trips)
    return energy(ENVISE, replace(WORKLOAD, products=(product,), vector=(), traffic=(), parameters=0, host_bits=0))


def test_adc_energy_doubles_with_its_price_and_moves_nothing_else():
    bill = energy(ENVISE, WORKLOAD)
    doubled = energy(with_adc_energy(ENVISE, 2 * TILE.adc.energy_j), WORKLOAD)
    for before, after in zip(bill.charges, doubled.charges, strict=True):
        factor = 2 if before.what == "ADC conversions" else 1
        assert after.joules == factor * before.joules


def test_conversions_per_mac_fall_as_one_over_the_tile():
    """Inputs are reused by every column and outputs sum every row; 512 is a multiple of every size."""
    sizes = (32, 64, 128, 256)
    for size in sizes:
        chip = replace(ENVISE, tile=replace(ENVISE.tile, rows=size, columns=size))
        events = chip.events(1, 10, 512, 512)
        assert events.output_conversions / events.macs == 1 / size
        assert events.input_conversions / events.macs == 1 / size


def test_laser_energy_is_wall_power_times_time():
    one, two = (price(ENVISE, EventCounts(), seconds).component_j(LASER) for seconds in (1e-3, 2e-3))
    assert one == pytest.approx(ENVISE.cores * TILE.laser.wall_power_w * 1e-3)
    assert two == pytest.approx(2 * one)


def test_a_waiting_core_that_is_switched_off_pays_only_for_its_symbols():
    bill = energy(ENVISE, WORKLOAD, standby=0.0)
    busy_s = workload_events(ENVISE, WORKLOAD).tile_cycles / ENVISE.clock_hz
    assert bill.component_j(LASER) == pytest.approx(TILE.laser.wall_power_w * busy_s)


@pytest.mark.parametrize(
    "leaf",
    [
        lambda c: c.tile.adc.energy_j,
        lambda c: c.tile.laser.wall_plug_efficiency,
        lambda c: c.tile.clock_hz,
        lambda c: c.memory.dram_j_per_bit,
        lambda c: c.overhead_power_w,
    ],
)
def test_gradients_of_the_total_equal_finite_differences(leaf):
    """Central differences at 0.1 %: the third derivative of 1/x leaves 1e-6 relative, doubles leave less."""

    def total_j(value):
        return energy(eqx.tree_at(leaf, ENVISE, value), WORKLOAD).total_j

    value = leaf(ENVISE)
    slope = (total_j(1.001 * value) - total_j(0.999 * value)) / (0.002 * value)
    assert float(jax.grad(total_j)(value)) == pytest.approx(slope, rel=1e-4)


def test_a_thousand_chips_are_priced_by_one_vmap():
    energies_j = jax.numpy.linspace(1e-12, 1e-11, 1000)
    joules = jax.jit(jax.vmap(lambda e: energy(with_adc_energy(ENVISE, e), WORKLOAD).total_j))(energies_j)
    assert float(joules[-1]) == pytest.approx(energy(with_adc_energy(ENVISE, 1e-11), WORKLOAD).total_j, rel=1e-5)


def test_peaks_follow_from_the_description():
    assert peak_tops(ENVISE) == pytest.approx(65.536)
    pace = replace(ENVISE, cores=1, tile=replace(ENVISE.tile, rows=64, columns=64, clock_hz=1e9))
    assert peak_tops(pace) == pytest.approx(8.192)
    assert 2e-12 * peak_bill(ENVISE).macs == pytest.approx(peak_tops(ENVISE))


def test_envise_meets_its_published_efficiency_inside_both_boundaries():
    """262 TOPS/W of the photonic cores and 0.84 TOPS/W of the package without its laser (Nature 640:368, 2025).

    Neither was used to set a tolerance; the package's is reached through the assumed overhead, to its two digits.
    """
    watts = peak_power_w(ENVISE)
    assert peak_tops_per_w(ENVISE, "optical core") == pytest.approx(262, rel=0.005)
    assert peak_tops(ENVISE) / (sum(watts.values()) - watts[LASER]) == pytest.approx(0.84, abs=0.005)


def test_a_chip_that_costs_nothing_has_no_finite_efficiency():
    assert peak_tops_per_w(load_chip("ideal"), "optical core") == float("inf")


@pytest.mark.parametrize("price_j", [-1e-12, float("nan"), float("inf")])
def test_a_price_that_cannot_be_is_refused(price_j):
    with pytest.raises(PhotonsimError, match=r"tile\.adc\.energy_j"):
        energy(with_adc_energy(ENVISE, price_j), WORKLOAD)


def test_an_unknown_boundary_is_refused_with_the_known_ones():
    with pytest.raises(PhotonsimError, match="optical core"):
        tops_per_w(energy(ENVISE, WORKLOAD), "optical")


def test_a_model_that_does_not_fit_is_refused_with_both_sizes():
    small = eqx.tree_at(lambda c: c.memory.dram_capacity_bits, ENVISE, 8e4)
    with pytest.raises(PhotonsimError, match="1e-05 GB"):
        energy(small, WORKLOAD)


def test_explain_opens_a_component_down_to_the_source_at_80_columns():
    lines = explain(energy(ENVISE, WORKLOAD), READOUT, ENVISE)
    text = " ".join(line.strip() for line in lines)
    source = dict(ENVISE.sources)["tile.adc.energy_j"]
    assert "ADC conversions" in text
    assert source.text in text
    assert f"[assumed, range {source.low:g} to {source.high:g}]" in text
    assert max(map(len, lines)) <= 80


def test_assumed_prices_are_named_and_measured_ones_are_not():
    names = assumed(energy(ENVISE, WORKLOAD))
    assert "tile.adc.energy_j" in names
    assert "tile.laser.power_w" not in names


SMALL = st.integers(1, 20)


@given(batch=st.integers(1, 3), m=SMALL, k=SMALL, n=SMALL, rows=st.integers(1, 8), columns=st.integers(1, 8))
def test_event_counts_equal_those_of_a_loop_over_every_pass(batch, m, k, n, rows, columns):
    chip = replace(ENVISE, tile=replace(ENVISE.tile, rows=rows, columns=columns))
    assert_same_counts(chip.events(batch, m, k, n), counted_one_by_one(batch, m, k, n, rows, columns))


def counted_one_by_one(batch, m, k, n, rows, columns):
    counts = dict.fromkeys(("macs", "tile_cycles", "input_conversions", "weight_writes", "tile_writes"), 0)
    counts |= dict.fromkeys(("output_conversions", "accumulations"), 0)
    for _ in range(batch):
        for top in range(0, k, rows):
            for left in range(0, n, columns):
                height, width = min(rows, k - top), min(columns, n - left)
                counts["tile_writes"] += 1
                counts["weight_writes"] += height * width
                for _ in range(m):
                    counts["tile_cycles"] += 1
                    counts["input_conversions"] += height
                    counts["output_conversions"] += width
                    counts["accumulations"] += width
                    counts["macs"] += height * width
    return counts


def assert_same_counts(events, counts):
    for name, count in counts.items():
        assert getattr(events, name) == count, name
