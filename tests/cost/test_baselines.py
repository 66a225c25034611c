"""Digital hardware beside the chip: published figures come back, and the work is the same for all."""

from dataclasses import replace

import pytest

from photonsim.chip import load_chip
from photonsim.cost import (
    ForwardPass,
    Product,
    Storage,
    Workload,
    architecture,
    assumed,
    baselines,
    forward,
    load_architecture,
)
from photonsim.cost.baselines import RUN_BASELINES, Board, ComputeFloor
from photonsim.cost.forward import stack_products
from photonsim.cost.workload import kept_in_sram
from photonsim.errors import PhotonsimError

ENVISE = load_chip("lightmatter-envise-2025")
H100, FLOOR = baselines()["h100-int8"], baselines()["nvidia-5nm-int4"]
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
LARGE = Workload("prefill", 1, (Product("square", "weight", 1, 8192, 8192, 8192),), (), (), Storage())


def test_every_number_of_a_baseline_has_a_source():
    for baseline in baselines().values():
        numbers = {name for name, value in vars(baseline).items() if isinstance(value, float)}
        assert numbers == set(dict(baseline.sources))


@pytest.mark.parametrize(
    ("name", "picojoules"),
    [
        ("a100-int8", 1.28),
        ("h200-int8", 0.71),
        ("b200-fp8", 0.44),
        ("b200-fp4", 0.22),
        ("tpu-v4-bf16", 1.40),  # at its largest power; 1.24 at the mean
        ("tpu-v7-fp8", 0.42),
        ("ubc-16nm-int4", 0.15),
    ],
)
def test_published_energy_per_mac_comes_back(name, picojoules):
    baseline = baselines()[name]
    assert baseline.mac_j_at_peak == pytest.approx(picojoules * 1e-12, rel=0.015)
    assert baseline.tops_per_w_at_peak == pytest.approx(2 / picojoules, rel=0.015)


def test_a_power_that_nobody_published_is_marked_with_its_range():
    for name in ("tpu-v5e-int8", "tpu-v6e-int8", "tpu-v7-fp8"):
        baseline = baselines()[name]
        source = dict(baseline.sources)["board_power_w"]
        assert baseline.status == "power assumed"
        assert source.assumed
        assert source.low is not None


def test_an_assumed_number_lies_within_its_range():
    for baseline in baselines().values():
        for name, source in baseline.sources:
            if source.low is not None and source.high is not None:
                assert source.low <= getattr(baseline, name) <= source.high


def test_a_run_prints_three_baselines_that_exist():
    assert len(RUN_BASELINES) == 3
    assert set(RUN_BASELINES) <= set(baselines())


def test_h100_at_its_peak_takes_0_71_picojoules_per_mac():
    """700 W over 1,979 TOPS; a large product is bound by arithmetic, so its bill says the same."""
    board = baselines()["h100-int8-peak"]
    assert isinstance(board, Board)
    assert board.mac_j_at_peak == pytest.approx(0.71e-12, rel=0.01)
    assert board.energy(ENVISE, LARGE).total_j / LARGE.macs == pytest.approx(board.mac_j_at_peak, rel=1e-12)


def test_realised_energy_of_a_board_is_its_peak_energy_over_the_utilisation():
    assert isinstance(H100, Board)
    bill = H100.energy(ENVISE, LARGE)
    assert bill.total_j / LARGE.macs == pytest.approx(H100.mac_j_at_peak / H100.utilisation, rel=1e-12)
    assert "utilisation" in assumed(bill)


def test_decode_on_a_board_costs_its_power_times_the_reading_of_the_weights():
    workload = forward(load_architecture("smollm2-135m"), ForwardPass(1, 1, past=10))
    weights_s = workload.weight_bits / 26.8e12
    assert H100.latency(ENVISE, workload).bound_by == "DRAM"
    assert H100.energy(ENVISE, workload).total_j > 700 * weights_s


def test_the_floor_takes_21_femtojoules_per_mac_and_the_memory_of_the_chip_beside_it():
    workload = forward(SHAPE, ForwardPass(1, 64))
    bill = FLOOR.energy(ENVISE, workload)
    left = kept_in_sram(workload, ENVISE.memory.sram_capacity_bits)
    bits = left.dram_read_bits + left.dram_write_bits
    assert bill.component_j("digital products") == pytest.approx(0.021e-12 * workload.macs, rel=0.01)
    assert bill.component_j("DRAM") == pytest.approx(bits * ENVISE.memory.dram_j_per_bit)
    assert bill.component_j("softmax and norms") == pytest.approx(
        workload.vector_operations * ENVISE.digital.vector_operation_j
    )
    assert sum(bill.by_component_j().values()) == bill.total_j


def test_the_floor_runs_at_the_peak_rate_of_the_chip():
    step = FLOOR.latency(ENVISE, LARGE).steps[0]
    assert step.digital_s == pytest.approx(8192**3 / (65.536e12 / 2))


def test_baselines_do_not_care_what_the_photonic_chip_left_digital():
    workload = forward(SHAPE, ForwardPass(1, 64))
    products = tuple(replace(product, on_chip=False) for product in stack_products(SHAPE.main, ForwardPass(1, 64)))
    digital = replace(workload, products=products)
    for baseline in baselines().values():
        assert baseline.energy(ENVISE, workload).total_j == baseline.energy(ENVISE, digital).total_j


def test_a_model_larger_than_the_board_is_refused():
    product = Product("all", "weight", 1, 1, 300_000, 300_000)
    with pytest.raises(PhotonsimError, match="needs 90 GB of DRAM and h100-int8 has only 80 GB"):
        H100.energy(ENVISE, replace(LARGE, products=(product,)))


def test_as_many_boards_as_a_model_needs_do_its_work_in_a_share_of_the_time():
    """671 GB of weights take nine boards of 80 GB; the energy is that of one board with room for all."""
    step = forward(load_architecture("deepseek-v3"), ForwardPass(1, 1, past=100))
    assert isinstance(H100, Board)
    several, roomy = H100.enough(step), replace(H100, dram_capacity_bits=1e13)
    assert several.boards == 9
    assert several.energy(ENVISE, step).total_j == pytest.approx(roomy.energy(ENVISE, step).total_j, rel=0.01)
    assert several.latency(ENVISE, step).seconds == pytest.approx(roomy.latency(ENVISE, step).seconds / 9, rel=0.01)
    assert FLOOR.enough(step) is FLOOR


@pytest.mark.parametrize("mac_j", [-1e-15, float("nan")])
def test_a_floor_below_zero_is_refused(mac_j):
    with pytest.raises(PhotonsimError, match=r"mine\.mac_j"):
        ComputeFloor("mine", "Mine", "custom", mac_j=mac_j)
