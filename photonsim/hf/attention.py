"""Scaled dot-product attention, taken apart: PyTorch has it as one operation, inside which no product can be seen.

    softmax(Q Kᵀ · scale + mask) V

with what `torch.nn.functional.scaled_dot_product_attention` allows: a boolean or an additive mask, a causal one, fewer
key-value heads than query heads, dropout. A row that may look nowhere is zero, as there. The two products come out as
they do where a model spells its attention out, so both implementations of a model give the same answer on a chip.
"""

import math

import torch


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """`scaled_dot_product_attention` with its two products as `torch.matmul`; arguments as there."""
    if enable_gqa:
        key, value = (_for_each_head(shared, query) for shared in (key, value))
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query, key.transpose(-2, -1)).float()
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    blind = None
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        blind = ~attn_mask.any(dim=-1, keepdim=True)
        attn_mask = torch.zeros(attn_mask.shape, device=query.device).masked_fill_(~(attn_mask | blind), -math.inf)
    # One pass over the scores for scale and mask: there are far more of them than of anything else here.
    scores = scores * factor if attn_mask is None else torch.add(attn_mask, scores, alpha=factor)
    shares = torch.softmax(scores, dim=-1)
    if dropout_p:
        shares = torch.dropout(shares, dropout_p, True)
    gathered = torch.matmul(shares.to(value.dtype), value)
    return gathered if blind is None else gathered.masked_fill(blind, 0)


def _for_each_head(shared: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """Key or value heads, repeated for the query heads that share them."""
    return shared.repeat_interleave(query.shape[-3] // shared.shape[-3], dim=-3)
