"""Modules of flax.nnx, unmodified: a transformer with its attention, and a convolutional network."""

import jax
import numpy as np
import pytest
from flax import nnx
from jax import numpy as jnp

from photonsim.swap import simulate


class Block(nnx.Module):
    """Attention and a perceptron, both beside the residual stream."""

    def __init__(self, rngs):
        self.norm = nnx.LayerNorm(16, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 16, decode=False, rngs=rngs)
        self.wide = nnx.Linear(16, 32, rngs=rngs)
        self.narrow = nnx.Linear(32, 16, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.norm(x))
        return x + self.narrow(jax.nn.gelu(self.wide(x)))


class Transformer(nnx.Module):
    """A list of one block, and a head."""

    def __init__(self, rngs):
        self.blocks = nnx.List([Block(rngs)])
        self.head = nnx.Linear(16, 5, rngs=rngs)

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class ConvolutionalNetwork(nnx.Module):
    """Two convolutions, the second in groups, each pooled, and a classifier."""

    def __init__(self, rngs):
        self.first = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, use_running_average=True, rngs=rngs)
        self.second = nnx.Conv(8, 16, (3, 3), strides=2, feature_group_count=2, rngs=rngs)
        self.head = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, images):
        x = nnx.max_pool(jax.nn.relu(self.norm(self.first(images))), (2, 2), (2, 2))
        return self.head(jax.nn.relu(self.second(x)).mean((1, 2)))


PARTS = ("attention.query.kernel", "attention.key.kernel", "attention.value.kernel", "attention:product",
         "attention:product#1", "attention.out.kernel", "wide.kernel", "narrow.kernel")  # fmt: skip
CASES = [
    (Transformer, (2, 7, 16), [*(f"blocks.0.{part}" for part in PARTS), "head.kernel"]),
    (ConvolutionalNetwork, (2, 8, 8, 3), ["first.kernel", "second.kernel", "head.kernel"]),
]


@pytest.mark.parametrize(("module", "shape", "names"), CASES, ids=["transformer", "convolutions"])
def test_a_module_of_flax_runs_with_every_product_on_the_chip(exact, noisy, module, shape, names):
    model = module(nnx.Rngs(0))
    x = jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)
    graph, state = nnx.split(model)

    def forward(state, x):
        return nnx.merge(graph, state)(x)

    sim = simulate(forward, exact, strict=True)
    table = sim.coverage(state, x)
    assert [row.name for row in table.rows] == names
    assert table.mac_share == 1
    plain, on_chip, disturbed = jax.jit(
        lambda state, x: (forward(state, x), sim(state, x), simulate(forward, noisy)(state, x))
    )(state, x)
    np.testing.assert_allclose(on_chip, plain, rtol=0, atol=1e-5)
    assert np.abs(disturbed - plain).max() > 1e-3
