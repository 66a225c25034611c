"""The Llama family of decoders (Touvron et al., arXiv 2302.13971 and 2307.09288) in plain JAX, with its relatives:
Mistral, Qwen2 (biases of Q, K and V), Qwen3 (norms of Q and K), Mixtral and Qwen's mixtures of experts.

A token becomes a vector of `hidden_size`, the residual stream. Each layer adds to it twice: what attention gathers from
earlier positions, and what a gated feed-forward network makes of the position itself. Both read the stream through an
RMS norm. A last norm and the head turn it into one logit per word of the vocabulary:

    x = E[token]
    x = x + attention(norm(x));  x = x + mlp(norm(x))        once per layer
    logits = norm(x) Hᵀ                                      H = E where the head is tied

Parameters are a flat dictionary under the names of a Hugging Face checkpoint (`model.layers.0.self_attn.q_proj.weight`)
and in its layout, (out, in), because a matrix product is called after the weight it reads wherever a chip is put under
it. Layers are unrolled, so that each product has its own name. Everything is computed in float32, products included: a
GPU would otherwise drop to TF32, and the digital reference must not carry rounding of its own.

Left out: biases of the output projection and the MLP, rotary scaling (`rope_scaling`), sliding windows, and dropout.
The same decoder with a cache of keys and values, for generation, is in `cache.py`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from photonsim.errors import PhotonsimError
from photonsim.models.config import check_context, check_fields
from photonsim.models.experts import expert_shapes, mixture
from photonsim.models.layers import Params, causal_mask, gated, linear, rms_norm, split_heads

Rotation = tuple[Float[Array, "length d"], Float[Array, "length d"]]  # cosines and sines


@dataclasses.dataclass(frozen=True)
class LlamaConfig:
    """Shapes and constants of one model, under the names of its `config.json`."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False
    num_experts: int = 0  # 0: one MLP of intermediate_size in each layer
    num_experts_per_tok: int = 0
    expert_size: int = 0
    shared_expert_size: int = 0
    norm_topk_prob: bool = True

    def __post_init__(self):
        check_fields(self, divisible=("num_attention_heads", "num_key_value_heads"))
        if self.num_experts and not 1 <= self.num_experts_per_tok <= self.num_experts:
            raise PhotonsimError(
                f"LlamaConfig(num_experts_per_tok={self.num_experts_per_tok}): choose from 1 to all "
                f"{self.num_experts} experts."
            )
        if self.head_dim % 2:
            raise PhotonsimError(f"head_dim = {self.head_dim}: rotary embedding turns pairs, so it must be even.")

    @property
    def group_size(self) -> int:
        """Query heads that share one key-value head."""
        return self.num_attention_heads // self.num_key_value_heads


def parameter_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape, in the order in which the model reads them."""
    hidden, wide = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (queries, hidden),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, queries),
        "post_attention_layernorm.weight": (hidden,),
    }
    if config.qkv_bias:
        layer |= {f"self_attn.{name}_proj.bias": (size,) for name, size in (("q", queries), ("k", keys), ("v", keys))}
    if config.qk_norm:
        layer |= {f"self_attn.{name}_norm.weight": (config.head_dim,) for name in ("q", "k")}
    if config.num_experts:
        layer |= expert_shapes("mlp.", config.num_experts, hidden, config.expert_size, config.shared_expert_size)
    else:
        layer |= {f"mlp.{name}_proj.weight": (wide, hidden) for name in ("gate", "up")}
        layer["mlp.down_proj.weight"] = (hidden, wide)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, hidden)}
    for i in range(config.num_hidden_layers):
        shapes |= {f"model.layers.{i}.{name}": shape for name, shape in layer.items()}
    shapes["model.norm.weight"] = (hidden,)
    if not config.tie_word_embeddings:
        shapes["lm_head.weight"] = (config.vocab_size, hidden)
    return shapes


def llama(
    params: Params, tokens: Int[Array, "batch length"], config: LlamaConfig
) -> Float[Array, "batch length vocab"]:
    """Logits of the next token at every position, from the tokens up to and including it.

    Token ids must lie in the vocabulary: inside `jax.jit` their values cannot be checked, and XLA clamps those outside.
    Raises `PhotonsimError` for tokens that are not (batch, length) or longer than `max_position_embeddings`.
    """
    check_context(tokens, config.max_position_embeddings, "max_position_embeddings")
    for stage in stages(config):
        tokens = stage.forward(params, tokens)
    return tokens


class Stage(NamedTuple):
    """A part of a model that can be run by itself: what its parameters' names begin with, and what it does."""

    prefixes: tuple[str, ...]
    forward: Callable[[Params, Array], Array]


def stages(config: LlamaConfig) -> tuple[Stage, ...]:
    """The embedding, every layer, and the head: one after another, they are the model."""
    embedding = "model.embed_tokens.weight"
    layers = tuple(f"model.layers.{i}." for i in range(config.num_hidden_layers))
    last = ("model.norm.weight", embedding if config.tie_word_embeddings else "lm_head.weight")
    return (
        Stage((embedding,), lambda params, tokens: params[embedding][tokens]),
        *(Stage((layer,), functools.partial(decoder_layer, layer=layer, config=config)) for layer in layers),
        Stage(last, functools.partial(head, config=config)),
    )


