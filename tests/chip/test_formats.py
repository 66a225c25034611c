"""Operands in the number formats of a chip: rounded along the inner dimension before the tile has them."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import disturbances_on, load_chip, override, save_chip
from photonsim.converters.formats import number_format
from photonsim.cost import Product
from photonsim.cost.mapping import INPUT_STATIONARY, map_product
from photonsim.errors import PhotonsimError
from photonsim.evaluate.budget import error_budget

IDEAL = load_chip("ideal")
KEY = jax.random.key(0)


def operands():
    rng = np.random.default_rng(0)
    return tuple(jnp.asarray(rng.normal(size=shape).astype(np.float32)) for shape in ((5, 70), (70, 9)))


def product(chip, x, w):
    return np.asarray(chip.matmul(x, chip.program(w), KEY, "jax"))


@pytest.mark.parametrize("name", ["int8", "abfp4", "fp4_e2m1", "mxfp8_e4m3"])
def test_an_ideal_chip_multiplies_the_rounded_operands(name):
    """Blocks run along the inner dimension of both: rows of the inputs, columns of the weights."""
    x, w = operands()
    rounded = number_format(name)
    inputs = product(dataclasses.replace(IDEAL, input_format=name), x, w)
    np.testing.assert_allclose(inputs, np.asarray(rounded.quantize(x) @ w), atol=3e-5)
    weights = product(dataclasses.replace(IDEAL, weight_format=name), x, w)
    np.testing.assert_allclose(weights, np.asarray(x @ rounded.quantize(w.T).T), atol=3e-5)


def test_a_format_is_a_setting_and_a_line_of_the_error_budget(tmp_path):
    chip = override(IDEAL, {"input_format": "mxfp4", "weight_format": "mxfp4"})
    save_chip(chip, tmp_path / "copy.toml")
    assert load_chip(tmp_path / "copy.toml").input_format == "mxfp4"
    assert [each.name for each in disturbances_on(chip)] == ["input format", "weight format"]
    assert disturbances_on(IDEAL) == ()
    effects = {effect.name: effect.relative_error or 0.0 for effect in error_budget(chip)}
    alone = effects["input format"], effects["weight format"]
    assert effects["all together"] == pytest.approx(np.hypot(*alone), rel=0.05)  # independent errors of about 13 %


def test_gradients_pass_straight_through_a_format():
    x, w = operands()
    chip = dataclasses.replace(IDEAL, weight_format="int8")
    gradient = jax.grad(lambda w: jnp.sum(chip.matmul(x, chip.program(w), KEY, "jax")))(w)
    close = np.isclose(gradient, np.broadcast_to(np.asarray(x).sum(0)[:, None], w.shape), atol=1e-4)
    assert close.sum() >= w.size - 1  # the largest may lie just beyond the largest code, where it is clipped


def test_a_format_that_does_not_exist_is_refused():
    with pytest.raises(PhotonsimError, match=r"Did you mean.*mxfp4"):
        override(IDEAL, {"input_format": "mxfp"})


@pytest.mark.parametrize("name", ["lightmatter-envise-2025", "lightening-transformer-b-4bit", "mirage-2024"])
def test_operands_lie_in_sram_in_their_format(name):
    """Inputs are written once and read for every column of tiles, weights are read for every writing: nothing else."""
    chip = load_chip(name)
    batch, m, k, n = 2, 30, 300, 200
    own = chip.tile.operand_bits
    plain = chip.events(batch, m, k, n)
    across = -(-n // chip.tile.columns)
    weights_read = {"mirage-2024": batch * k * n}.get(name, plain.weight_writes)
    for word, bits in (("mxfp4", 4.25), ("mxfp8_e4m3", 8.25)):
        inputs = dataclasses.replace(chip, input_format=word).events(batch, m, k, n)
        assert inputs.sram_write_bits - plain.sram_write_bits == pytest.approx(batch * m * k * (bits - own[0]))
        assert inputs.sram_read_bits - plain.sram_read_bits == pytest.approx(batch * m * k * across * (bits - own[0]))
        weights = dataclasses.replace(chip, weight_format=word).events(batch, m, k, n)
        assert weights.sram_write_bits == plain.sram_write_bits
        assert weights.sram_read_bits - plain.sram_read_bits == pytest.approx(weights_read * (bits - own[1]))
        assert inputs.input_conversions == plain.input_conversions


def test_where_the_weights_stream_it_is_their_format_that_is_read_again():
    chip = dataclasses.replace(load_chip("lightmatter-envise-2025"), weight_format="mxfp4")
    product = Product("p", "weight", 1, 30, 300, 200)
    stationary = map_product(chip, product, INPUT_STATIONARY).events
    assert stationary == chip.events(1, 200, 300, 30, exchanged=True)
    columns_of_tiles = -(-30 // 128)
    own = chip.tile.operand_bits
    plain = load_chip("lightmatter-envise-2025").events(1, 200, 300, 30)
    assert stationary.sram_read_bits - plain.sram_read_bits == 200 * 300 * columns_of_tiles * (4.25 - own[0])
