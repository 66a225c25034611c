"""The Llama family of decoders (Touvron et al., arXiv 2302.13971 and 2307.09288) in plain JAX.

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

Left out: attention and MLP biases, rotary scaling (`rope_scaling`), dropout, and a key-value cache.
"""

import dataclasses
import math
from collections.abc import Mapping

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from photonsim.errors import PhotonsimError

Params = Mapping[str, Array]
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

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise PhotonsimError(f"LlamaConfig({field.name}={value!r}): give a whole number of at least 1.")
            if field.type is float and not (isinstance(value, int | float) and 0 < value < math.inf):
                raise PhotonsimError(f"LlamaConfig({field.name}={value!r}): give a positive, finite number.")
        if self.num_attention_heads % self.num_key_value_heads:
            raise PhotonsimError(
                f"{self.num_attention_heads} attention heads cannot share {self.num_key_value_heads} key-value heads "
                "equally: make num_attention_heads a multiple of num_key_value_heads."
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
    layer = {
        "input_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (queries, hidden),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, queries),
        "post_attention_layernorm.weight": (hidden,),
        "mlp.gate_proj.weight": (wide, hidden),
        "mlp.up_proj.weight": (wide, hidden),
        "mlp.down_proj.weight": (hidden, wide),
    }
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, hidden)}
    for i in range(config.num_hidden_layers):
        shapes |= {f"model.layers.{i}.{name}": shape for name, shape in layer.items()}
    shapes["model.norm.weight"] = (hidden,)
    if not config.tie_word_embeddings:
        shapes["lm_head.weight"] = (config.vocab_size, hidden)
    return shapes


@jax.default_matmul_precision("highest")
def llama(
    params: Params, tokens: Int[Array, "batch length"], config: LlamaConfig
) -> Float[Array, "batch length vocab"]:
    """Logits of the next token at every position, from the tokens up to and including it.

    Token ids must lie in the vocabulary: inside `jax.jit` their values cannot be checked, and XLA clamps those outside.
    Raises `PhotonsimError` for tokens that are not (batch, length) or longer than `max_position_embeddings`.
    """
    if tokens.ndim != 2 or not 1 <= tokens.shape[1] <= config.max_position_embeddings:
        raise PhotonsimError(
            f"tokens of shape {tokens.shape}: this model takes (batch, length) with a length from 1 to "
            f"{config.max_position_embeddings} (its max_position_embeddings)."
        )
    rotation = rotary_tables(jnp.arange(tokens.shape[1]), config)
    visible = causal_mask(tokens.shape[1])
    embedding = params["model.embed_tokens.weight"]
    x = embedding[tokens]
    for i in range(config.num_hidden_layers):
        prefix = f"model.layers.{i}."
        attention_input = rms_norm(x, params[prefix + "input_layernorm.weight"], config.rms_norm_eps)
        x = x + attention(params, prefix + "self_attn.", attention_input, rotation, visible, config)
        mlp_input = rms_norm(x, params[prefix + "post_attention_layernorm.weight"], config.rms_norm_eps)
        x = x + mlp(params, prefix + "mlp.", mlp_input)
    head = embedding if config.tie_word_embeddings else params["lm_head.weight"]
    return rms_norm(x, params["model.norm.weight"], config.rms_norm_eps) @ head.T


def rms_norm(x: Float[Array, "*b c"], weight: Float[Array, " c"], eps: float) -> Float[Array, "*b c"]:
    """`x / sqrt(mean(x²) + eps) · weight` (Zhang and Sennrich, arXiv 1910.07467)."""
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + eps) * weight


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


def causal_mask(length: int) -> Bool[Array, "t s"]:
    """True where position t may look at position s: s ≤ t."""
    positions = jnp.arange(length)
    return positions[None, :] <= positions[:, None]


def attention(
    params: Params,
    prefix: str,
    x: Float[Array, "batch length hidden"],
    rotation: Rotation,
    visible: Bool[Array, "length length"],
    config: LlamaConfig,
) -> Float[Array, "batch length hidden"]:
    """`softmax(Q Kᵀ / sqrt(d)) V Wₒᵀ` over the visible positions, grouped-query (Ainslie et al., arXiv 2305.13245).

    The queries of a group are stacked as rows against the one key-value head they share, so that both products are
    plain batched ones, and hardware that must load K and V as weights loads them once per group.
    """
    batch, length, _ = x.shape
    shared, group, dim = config.num_key_value_heads, config.group_size, config.head_dim
    q = rotate(split_heads(x @ params[prefix + "q_proj.weight"].T, dim), rotation)
    k = rotate(split_heads(x @ params[prefix + "k_proj.weight"].T, dim), rotation)
    v = split_heads(x @ params[prefix + "v_proj.weight"].T, dim)

    q = q.reshape(batch, shared, group * length, dim)
    scores = (q @ k.swapaxes(-1, -2)).reshape(batch, shared, group, length, length) / math.sqrt(dim)
    shares = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
    gathered = shares.reshape(batch, shared, group * length, length) @ v

    heads = gathered.reshape(batch, config.num_attention_heads, length, dim)
    return heads.swapaxes(1, 2).reshape(batch, length, -1) @ params[prefix + "o_proj.weight"].T


def split_heads(x: Float[Array, "batch length features"], head_dim: int) -> Float[Array, "batch heads length d"]:
    """Cut the features into heads and bring the heads forward."""
    return x.reshape(*x.shape[:2], -1, head_dim).swapaxes(1, 2)


def mlp(params: Params, prefix: str, x: Float[Array, "batch length hidden"]) -> Float[Array, "batch length hidden"]:
    """`(silu(x Wgᵀ) ⊙ x Wuᵀ) Wdᵀ`: the gated unit SwiGLU of Shazeer, arXiv 2002.05202."""
    gate = jax.nn.silu(x @ params[prefix + "gate_proj.weight"].T)
    return (gate * (x @ params[prefix + "up_proj.weight"].T)) @ params[prefix + "down_proj.weight"].T
