"""Two settings at a time, the bill product by product, the way of the light: parts that agree with the whole."""

import math
from dataclasses import replace
from typing import Any, cast

import equinox as eqx
import numpy as np
import pytest

from photonsim.chip import load_chip, preset_names
from photonsim.chip.waterfall import LOST, SHARED, waterfall
from photonsim.cost import ForwardPass, Product, architecture, baselines, energy, forward, peak_power_w
from photonsim.cost.break_even import (
    ARRAY_SIZE,
    BATCH,
    CONVERTER_ENERGY,
    LASER_EFFICIENCY,
    break_even,
    with_array,
)
from photonsim.cost.break_even_map import price_map, shape_map
from photonsim.cost.by_product import product_bills
from photonsim.cost.cluster import linked
from photonsim.cost.mapping import lay_out
from photonsim.cost.serving import Request, serve, serve_digitally
from photonsim.cost.tariff import LASER
from photonsim.devices import Loss, SplitterTree
from photonsim.tiles import Crossbar, Sliced

ENVISE, LIGHTENING = load_chip("lightmatter-envise-2025"), load_chip("lightening-transformer-b-4bit")
FLOOR = baselines()["nvidia-5nm-int4"]
MODEL = architecture(
    {
        "vocab_size": 512,
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 512,
    },
    "small",
)
REQUEST = Request(prompt=32, output=9)


def ratio(chip, request=REQUEST):
    digital = serve_digitally(FLOOR, chip, MODEL, request).j_per_request
    return float(serve(chip, MODEL, request).j_per_request) / float(digital)


def test_a_map_of_prices_has_the_ratio_of_every_chip_on_it():
    found = price_map(LIGHTENING, MODEL, REQUEST, FLOOR, points=4)
    parts = ("input_dac", "weight_dac", "receiver", "adc")
    for row, column in ((0, 0), (3, 1), (2, 3)):
        energies = [found.y[row] * getattr(LIGHTENING.tile, part).energy_j for part in parts]
        chip = eqx.tree_at(lambda c: [getattr(c.tile, part).energy_j for part in parts], LIGHTENING, energies)
        chip = eqx.tree_at(lambda c: c.tile.laser.wall_plug_efficiency, chip, found.x[column])
        assert found.ratio[row][column] == pytest.approx(ratio(chip), rel=1e-5)
    assert np.all(np.diff(found.ratio, axis=0) > 0)  # dearer converters
    assert np.all(np.diff(found.ratio, axis=1) < 0)  # better lasers
    assert found.best == pytest.approx(found.ratio[0][-1])


def test_a_map_of_shapes_has_the_ratio_of_every_layout_and_says_where_there_is_no_room():
    small = eqx.tree_at(lambda c: c.memory.dram_capacity_bits, LIGHTENING, 2e7)
    found = shape_map(small, MODEL, REQUEST, FLOOR, octaves=1, batches=(1, 4, 256))
    assert (found.x_now, found.y_now) == (12, 1)
    assert found.ratio[0][1] == pytest.approx(ratio(small))
    assert found.ratio[1][2] == pytest.approx(ratio(with_array(small, 24), REQUEST._replace(batch=4)))
    assert all(math.isnan(each) for each in found.ratio[2])


def test_an_array_that_cannot_be_built_has_no_price():
    """Groups of more than 72 overflow Mirage's residues; its own has 16 rows."""
    chip = load_chip("mirage-2024")
    found = shape_map(chip, MODEL, REQUEST, FLOOR, octaves=3, batches=(1,))
    assert found.x == (2, 4, 8, 16, 32, 64, 128)
    assert [math.isnan(each) for each in found.ratio[0]] == [False] * 6 + [True]
    assert {each.setting for each in break_even(chip, MODEL, REQUEST, FLOOR)} == {
        LASER_EFFICIENCY,
        CONVERTER_ENERGY,
        ARRAY_SIZE,
        BATCH,
    }


def test_the_optics_inside_a_sliced_tile_have_a_map_too():
    tile = cast(Crossbar, ENVISE.tile)
    exact = replace(tile.adc, range_policy="calibrated", full_scale_products=1.0)
    sliced = replace(ENVISE, tile=Sliced(replace(tile, adc=exact), 16, 12))
    found = price_map(sliced, MODEL, REQUEST, FLOOR, points=2)
    assert found.ratio[1][0] > found.ratio[0][0]
    assert with_array(sliced, 64).tile.rows == 64


@pytest.mark.parametrize("name", ["lightmatter-envise-2025", "lightening-transformer-b-4bit", "mirage-2024"])
def test_the_bills_of_the_products_add_up_to_that_of_the_pass(name):
    chip = load_chip(name)
    for run in (ForwardPass(2, 32), ForwardPass(2, 1, past=32)):
        workload = linked(forward(MODEL, run), 2)
        head = Product("lm_head", "weight", 1, workload.tokens, 256, 512, on_chip=False)
        workload = replace(workload, products=(*workload.products[:-1], head))
        whole, parts = energy(chip, workload), product_bills(chip, lay_out(chip, workload))
        for component, joules in whole.by_component_j().items():
            assert sum(bill.component_j(component) for bill in parts) == pytest.approx(joules, rel=1e-12, abs=1e-30)
        assert sum(bill.seconds for bill in parts) == pytest.approx(whole.seconds, rel=1e-12)
        assert sum(bill.macs for bill in parts) == workload.macs


@pytest.mark.parametrize("name", [name for name in preset_names() if name != "ideal"])
def test_the_light_starts_at_the_power_that_is_billed_and_ends_at_the_photons_of_a_product(name):
    chip = load_chip(name)
    path = waterfall(chip)
    assert path is not None
    assert chip.cores * path.wall_power_w == pytest.approx(peak_power_w(chip)[LASER])
    powers = [path.wall_power_w, *(stage.power_w for stage in path.stages)]
    assert powers == sorted(powers, reverse=True)
    if path.photons_per_mac:
        tile: Any = chip.tile
        photons = path.stages[-1].power_w / (tile.laser.photon_energy_j * tile.clock_hz)
        assert photons == pytest.approx(float(tile.photons_per_mac), rel=1e-5)


def test_losses_that_a_tile_names_stage_by_stage_stand_in_its_path_one_by_one():
    tile = cast(Crossbar, ENVISE.tile)
    stages = {"coupler": Loss("coupler", 2.0), "row_tree": SplitterTree(128, 0.4)}
    path = waterfall(replace(ENVISE, tile=replace(tile, stages=stages)))
    assert path is not None
    losses = {
        stage.name: stage.loss_db(before.power_w) for before, stage in zip(path.stages, path.stages[1:], strict=False)
    }
    assert losses["coupler"] == pytest.approx(2.0, abs=1e-4)
    assert losses["row_tree"] == pytest.approx(7 * 0.4, abs=1e-4)
    assert path.stages[-1].kind == SHARED
    assert losses[path.stages[-1].name] == pytest.approx(10 * math.log10(128**2), abs=1e-3)
    assert [stage.kind for stage in path.stages[1:-1]] == [LOST] * 3
    assert waterfall(load_chip("ideal")) is None
