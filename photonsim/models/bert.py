"""BERT (Devlin et al., arXiv 1810.04805) in plain JAX: an encoder that sees the whole text at once.

    x = norm(E[token] + P[position] + S[segment])
    x = norm(x + attention(x));  x = norm(x + mlp(x))        once per layer: norms follow the sum

Returned are the hidden states of the last layer. `embed_sentences` averages them, as sentence-transformers do
(Reimers and Gurevych, arXiv 1908.10084; all-MiniLM-L6-v2 is such a model).
"""

import dataclasses

import jax
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from photonsim.models.config import check_context, check_fields
from photonsim.models.layers import Params, attend, layer_norm, linear, merge_heads, split_heads


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """Shapes and constants of one model, under the names of its `config.json`."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12

    def __post_init__(self):
        check_fields(self, divisible=("hidden_size", "num_attention_heads"))


def parameter_shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape; of the pooler, which the hidden states do not need, nothing."""
    hidden, wide = config.hidden_size, config.intermediate_size
    rows = {
        "word_embeddings": config.vocab_size,
        "position_embeddings": config.max_position_embeddings,
        "token_type_embeddings": config.type_vocab_size,
    }
    shapes: dict[str, tuple[int, ...]] = {f"embeddings.{name}.weight": (count, hidden) for name, count in rows.items()}
    shapes |= _norm("embeddings.LayerNorm", hidden)
    for i in range(config.num_hidden_layers):
        layer = f"encoder.layer.{i}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= _dense(f"{layer}attention.{name}", hidden, hidden)
        shapes |= _norm(f"{layer}attention.output.LayerNorm", hidden)
        shapes |= _dense(f"{layer}intermediate.dense", hidden, wide) | _dense(f"{layer}output.dense", wide, hidden)
        shapes |= _norm(f"{layer}output.LayerNorm", hidden)
    return shapes


def _dense(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, features: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (features,), f"{name}.bias": (features,)}


@jax.default_matmul_precision("highest")
def bert(
    params: Params,
    tokens: Int[Array, "batch length"],
    config: BertConfig,
    present: Bool[Array, "batch length"] | None = None,
) -> Float[Array, "batch length hidden"]:
    """Hidden states of every position; `present` is False where a shorter text of the batch is filled up.

    All tokens belong to the first segment. Raises `PhotonsimError` for texts longer than `max_position_embeddings`.
    """
    check_context(tokens, config.max_position_embeddings, "max_position_embeddings")
    eps = config.layer_norm_eps
    x = params["embeddings.word_embeddings.weight"][tokens]
    x = x + params["embeddings.position_embeddings.weight"][: tokens.shape[1]]
    x = layer_norm(params, "embeddings.LayerNorm", x + params["embeddings.token_type_embeddings.weight"][0], eps)
    visible = None if present is None else present[:, None, None, :]
    for i in range(config.num_hidden_layers):
        layer = f"encoder.layer.{i}."
        head_dim = config.hidden_size // config.num_attention_heads
        names = [f"{layer}attention.self.{name}" for name in ("query", "key", "value")]
        q, k, v = (split_heads(linear(params, name, x), head_dim) for name in names)
        gathered = linear(params, f"{layer}attention.output.dense", merge_heads(attend(q, k, v, visible)))
        x = layer_norm(params, f"{layer}attention.output.LayerNorm", x + gathered, eps)
        wide = jax.nn.gelu(linear(params, f"{layer}intermediate.dense", x), approximate=False)
        x = layer_norm(params, f"{layer}output.LayerNorm", x + linear(params, f"{layer}output.dense", wide), eps)
    return x


def embed_sentences(
    hidden: Float[Array, "batch length hidden"], present: Bool[Array, "batch length"]
) -> Float[Array, "batch hidden"]:
    """Mean of the hidden states of the tokens that are present, at length 1: their dot product is a cosine."""
    weight = present[..., None].astype(hidden.dtype)
    mean = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
    return mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)
