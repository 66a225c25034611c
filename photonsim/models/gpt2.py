"""GPT-2 (Radford et al., 2019) in plain JAX: learned positions, layer norms, one fused projection to Q, K and V.

    x = E[token] + P[position]
    x = x + attention(norm(x));  x = x + mlp(norm(x))        once per layer
    logits = norm(x) Eᵀ

Its checkpoints hold linear weights as (in, out), the layout of the TensorFlow original ("Conv1D"): kept here, so that
the parameters are the checkpoint's own under their own names (`transformer.h.0.attn.c_attn.weight`). The same model
with a cache of keys and values, for generation, is in `cache.py`.
"""

import dataclasses

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from photonsim.models.config import check_context, check_fields
from photonsim.models.layers import Params, attend, causal_mask, layer_norm, merge_heads, split_heads


@dataclasses.dataclass(frozen=True)
class Gpt2Config:
    """Shapes and constants of one model, under the names of its `config.json`."""

    vocab_size: int
    n_embd: int
    n_layer: int
    n_head: int
    n_inner: int
    n_positions: int
    layer_norm_epsilon: float = 1e-5

    def __post_init__(self):
        check_fields(self, divisible=("n_embd", "n_head"))

    # The sizes of its cache of keys and values, under the names that other families have for them.

    @property
    def max_position_embeddings(self) -> int:
        """Tokens that the model takes at once."""
        return self.n_positions

    @property
    def num_hidden_layers(self) -> int:
        """Layers."""
        return self.n_layer

    @property
    def num_key_value_heads(self) -> int:
        """Heads of keys and values: one for each of the queries."""
        return self.n_head

    @property
    def head_dim(self) -> int:
        """Features of a head."""
        return self.n_embd // self.n_head


def parameter_shapes(config: Gpt2Config) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape."""
    hidden, wide = config.n_embd, config.n_inner
    layer = {
        "ln_1.weight": (hidden,),
        "ln_1.bias": (hidden,),
        "attn.c_attn.weight": (hidden, 3 * hidden),
        "attn.c_attn.bias": (3 * hidden,),
        "attn.c_proj.weight": (hidden, hidden),
        "attn.c_proj.bias": (hidden,),
        "ln_2.weight": (hidden,),
        "ln_2.bias": (hidden,),
        "mlp.c_fc.weight": (hidden, wide),
        "mlp.c_fc.bias": (wide,),
        "mlp.c_proj.weight": (wide, hidden),
        "mlp.c_proj.bias": (hidden,),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (config.vocab_size, hidden),
        "transformer.wpe.weight": (config.n_positions, hidden),
    }
    for i in range(config.n_layer):
        shapes |= {f"transformer.h.{i}.{name}": shape for name, shape in layer.items()}
    return shapes | {"transformer.ln_f.weight": (hidden,), "transformer.ln_f.bias": (hidden,)}


@jax.default_matmul_precision("highest")
def gpt2(params: Params, tokens: Int[Array, "batch length"], config: Gpt2Config) -> Float[Array, "batch length vocab"]:
    """Logits of the next token at every position. Raises `PhotonsimError` for a text longer than `n_positions`."""
    check_context(tokens, config.n_positions, "n_positions")
    x, visible = embed(params, tokens, jnp.arange(tokens.shape[1])), causal_mask(tokens.shape[1])
    for i in range(config.n_layer):
        block = f"transformer.h.{i}."
        q, k, v = projections(params, block, x, config)
        x = gather(params, block, x, q, k, v, visible, config)
    return head(params, x, config)


def embed(
    params: Params, tokens: Int[Array, "batch length"], positions: Int[Array, " length"]
) -> Float[Array, "batch length hidden"]:
    """Each token's vector plus that of its position."""
    return params["transformer.wte.weight"][tokens] + params["transformer.wpe.weight"][positions]


def projections(
    params: Params, block: str, x: Float[Array, "batch length hidden"], config: Gpt2Config
) -> tuple[Float[Array, "batch heads length d"], ...]:
    """Queries, keys and values of a layer, by head."""
    normed = layer_norm(params, f"{block}ln_1", x, config.layer_norm_epsilon)
    q, k, v = jnp.split(_conv1d(params, f"{block}attn.c_attn", normed), 3, axis=-1)
    return split_heads(q, config.head_dim), split_heads(k, config.head_dim), split_heads(v, config.head_dim)


def gather(
    params: Params,
    block: str,
    x: Float[Array, "batch t hidden"],
    q: Float[Array, "batch heads t d"],
    k: Float[Array, "batch heads s d"],
    v: Float[Array, "batch heads s d"],
    visible: Bool[Array, "t s"],
    config: Gpt2Config,
) -> Float[Array, "batch t hidden"]:
    """A layer's output: what its attention gathers from the visible positions, then its network."""
    x = x + _conv1d(params, f"{block}attn.c_proj", merge_heads(attend(q, k, v, visible)))
    wide = _conv1d(params, f"{block}mlp.c_fc", layer_norm(params, f"{block}ln_2", x, config.layer_norm_epsilon))
    return x + _conv1d(params, f"{block}mlp.c_proj", jax.nn.gelu(wide, approximate=True))


def head(
    params: Params, x: Float[Array, "batch length hidden"], config: Gpt2Config
) -> Float[Array, "batch length vocab"]:
    """Logits of the next token from the residual stream after the last layer."""
    return layer_norm(params, "transformer.ln_f", x, config.layer_norm_epsilon) @ params["transformer.wte.weight"].T


def _conv1d(params: Params, name: str, x: Float[Array, "*b i"]) -> Float[Array, "*b o"]:
    """`x W + b`: a linear layer whose weight lies as (in, out)."""
    return x @ params[f"{name}.weight"] + params[f"{name}.bias"]
