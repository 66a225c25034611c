"""The pieces that transformers of every family are built from, in plain JAX on named parameters.

A linear layer is `x Wᵀ + b` with W in the layout of its checkpoint, (out, in), so that the product carries the name of
the parameter it reads. Attention comes after its heads are split: `attend` holds the two products of activations.
"""

import math
from collections.abc import Mapping

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float

Params = Mapping[str, Array]


def linear(params: Params, name: str, x: Float[Array, "*b i"]) -> Float[Array, "*b o"]:
    """`x Wᵀ + b` of the parameters `name.weight`, (out, in), and `name.bias` where there is one."""
    y = x @ params[f"{name}.weight"].T
    bias = params.get(f"{name}.bias")
    return y if bias is None else y + bias


def layer_norm(params: Params, name: str, x: Float[Array, "*b c"], eps: float) -> Float[Array, "*b c"]:
    """`(x - mean) / sqrt(mean((x - mean)²) + eps) · weight + bias` (Ba et al., arXiv 1607.06450)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    unit = centred * jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + eps)
    return unit * params[f"{name}.weight"] + params[f"{name}.bias"]


def rms_norm(x: Float[Array, "*b c"], weight: Float[Array, " c"], eps: float) -> Float[Array, "*b c"]:
    """`x / sqrt(mean(x²) + eps) · weight` (Zhang and Sennrich, arXiv 1910.07467)."""
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def split_heads(x: Float[Array, "batch length features"], head_dim: int) -> Float[Array, "batch heads length d"]:
    """Cut the features into heads and bring the heads forward."""
    return x.reshape(*x.shape[:2], -1, head_dim).swapaxes(1, 2)


def merge_heads(x: Float[Array, "batch heads length d"]) -> Float[Array, "batch length features"]:
    """The inverse of `split_heads`."""
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def causal_mask(length: int) -> Bool[Array, "t s"]:
    """True where position t may look at position s: s ≤ t."""
    positions = jnp.arange(length)
    return positions[None, :] <= positions[:, None]


def attend(
    q: Float[Array, "batch heads t d"],
    k: Float[Array, "batch heads s d"],
    v: Float[Array, "batch heads s d"],
    visible: Bool[Array, "*#b t s"] | None = None,
) -> Float[Array, "batch heads t d"]:
    """`softmax(Q Kᵀ / sqrt(d)) V` over the visible positions, or over all (Vaswani et al., arXiv 1706.03762)."""
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    if visible is not None:
        scores = jnp.where(visible, scores, -jnp.inf)
    return jax.nn.softmax(scores, axis=-1) @ v


def gated(params: Params, prefix: str, x: Float[Array, "*b hidden"]) -> Float[Array, "*b hidden"]:
    """`(silu(x Wgᵀ) ⊙ x Wuᵀ) Wdᵀ`: the gated unit SwiGLU of Shazeer, arXiv 2002.05202."""
    gate = jax.nn.silu(linear(params, f"{prefix}gate_proj", x))
    return linear(params, f"{prefix}down_proj", gate * linear(params, f"{prefix}up_proj", x))
