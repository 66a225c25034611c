"""How well a language model predicts a text, digitally and on the chip, window by window and token by token.

The first `tokens` tokens of a text are cut into windows of `context` that do not overlap, with no token added in front,
and every position predicts the token that follows it: also the last of a window, whose target begins the next one, and
only the last position of all where the text ends there. Perplexity is `exp(mean negative log-likelihood)`. The two runs
see the same tokens, so the chip's loss is a paired difference, far less uncertain than either perplexity:

    Δ = mean(nll_chip − nll_digital) ± sd / √count,     ratio of perplexities = exp(Δ)

The divergence `KL(p_digital ‖ p_chip)` and the share of positions where both put the same token first need no text to
be right about: they measure what light did to the model itself.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from photonsim.errors import PhotonsimError
from photonsim.models import TextModel

Forward = Callable[[int, Int[Array, "batch length"]], Float[Array, "batch length vocab"]]  # window number, tokens


@dataclass(frozen=True)
class TokenScores:
    """One number per predicted token: nats of negative log-likelihood, and (on the chip) agreement with digital."""

    nll: Float[np.ndarray, " count"]
    kl_to_digital: Float[np.ndarray, " count"]
    top1_agrees: Float[np.ndarray, " count"]

    @property
    def perplexity(self) -> float:
        """`exp(mean nll)`; infinite where the mean overflows a double's exponential, NaN where the run gave NaN."""
        mean = float(np.mean(self.nll, dtype=np.float64))
        return math.inf if mean > 700 else math.exp(mean)

    def nll_difference(self, digital: "TokenScores") -> tuple[float, float]:
        """Mean of the paired difference in nats per token, and its standard error."""
        difference = self.nll.astype(np.float64) - digital.nll
        return float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(difference.size))


class Window(NamedTuple):
    """A stretch of text: the tokens that go in, and the token that follows each; -1 where the text has ended."""

    tokens: Int[np.ndarray, "1 length"]
    targets: Int[np.ndarray, " length"]


def model_windows(model: TextModel, text: str, tokens: int, context: int) -> list[Window]:
    """`text_windows` of a text as the model reads it, no longer than it can take."""
    if context > model.longest:
        raise PhotonsimError(f"context = {context}: {model.name} takes at most {model.longest} tokens at once.")
    return text_windows(model.encode(text), tokens, context)


def text_windows(ids: Sequence[int], tokens: int, context: int) -> list[Window]:
    """Cut the first `tokens` ids of a text into windows of `context`; the last one may be shorter."""
    if context < 2:
        raise PhotonsimError(f"context = {context}: a window needs at least 2 tokens.")
    if tokens < context:
        raise PhotonsimError(
            f"tokens = {tokens} is less than the context of {context}: ask for more tokens or a shorter context."
        )
    if len(ids) < tokens:
        raise PhotonsimError(
            f"The text has {len(ids)} tokens, but {tokens} in windows of {context} were asked for: "
            "give a longer text, or ask for fewer tokens and a shorter context."
        )
    used = np.asarray([*ids[: tokens + 1], -1][: tokens + 1], np.int32)
    starts = range(0, tokens, context)
    ends = [min(start + context, tokens) for start in starts]
    windows = [Window(used[None, a:b], used[a + 1 : b + 1]) for a, b in zip(starts, ends, strict=True)]
    return [window for window in windows if (window.targets >= 0).any()]


@jax.jit
def score_window(
    targets: Int[Array, " length"], digital: Float[Array, "1 length vocab"], chip: Float[Array, "1 length vocab"]
) -> tuple[Float[Array, " length"], ...]:
    """nll of both, divergence and agreement at every position of one window."""
    log_p, log_q = (jax.nn.log_softmax(logits[0].astype(jnp.float32)) for logits in (digital, chip))
    nll_p, nll_q = (-jnp.take_along_axis(log, targets[:, None], axis=-1)[:, 0] for log in (log_p, log_q))
    kl = jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)
    return nll_p, nll_q, kl, log_p.argmax(-1) == log_q.argmax(-1)


def compare(digital: Forward, chip: Forward, windows: Sequence[Window]) -> Iterator[tuple[TokenScores, TokenScores]]:
    """Scores of each window, digital and on the chip, as they come."""
    for number, window in enumerate(windows):
        tokens, targets = jnp.asarray(window.tokens), jnp.asarray(np.maximum(window.targets, 0))
        scores = score_window(targets, digital(number, tokens), chip(number, tokens))
        known = window.targets >= 0
        nll_p, nll_q, kl, agrees = (np.asarray(each)[known] for each in scores)
        yield (
            TokenScores(nll_p, np.zeros_like(kl), np.ones_like(kl)),
            TokenScores(nll_q, kl, agrees.astype(np.float32)),
        )


def join(parts: Sequence[TokenScores]) -> TokenScores:
    """Scores of several windows as one."""
    columns = ([getattr(part, name) for part in parts] for name in ("nll", "kl_to_digital", "top1_agrees"))
    return TokenScores(*(np.concatenate(column) for column in columns))
