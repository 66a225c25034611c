"""How well a language model predicts a text, digitally and on the chip, window by window and token by token.

A text of N tokens is cut into windows of `context` tokens that do not overlap; each window predicts all its tokens but
the first, with no token added in front. Perplexity is `exp(mean negative log-likelihood)`. The two runs see the same
tokens, so the chip's loss is a paired difference, far less uncertain than either perplexity:

    Δ = mean(nll_chip − nll_digital) ± sd / √count,     ratio of perplexities = exp(Δ)

The divergence `KL(p_digital ‖ p_chip)` and the share of positions where both put the same token first need no text to
be right about: they measure what light did to the model itself.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from photonsim.errors import PhotonsimError

Forward = Callable[[Int[Array, "batch length"]], Float[Array, "batch length vocab"]]


@dataclass(frozen=True)
class TokenScores:
    """One number per predicted token: nats of negative log-likelihood, and (on the chip) agreement with digital."""

    nll: Float[np.ndarray, "count"]
    kl_to_digital: Float[np.ndarray, "count"]
    top1_agrees: Float[np.ndarray, "count"]

    @property
    def perplexity(self) -> float:
        """`exp(mean nll)`; infinite where the mean overflows a double's exponential, NaN where the run gave NaN."""
        mean = float(np.mean(self.nll, dtype=np.float64))
        return math.inf if mean > 700 else math.exp(mean)

    def nll_difference(self, digital: "TokenScores") -> tuple[float, float]:
        """Mean of the paired difference in nats per token, and its standard error."""
        difference = self.nll.astype(np.float64) - digital.nll
        return float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(difference.size))


def text_windows(ids: Sequence[int], tokens: int, context: int) -> list[Int[np.ndarray, "1 length"]]:
    """Cut the first `tokens` ids into windows of `context`; a last, shorter window is kept if it predicts anything."""
    if context < 2:
        raise PhotonsimError(f"context = {context}: at least 2 tokens are needed to predict one from another.")
    if tokens < context:
        raise PhotonsimError(
            f"tokens = {tokens} is less than the context of {context}: ask for more tokens or a shorter context."
        )
    if len(ids) < tokens:
        raise PhotonsimError(
            f"The text has {len(ids)} tokens, but {tokens} in windows of {context} were asked for: "
            "give a longer text, or ask for fewer tokens and a shorter context."
        )
    starts = range(0, tokens, context)
    windows = [np.asarray(ids[start : min(start + context, tokens)], np.int32)[None] for start in starts]
    return [window for window in windows if window.shape[1] > 1]


@jax.jit
def score_window(
    tokens: Int[Array, "1 length"], digital: Float[Array, "1 length vocab"], chip: Float[Array, "1 length vocab"]
) -> tuple[Float[Array, "count"], ...]:
    """nll of both, divergence and agreement at every predicted position of one window."""
    log_p, log_q = (jax.nn.log_softmax(logits[0, :-1].astype(jnp.float32)) for logits in (digital, chip))
    target = tokens[0, 1:, None]
    nll_p, nll_q = (-jnp.take_along_axis(log, target, axis=-1)[:, 0] for log in (log_p, log_q))
    kl = jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)
    return nll_p, nll_q, kl, log_p.argmax(-1) == log_q.argmax(-1)


def compare(
    digital: Forward, chip: Forward, windows: Sequence[Int[np.ndarray, "1 length"]]
) -> Iterator[tuple[TokenScores, TokenScores]]:
    """Scores of each window, digital and on the chip, as they come."""
    for window in windows:
        tokens = jnp.asarray(window)
        nll_p, nll_q, kl, agrees = (np.asarray(a) for a in score_window(tokens, digital(tokens), chip(tokens)))
        yield (
            TokenScores(nll_p, np.zeros_like(kl), np.ones_like(kl)),
            TokenScores(nll_q, kl, agrees.astype(np.float32)),
        )


def join(parts: Sequence[TokenScores]) -> TokenScores:
    """Scores of several windows as one."""
    return TokenScores(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("nll", "kl_to_digital", "top1_agrees"))
    )
