"""The swap with a real `Chip` in place of a stand-in."""

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp

from photonsim.chip import load_chip
from photonsim.swap import simulate


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


PARAMS = {"k": normal(0, 8, 8), "v": normal(1, 8, 8)}
X = normal(2, 2, 5, 8)


def attention(params, x):
    keys, values = x @ params["k"], x @ params["v"]
    return jax.nn.softmax(x @ keys.swapaxes(1, 2)) @ values


def test_an_ideal_chip_changes_nothing():
    sim = simulate(attention, load_chip("ideal"), strict=True)
    np.testing.assert_allclose(jax.jit(sim)(PARAMS, X), attention(PARAMS, X), rtol=1e-4, atol=1e-4)


def test_programming_once_gives_the_in_line_result_bit_for_bit():
    sim = simulate(attention, load_chip("lightmatter-envise-2025"), strict=True)
    programmed = sim.program(PARAMS, X)
    assert {name: tiles.levels.dtype for name, tiles in programmed.items()} == {"k": jnp.int8, "v": jnp.int8}
    result = jax.jit(sim.run)(programmed, PARAMS, X)
    np.testing.assert_array_equal(result, jax.jit(sim)(PARAMS, X))
    assert (result != attention(PARAMS, X)).any()
    assert (result != jax.jit(sim.run)(programmed, PARAMS, X, seed=1)).any()


def test_dies_and_chips_can_be_mapped_over():
    """Rounding may tip a converter's code; dies and noise differ by far more."""
    chip = load_chip("lightmatter-envise-2025")

    def answer(die, noise_rms):
        own = eqx.tree_at(lambda c: (c.tile.die.seed, c.tile.adc.noise_rms), chip, (die, noise_rms))
        return simulate(attention, own)(PARAMS, X)

    dies, noises = [0, 1], [0.0, 0.01]
    mapped = jax.jit(jax.vmap(answer))(jnp.array(dies), jnp.array(noises))
    one_by_one = jnp.stack([jax.jit(answer)(*pair) for pair in zip(dies, noises, strict=True)])
    assert np.abs(mapped - one_by_one).mean() < 0.01 * np.abs(mapped[0] - mapped[1]).mean()
