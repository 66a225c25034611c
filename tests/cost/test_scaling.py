"""The scaling study: the law of light and width, what caps the advantage, and the family of models."""

import math
from typing import cast

import equinox as eqx
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.cost import ForwardPass, baselines, forward, load_architecture
from photonsim.cost.decoder_family import ASPECT, DECODERS, decoder_family, read_size, scaled_decoder
from photonsim.cost.scaling import (
    AS_DESCRIBED,
    BASELINE_2023_J,
    FREE_WRITES,
    FUTURE,
    LIGHT,
    PARTS,
    advantage_of,
    advantages,
    exponent,
    fitted,
    light_exponent,
    scaling_point,
    scaling_study,
    width_for,
)
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar

CHIP = load_chip("optical-transformer-2023")
TILE = cast(Crossbar, CHIP.tile)
TOKENS, VOCABULARY = 1024, 50257
FAMILY = [scaled_decoder(10.0**n) for n in (11, 13, 15)]


@pytest.fixture(scope="module")
def points():
    return scaling_study(CHIP, FAMILY, TOKENS)


def light_samples_per_token(model) -> float:
    """Readings of a token's outputs, by hand: each has the same light. Heads of 128; the read-out fills whole arrays.

    Of a layer: q, k, v, o and 4 blocks of `up` with d outputs each, 4 blocks of `down` along its length of 4 d, one
    reading for each score (length 128), and d for the mixing of 1024 values.
    """
    width = model.main.hidden
    columns = min(VOCABULARY, width)
    head = math.ceil(VOCABULARY / columns) * columns
    return model.main.depth * (4 + 4 + 4 + 1 + TOKENS / 128) * width + head


def test_a_dot_product_has_the_same_light_whatever_its_length(points):
    """So the light of a token is that of one reading, times the readings."""
    reading_j = float(TILE.laser.wall_power_w) / TILE.columns / TILE.clock_hz
    for point in points:
        assert point.parts[LIGHT] == pytest.approx(reading_j * light_samples_per_token(point.model), rel=1e-5)


def test_light_per_multiply_accumulate_falls_as_one_over_width(points):
    """Within the bound that attention and the head set: they move light × width by a known factor."""
    rest = [math.log(light_samples_per_token(p.model) / p.macs * p.width) for p in points]
    x = np.log([p.width for p in points])
    x -= x.mean()
    bound = (max(rest) - min(rest)) / 2 * np.abs(x).sum() / (x**2).sum()
    assert bound < 0.01
    assert abs(light_exponent(points) + 1) <= bound + 1e-6


def test_converters_fall_with_width_and_fetched_weights_do_not(points):
    """The first cap the advantage at a factor, the second at a number."""
    converters = [p.parts["+ converters"] / p.macs for p in points]
    assert exponent([p.width for p in points], converters) == pytest.approx(-1, abs=0.02)
    fetched = [(p.fetched_j - p.total_j) / p.macs for p in points]
    cell_j, bit_j = TILE.cell.write_energy_j, CHIP.memory.dram_j_per_bit
    sram_j = CHIP.memory.sram_read_j_per_bit
    assert fetched == pytest.approx([(cell_j + 8 * bit_j + 8 * sram_j) / TOKENS] * 3, rel=0.02)


def test_all_parts_are_the_total_and_the_baseline_is_300_fj_for_each(points):
    for point in points:
        assert point.total_j == pytest.approx(point.up_to_j(list(PARTS)[-1]), rel=1e-12)
        assert point.baseline_2023_j == pytest.approx(
            forward(point.model, ForwardPass(1, TOKENS)).macs / TOKENS * BASELINE_2023_J, rel=1e-12
        )


def test_the_width_for_an_advantage_is_where_a_model_so_wide_has_it(points):
    """Extrapolated from the last two, held against a model beyond them."""
    beyond = scaling_point(CHIP, scaled_decoder(1e16), TOKENS)
    reached = beyond.advantage(beyond.total_j)
    assert width_for(points, reached) == pytest.approx(beyond.width, rel=0.02)


def test_a_width_is_extrapolated_from_scaled_models_only(points):
    assert math.isnan(width_for(points[:1], 8000.0))
    assert math.isnan(width_for([points[0], points[0]], 8000.0))


def test_an_exact_chip_needs_no_light_and_still_pays_for_memory():
    point = scaling_point(load_chip("ideal"), load_architecture("gpt2"), TOKENS)
    assert point.parts[LIGHT] == 0
    assert point.advantage(point.parts[LIGHT]) == math.inf
    assert point.largest_part == "+ memory"


