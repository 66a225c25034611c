"""A multilayer perceptron: `h' = relu(h W + b)`, layer after layer; the last layer's sums are scores of the classes."""

import itertools
from collections.abc import Mapping, Sequence

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

SIZES = (64, 300, 100, 10)  # pixels, two hidden layers, classes

Params = Mapping[str, Array]


def initial_params(key: PRNGKeyArray, sizes: Sequence[int] = SIZES) -> dict[str, Array]:
    """Normal weights of variance 2 / inputs, which relu keeps in scale (He et al., arXiv 1502.01852); biases 0."""
    params = {}
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        deviates = jax.random.normal(jax.random.fold_in(key, layer), (inputs, outputs), jnp.float32)
        params[f"layers.{layer}.weight"] = deviates * (2 / inputs) ** 0.5
        params[f"layers.{layer}.bias"] = jnp.zeros(outputs, jnp.float32)
    return params


def classify(params: Params, images: Float[Array, "batch pixels"]) -> Float[Array, "batch classes"]:
    """Scores of the classes (logits)."""
    layers = len(params) // 2
    hidden = images
    for layer in range(layers):
        hidden = hidden @ params[f"layers.{layer}.weight"] + params[f"layers.{layer}.bias"]
        if layer < layers - 1:
            hidden = jax.nn.relu(hidden)
    return hidden