@jax.default_matmul_precision("highest")
def decoder_layer(
    params: Params, x: Float[Array, "batch length hidden"], layer: str, config: LlamaConfig
) -> Float[Array, "batch length hidden"]:
    """One layer of the decoder, whose parameters' names begin with `layer`."""
    rotation, visible = rotary_tables(jnp.arange(x.shape[1]), config), causal_mask(x.shape[1])
    normed = rms_norm(x, params[layer + "input_layernorm.weight"], config.rms_norm_eps)
    x = x + attention(params, layer + "self_attn.", normed, rotation, visible, config)
    return x + feed_forward(params, layer, x, config)


def feed_forward(
    params: Params, layer: str, x: Float[Array, "batch length hidden"], config: LlamaConfig
) -> Float[Array, "batch length hidden"]:
    """What the second half of a layer adds: its gated network, or its mixture of experts."""
    normed = rms_norm(x, params[layer + "post_attention_layernorm.weight"], config.rms_norm_eps)
    if config.num_experts:
        return mixture(params, layer + "mlp.", normed, config.num_experts_per_tok, config.norm_topk_prob)
    return gated(params, layer + "mlp.", normed)


@jax.default_matmul_precision("highest")
def head(
    params: Params, x: Float[Array, "batch length hidden"], config: LlamaConfig
) -> Float[Array, "batch length vocab"]:
    """Logits of the next token from the residual stream after the last layer."""
    weight = params["model.embed_tokens.weight" if config.tie_word_embeddings else "lm_head.weight"]
    return rms_norm(x, params["model.norm.weight"], config.rms_norm_eps) @ weight.T


def rotary_tables(positions: Int[Array, " length"], config: LlamaConfig) -> Rotation:
    """Cosine and sine of `position · θ^(-2i/d)`, i = 0 … d/2 - 1, each table written twice side by side."""
    exponent = jnp.arange(0, config.head_dim, 2, dtype=jnp.float32) / config.head_dim
    angle = positions.astype(jnp.float32)[:, None] / config.rope_theta**exponent
    angle = jnp.concatenate([angle, angle], axis=-1)
    return jnp.cos(angle), jnp.sin(angle)


def rotate(x: Float[Array, "*b length d"], rotation: Rotation) -> Float[Array, "*b length d"]:
    """Turn each pair (x[i], x[i + d/2]) by its position's angle, so that q·k depends on the distance alone.

    Rotary embedding of Su et al., arXiv 2104.09864, with the pairs half a head apart as in Hugging Face checkpoints;
    llama.cpp, and the paper, pair neighbours.
    """
    cos, sin = rotation
    first, second = jnp.split(x, 2, axis=-1)
    return x * cos + jnp.concatenate([-second, first], axis=-1) * sin


def attention(
    params: Params,
    prefix: str,
    x: Float[Array, "batch length hidden"],
    rotation: Rotation,
    visible: Bool[Array, "length length"],
    config: LlamaConfig,
) -> Float[Array, "batch length hidden"]:
    """Attention among the positions of `x`: `projections`, then `gather` over them."""
    q, k, v = projections(params, prefix, x, rotation, config)
    return gather(params, prefix, q, k, v, visible, config)


def projections(
    params: Params, prefix: str, x: Float[Array, "batch length hidden"], rotation: Rotation, config: LlamaConfig
) -> tuple[Float[Array, "batch heads length d"], ...]:
    """Queries, keys and values by head, the first two turned to their positions; fewer heads of keys and values."""
    q, k, v = (split_heads(linear(params, f"{prefix}{name}_proj", x), config.head_dim) for name in "qkv")
    if config.qk_norm:
        q, k = (
            rms_norm(y, params[f"{prefix}{name}_norm.weight"], config.rms_norm_eps) for name, y in (("q", q), ("k", k))
        )
    return rotate(q, rotation), rotate(k, rotation), v


def gather(
    params: Params,
    prefix: str,
    q: Float[Array, "batch heads t d"],
    k: Float[Array, "batch shared s d"],
    v: Float[Array, "batch shared s d"],
    visible: Bool[Array, "t s"],
    config: LlamaConfig,
) -> Float[Array, "batch t hidden"]:
    """`softmax(Q Kᵀ / sqrt(d)) V Wₒᵀ` over the visible positions, grouped-query (Ainslie et al., arXiv 2305.13245).

    The queries of a group are stacked as rows against the one key-value head they share, so that both products are
    plain batched ones, and hardware that must load K and V as weights loads them once per group. (Hugging Face's own
    model repeats K and V for every query head: on a chip, the same product under another draw of the noise.)
    """
    batch, shared, stored, dim = k.shape
    length, group = q.shape[2], config.group_size
    q = q.reshape(batch, shared, group * length, dim)
    scores = (q @ k.swapaxes(-1, -2)).reshape(batch, shared, group, length, stored) / math.sqrt(dim)
    shares = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
    gathered = shares.reshape(batch, shared, group * length, stored) @ v

    heads = gathered.reshape(batch, config.num_attention_heads, length, dim)
    return heads.swapaxes(1, 2).reshape(batch, length, -1) @ params[prefix + "o_proj.weight"].T
