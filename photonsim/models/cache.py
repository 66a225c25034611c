"""Decoders with a cache of keys and values: prefill, then decoding one token at a time. For Llama's family and GPT-2.

A token's query meets the keys of all tokens up to it, which never change. So a layer keeps them, and the values, and
each new token is computed alone. The cache has room for `capacity` positions; those not written yet are zero, and
masked.

On a chip, keys and values are operands that live: they are written into its tiles anew, and quantised anew, at every
step. The scale of a key is that of the key alone. Values share the scale of their column over a tile's rows, that is
over many positions; so the scale follows the largest value *so far*, where a forward pass over the whole text has the
largest of all. That is why a chip's cached answer differs from its uncached one in the product with the values, noise
apart, and in nothing else; for an exact chip they are equal.
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from photonsim.models import gpt2
from photonsim.models.gpt2 import Gpt2Config
from photonsim.models.layers import Params, rms_norm
from photonsim.models.llama import LlamaConfig, feed_forward, gather, head, projections, rotary_tables


class Cache(NamedTuple):
    """Keys and values of every layer, (layers, batch, heads, capacity, d), and how many positions are written."""

    keys: Float[Array, "layers batch heads capacity d"]
    values: Float[Array, "layers batch heads capacity d"]
    length: Int[Array, ""]

    @property
    def capacity(self) -> int:
        """Positions there is room for."""
        return self.keys.shape[3]


def empty_cache(config: LlamaConfig | Gpt2Config, capacity: int, batch: int = 1) -> Cache:
    """A cache with nothing in it."""
    shape = (config.num_hidden_layers, batch, config.num_key_value_heads, capacity, config.head_dim)
    return Cache(jnp.zeros(shape, jnp.float32), jnp.zeros(shape, jnp.float32), jnp.int32(0))


def grow(cache: Cache, capacity: int) -> Cache:
    """The same cache with room for more positions."""
    more = [(0, 0)] * 3 + [(0, capacity - cache.capacity), (0, 0)]
    return Cache(jnp.pad(cache.keys, more), jnp.pad(cache.values, more), cache.length)


@jax.default_matmul_precision("highest")
def llama_cached(
    params: Params, tokens: Int[Array, "batch new"], cache: Cache, config: LlamaConfig, only_last: bool = False
) -> tuple[Float[Array, "batch new vocab"], Cache]:
    """Logits of the token after each new one, which follow those in the cache; and the cache with the new ones in it.

    `only_last`: of the last new token alone, (batch, 1, vocab), as generation needs them. The caller sees to it that
    the new tokens fit: `cache.length` is known only at run time.
    """
    positions, visible = _positions(tokens, cache)
    rotation = rotary_tables(positions, config)
    x = params["model.embed_tokens.weight"][tokens]
    keys, values = [], []
    for i in range(config.num_hidden_layers):
        layer = f"model.layers.{i}."
        normed = rms_norm(x, params[layer + "input_layernorm.weight"], config.rms_norm_eps)
        q, k, v = projections(params, layer + "self_attn.", normed, rotation, config)
        keys.append(_write(cache.keys[i], k, cache.length))
        values.append(_write(cache.values[i], v, cache.length))
        x = x + gather(params, layer + "self_attn.", q, keys[-1], values[-1], visible, config)
        x = x + feed_forward(params, layer, x, config)
    logits = head(params, x[:, -1:] if only_last else x, config)
    return logits, Cache(jnp.stack(keys), jnp.stack(values), cache.length + tokens.shape[1])


@jax.default_matmul_precision("highest")
def gpt2_cached(
    params: Params, tokens: Int[Array, "batch new"], cache: Cache, config: Gpt2Config, only_last: bool = False
) -> tuple[Float[Array, "batch new vocab"], Cache]:
    """The same of a GPT-2."""
    positions, visible = _positions(tokens, cache)
    x = gpt2.embed(params, tokens, positions)
    keys, values = [], []
    for i in range(config.n_layer):
        block = f"transformer.h.{i}."
        q, k, v = gpt2.projections(params, block, x, config)
        keys.append(_write(cache.keys[i], k, cache.length))
        values.append(_write(cache.values[i], v, cache.length))
        x = gpt2.gather(params, block, x, q, keys[-1], values[-1], visible, config)
    logits = gpt2.head(params, x[:, -1:] if only_last else x, config)
    return logits, Cache(jnp.stack(keys), jnp.stack(values), cache.length + tokens.shape[1])


def _positions(tokens: Int[Array, "batch new"], cache: Cache) -> tuple[Int[Array, " new"], Bool[Array, "new capacity"]]:
    """Positions of the new tokens, and which of all positions each may look at."""
    positions = cache.length + jnp.arange(tokens.shape[1])
    return positions, jnp.arange(cache.capacity)[None, :] <= positions[:, None]


def _write(stored: Float[Array, "b h capacity d"], new: Float[Array, "b h t d"], start: Int[Array, ""]) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(stored, new, start, axis=2)
