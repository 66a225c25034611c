"""Whoever distrusts a line of the bill finds what it is made of: for every component of every chip that ships."""

import math
import re
from operator import attrgetter

import pytest

from photonsim.chip import load_chip, preset_names
from photonsim.cost import ForwardPass, architecture, area, baselines, energy, explain, explain_area, forward
from photonsim.cost.site import site_bill

SHAPE = architecture(
    {
        "vocab_size": 500,
        "hidden_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "intermediate_size": 200,
    }
)
WORKLOAD = forward(SHAPE, ForwardPass(sequences=2, tokens=64))
PRODUCT = re.compile(r"^    (\S+) × (\S+) (?:J|W|J/bit|J/J) = (\S+) J$", re.MULTILINE)
AREA = re.compile(r"^    (\S+) × (\S+) µm²(?: × layout factor (\S+))? = (\S+) mm²$", re.MULTILINE)
SEVEN_DIGITS = 2e-6  # three numbers of seven digits each, rounded


@pytest.fixture(scope="module", params=preset_names())
def priced(request):
    chip = load_chip(request.param)
    return chip, site_bill(energy(chip, WORKLOAD), chip, WORKLOAD)


def test_every_component_of_every_chip_is_the_sum_of_its_explained_products(priced):
    chip, bill = priced
    for component in bill.components:
        charges = [charge for charge in bill.charges if charge.component == component]
        explained_j = sum(charge.count * charge.price for charge in charges)
        assert explained_j == pytest.approx(bill.component_j(component), rel=1e-15, abs=0)
        text = "\n".join(lines := explain(bill, component, chip, WORKLOAD.tokens))
        products = [[float(number) for number in found] for found in PRODUCT.findall(text)]
        assert len(products) == sum(bool(charge.joules) for charge in charges)
        for count, price, joules in products:
            assert count * price == pytest.approx(joules, rel=SEVEN_DIGITS)
        total_j = sum(joules for _, _, joules in products)
        assert total_j == pytest.approx(bill.component_j(component), rel=SEVEN_DIGITS)
        assert max(map(len, lines)) <= 80


def test_every_price_is_the_number_in_the_description_that_it_names(priced):
    chip, bill = priced
    for charge in bill.charges:
        assert charge.price == attrgetter(charge.price_name)(chip)
        assert charge.sources
        assert all(source.text for _, source in charge.sources)


def test_every_line_says_boundary_value_and_standing_of_its_source(priced):
    chip, bill = priced
    for component in bill.components:
        text = " ".join("\n".join(explain(bill, component, chip)).split())
        for charge in bill.charges:
            if charge.component == component and charge.joules:
                assert f"{charge.what} [boundary: {charge.boundary}]" in text
                for name, source in charge.sources:
                    assert f"{name} = {attrgetter(name)(chip):.6g}: {' '.join(source.text.split())} [" in text


def test_a_line_of_digital_hardware_opens_too():
    board = baselines()["h100-int8"]
    bill = board.energy(load_chip("ideal"), WORKLOAD)
    text = " ".join("\n".join(explain(bill, bill.components[0], board)).split())
    assert "board_power_w = 700" in text
    assert "utilisation" in text


def test_a_digital_floor_opens_down_to_the_prices_of_the_chip_beside_it():
    floor = baselines()["nvidia-5nm-int4"]
    bill = floor.energy(load_chip("lightmatter-envise-2025"), WORKLOAD)
    text = " ".join(line for component in bill.components for line in explain(bill, component, floor))
    assert "mac_j = " in text
    assert "memory.dram_j_per_bit: " in text


def test_the_area_of_every_chip_is_the_sum_of_its_explained_patches(priced):
    chip, _ = priced
    text = "\n".join(lines := explain_area(chip))
    found = [
        (float(n) * float(each) * float(factor or 1) / 1e6, float(mm2)) for n, each, factor, mm2 in AREA.findall(text)
    ]
    assert all(product == pytest.approx(mm2, rel=1e-5) for product, mm2 in found)
    total_mm2 = sum(patch.mm2 for patch in area(chip))
    assert math.fsum(mm2 for _, mm2 in found) == pytest.approx(total_mm2, rel=SEVEN_DIGITS)
    assert max(map(len, lines)) <= 80