def test_a_grown_array_keeps_the_photons_of_a_dot_product():
    for size in ((64, 2048), (1024, 1024), (200_000, 128)):
        grown = fitted(CHIP, *size).tile
        assert isinstance(grown, Crossbar)
        wanted = float(TILE.photons_per_mac) * TILE.rows
        assert float(grown.photons_per_mac) * size[0] == pytest.approx(wanted, rel=1e-5)


def test_better_assumptions_gain_more_and_the_published_future_most():
    found = advantages(CHIP, FAMILY[0], TOKENS)
    assert found[AS_DESCRIBED] < found[FREE_WRITES] < found[FUTURE]
    dear = override(CHIP, {"cell.write_energy_j": 2e-9})
    assert advantages(dear, FAMILY[0], TOKENS)[AS_DESCRIBED] < found[AS_DESCRIBED]


def test_the_advantage_is_differentiable_and_its_elasticity_is_a_share_of_the_bill():
    """`d ln A / d ln p` of an energy that enters the bill in proportion is minus its share; for many chips at once."""
    model = load_architecture("gpt2")

    def log_advantage(log_energy_j):
        chip = eqx.tree_at(lambda each: each.tile.adc.energy_j, CHIP, jnp.exp(log_energy_j))
        return jnp.log(advantage_of(chip, model, TOKENS))

    energies_j = jnp.array([1e-12, 3e-12, 9e-12])
    elasticities = jax.vmap(jax.grad(log_advantage))(jnp.log(energies_j))
    for energy_j, elasticity in zip(energies_j, elasticities, strict=True):
        chip = override(CHIP, {"adc.energy_j": float(energy_j)})
        without = eqx.tree_at(lambda each: each.tile.adc.energy_j, chip, 0.0)
        share = 1 - advantage_of(chip, model, TOKENS) / advantage_of(without, model, TOKENS)
        assert float(elasticity) == pytest.approx(-float(share), rel=1e-3)


def test_digital_hardware_stands_beside_it():
    known = baselines()
    point = scaling_point(CHIP, load_architecture("gpt3-175b"), TOKENS, [known["b200-fp8"], known["nvidia-5nm-int4"]])
    # a board at 0.7 of its peak: 0.44 pJ / 0.7, and the work that is no product
    assert point.digital_j["b200-fp8"] / point.macs == pytest.approx(0.635e-12, rel=0.1)
    assert 21e-15 < point.digital_j["nvidia-5nm-int4"] / point.macs < 25e-15


def test_the_family_has_the_published_decoders_and_then_every_decade():
    family = decoder_family(read_size("gpt2"), 1e15)
    sizes = [model.parameters for model in family]
    assert sizes == sorted(sizes)
    assert {model.name for model in family[:-4]} == set(DECODERS)
    assert [model.name for model in family[-4:]] == ["1e12", "1e13", "1e14", "1e15"]
    assert [model.assumed for model in family] == [False] * len(DECODERS) + [True] * 4
    assert [model.name for model in decoder_family(1e13, 3e14)] == ["1e13", "1e14", "3e14"]


@pytest.mark.parametrize("size", [1e9, 1e12, 1e15])
@pytest.mark.parametrize("aspect", [32.0, ASPECT])
def test_a_scaled_decoder_has_the_size_and_the_proportions_asked_for(size, aspect):
    model = scaled_decoder(size, aspect)
    assert model.parameters == pytest.approx(size, rel=0.5 / model.main.depth + 0.01)
    assert model.main.hidden / model.main.depth == pytest.approx(aspect, rel=0.15)


def test_gpt_3_is_a_member_of_its_own_family():
    model = scaled_decoder(load_architecture("gpt3-175b").parameters)
    assert (model.main.hidden, model.main.depth) == (12288, 96)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decoder_family(1e12, 1e9), "is larger than the largest"),
        (lambda: decoder_family(-1, 1e9), "must be above 0"),
        (lambda: scaled_decoder(1e9, 0.0), "aspect = 0"),
        (lambda: scaled_decoder(1e5), "No decoder of 100000 parameters"),
        (lambda: decoder_family(1e9, 1e30), "up to 1e"),
        (lambda: read_size("gpt-7"), "neither a number of parameters nor a model"),
        (lambda: fitted(load_chip("lightening-transformer-b-4bit"), 8, 8), "no crossbars"),
        (lambda: scaling_point(CHIP, FAMILY[0], 0), "tokens = 0"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(PhotonsimError, match=message):
        call()
