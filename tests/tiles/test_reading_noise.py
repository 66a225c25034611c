"""Noise of each weight at each reading, and the shot noise of two live operands, go by the squares of the inputs."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.tiles.balanced_detection import AbstractBalancedTile, balanced_matmul
from photonsim.tiles.fast import analog_matmul_fast
from photonsim.tiles.partial_sums import Programmed, Readout, Shared, analog_matmul

KEY = jax.random.key_data(jax.random.key(7))


@pytest.mark.parametrize("product", [analog_matmul, analog_matmul_fast])
def test_noise_of_each_weight_at_each_reading_is_normal_with_the_variance_of_the_squares(product):
    """Σ q (w + σ n) with a new n for every product is w·q plus a normal deviate of variance σ² Σ q²."""
    sigma, columns, x = 0.3, 20_000, np.array([[3.0, -1.0, 0.5, 0.0]], np.float32)
    nought = jnp.zeros((1, columns))
    levels = jnp.ones((1, 4, columns))
    squares = jnp.full((1, columns), sigma**2)
    tiles = Programmed(levels, nought + 1, nought, nought, nought, nought + 1, squares)
    readout = Readout(None, None, 64, noise=False, shot_noise=False, common_mode=False, square_noise=True)
    found = np.asarray(product(jnp.asarray(x), tiles, readout, Shared(0.0), KEY, 0))[0]
    weights = 1 + sigma * np.random.default_rng(0).standard_normal((4, columns))
    expected = (x @ weights)[0]
    variance = sigma**2 * np.sum(x**2)
    for sums in (found, expected):
        assert abs(sums.mean() - x.sum()) < 5 * np.sqrt(variance / columns)
        assert abs(sums.var() / variance - 1) < 5 * np.sqrt(2 / columns)


@pytest.mark.parametrize("name", ["lightening-transformer-b-4bit", "hamerly-homodyne-2019"])
def test_balanced_detectors_whose_operands_do_not_err_give_the_same_bits_by_definition_and_kernel(name):
    quiet = {"tile.phase_sigma_rad": 0.0, "tile.receiver.shot_noise": True}
    if name.startswith("lightening"):
        quiet |= {"tile.channel_spacing_m": 0.0, "tile.magnitude_sigma": 0.0, "tile.output_sigma": 0.0}
    tile = override(load_chip(name), quiet).tile
    assert isinstance(tile, AbstractBalancedTile)
    random = np.random.default_rng(1)
    x, w = [jnp.asarray(random.standard_normal(shape), jnp.float32) for shape in ((5, 40), (40, 33))]
    programmed = tile.program(w)
    by_definition, by_kernel = [np.asarray(tile.matmul(x, programmed, KEY, engine)) for engine in ("jax", "numba")]
    np.testing.assert_array_equal(by_definition, by_kernel)
    settings = (tile.readout, tile.interference, 1.0, Shared(0.0))
    general = np.asarray(jax.jit(balanced_matmul)(x, programmed, KEY, settings, 0))
    same = np.abs(by_kernel - general) <= 1e-5 * np.abs(general).max()
    assert same.mean() > 0.99  # a splitter's share in float32 is off by 1e-8, which may move a code
