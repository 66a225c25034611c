"""A mixture of experts (Shazeer et al., arXiv 1701.06538) as Mixtral and Qwen's mixtures have it, in plain JAX.

A router gives each token a probability for every expert; the best few answer, and their answers are added up, weighted:

    p = softmax(x Wᵣᵀ);   y = Σ_{e in top k of p}  p_e / Σ p · down_e (silu(gate_e x) ⊙ up_e x)

Tokens are sorted by expert, so that each expert sees its own rows as one matrix product (`jax.lax.ragged_dot`) and no
arithmetic is spent on experts that a token did not choose.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.models.layers import Params, gated, linear


def expert_shapes(prefix: str, experts: int, hidden: int, wide: int, shared: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a mixture: a router, the experts' weights stacked, and the shared expert if `shared` > 0."""
    shapes: dict[str, tuple[int, ...]] = {
        f"{prefix}gate.weight": (experts, hidden),
        f"{prefix}experts.gate_proj.weight": (experts, wide, hidden),
        f"{prefix}experts.up_proj.weight": (experts, wide, hidden),
        f"{prefix}experts.down_proj.weight": (experts, hidden, wide),
    }
    if shared:
        shapes |= {
            f"{prefix}shared_expert.gate_proj.weight": (shared, hidden),
            f"{prefix}shared_expert.up_proj.weight": (shared, hidden),
            f"{prefix}shared_expert.down_proj.weight": (hidden, shared),
            f"{prefix}shared_expert_gate.weight": (1, hidden),
        }
    return shapes


def mixture(
    params: Params, prefix: str, x: Float[Array, "batch length hidden"], chosen: int, normalised: bool
) -> Float[Array, "batch length hidden"]:
    """The `chosen` best experts of each token; their weights add up to 1 if `normalised`."""
    tokens = x.reshape(-1, x.shape[-1])
    probabilities = jax.nn.softmax(linear(params, f"{prefix}gate", tokens), axis=-1)
    weights, experts = jax.lax.top_k(probabilities, chosen)  # (tokens, chosen)
    if normalised:
        weights = weights / weights.sum(axis=-1, keepdims=True)
    y = _answers(params, f"{prefix}experts.", tokens, experts.reshape(-1), chosen)
    y = (y * weights[..., None]).sum(axis=1)
    if f"{prefix}shared_expert_gate.weight" in params:
        share = jax.nn.sigmoid(linear(params, f"{prefix}shared_expert_gate", tokens))
        y = y + share * gated(params, f"{prefix}shared_expert.", tokens)
    return y.reshape(x.shape)


def _answers(
    params: Params, prefix: str, tokens: Float[Array, "t hidden"], experts: Array, chosen: int
) -> Float[Array, "t chosen hidden"]:
    """What each token's chosen experts make of it; `experts` numbers them, token after token."""
    order = jnp.argsort(experts, stable=True)
    names = [f"{prefix}{part}_proj.weight" for part in ("gate", "up", "down")]
    gate, up, down = (params[name].swapaxes(1, 2) for name in names)  # (experts, in, out)
    counts = jnp.bincount(experts, length=gate.shape[0])
    rows = tokens[order // chosen]
    wide = jax.nn.silu(jax.lax.ragged_dot(rows, gate, counts)) * jax.lax.ragged_dot(rows, up, counts)
    answers = jax.lax.ragged_dot(wide, down, counts)
    return jnp.zeros_like(answers).at[order].set(answers).reshape(tokens.shape[0], chosen, -1)
