"""Text from a decoder, token by token: a prefill of the prompt, then a step for each new token, with a cache between.

A sampler picks the token. With logits z and temperature T it draws from p = softmax(z / T), cut to its nucleus: the
fewest tokens whose probabilities add up to `top_p` (Holtzman et al., arXiv 1904.09751). T = 0 takes the most likely.
The draw is a maximum over z / T plus Gumbel noise, and the noise depends on the seed and the position alone. Two runs
with one seed therefore see the same luck: where their answers part, the logits did.

The steps are compiled for a cache of fixed capacity, and again when it is full and grows by a block.
"""

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from photonsim.errors import PhotonsimError, check_count, check_number
from photonsim.models.cache import Cache, empty_cache, grow
from photonsim.models.families import family_of
from photonsim.models.gpt2 import Gpt2Config
from photonsim.models.layers import Params
from photonsim.models.llama import LlamaConfig
from photonsim.models.model import Model

BLOCK = 128  # positions that a cache grows by
SAMPLER_STREAM = 0x5A3E  # folded into the seed: the sampler's luck has nothing to do with the chip's noise
STOP_TOKENS = ("<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "</s>", "<eos>")

# (weights, noise key, new tokens, cache) -> (logits of the last of them, cache)
Forward = Callable[[Any, PRNGKeyArray, Int[Array, "batch new"], Cache], tuple[Float[Array, "batch 1 vocab"], Cache]]


@dataclass(frozen=True)
class Sampler:
    """How the next token is picked; see the module's header."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self):
        check_number("temperature", self.temperature, at_least=0.0)
        check_number("top_p", self.top_p, above=0.0)
        if self.top_p > 1:
            raise PhotonsimError(f"top_p = {self.top_p:g} is above 1: it is a share of the probability.")

    @property
    def key(self) -> PRNGKeyArray:
        """The key of all draws."""
        return jax.random.fold_in(jax.random.key(self.seed), SAMPLER_STREAM)

    def pick(self, logits: Float[Array, " vocab"], position: Int[Array, ""], key: PRNGKeyArray) -> Int[Array, ""]:
        """The token that follows `position`."""
        if self.temperature == 0:
            return jnp.argmax(logits)
        warm = logits / self.temperature
        kept = warm if self.top_p == 1 else nucleus(warm, self.top_p)
        return jnp.argmax(kept + jax.random.gumbel(jax.random.fold_in(key, position), logits.shape))


def nucleus(logits: Float[Array, " vocab"], top_p: float) -> Float[Array, " vocab"]:
    """The logits with those outside the nucleus at -∞; the most likely token is always in it."""
    order = jnp.argsort(-logits)
    shares = jax.nn.softmax(logits)[order]
    inside = jnp.cumsum(shares) - shares < top_p  # what comes before the token does not fill the nucleus yet
    return jnp.where(jnp.zeros_like(inside).at[order].set(inside), logits, -jnp.inf)


class Token(NamedTuple):
    """A generated token: its id, the natural logarithm of its probability (at temperature 1), and the logits."""

    id: int
    log_probability: float
    logits: np.ndarray


class State(NamedTuple):
    """Between two steps: the cache, and the logits of the token that comes next."""

    cache: Cache
    logits: Float[Array, " vocab"]


class Decoder:
    """A decoder that remembers what it has read. Digital or on a chip, as `forward` is; `weights` are handed to it.

    `key`: of the noise, which depends on it and on the position of a token.
    """

    def __init__(
        self,
        config: LlamaConfig | Gpt2Config,
        forward: Forward,
        weights: Any,
        key: PRNGKeyArray,
        block: int = BLOCK,
    ):
        self.config = config
        self.weights = weights
        self.key = key
        self.block = block
        self._forward = jax.jit(forward)

    def with_key(self, key: PRNGKeyArray) -> "Decoder":
        """The same decoder under other noise; its compiled steps are shared."""
        other = copy.copy(self)
        other.key = key
        return other

    def capacity(self, length: int) -> int:
        """Positions of the cache that holds `length`: whole blocks, but no more than the model's context."""
        return min(-(-length // self.block) * self.block, self.config.max_position_embeddings)

    def prefill(self, prompt: Sequence[int]) -> State:
        """The prompt through the model at once."""
        return self._advance(empty_cache(self.config, self.capacity(len(prompt) + 1)), prompt)

    def step(self, cache: Cache, token: int, position: int) -> State:
        """One more token, the one at `position`."""
        if position >= cache.capacity:
            cache = grow(cache, self.capacity(position + 1))
        return self._advance(cache, [token])

    def _advance(self, cache: Cache, tokens: Sequence[int]) -> State:
        logits, cache = self._forward(self.weights, self.key, jnp.asarray([tokens], jnp.int32), cache)
        return State(cache, logits[0, -1])

    def stream(self, prompt: Sequence[int], tokens: int, sampler: Sampler, stop: Sequence[int] = ()) -> Iterator[Token]:
        """Up to `tokens` tokens after a prompt, as they come; a token of `stop` is the last."""
        state = self.prefill(prompt)
        for length in range(len(prompt), len(prompt) + tokens):
            token = picked(state.logits, length, sampler)
            yield token
            if token.id in stop or length + 1 == len(prompt) + tokens:
                return  # no step for a token that nothing follows
            state = self.step(state.cache, token.id, length)


def picked(logits: Float[Array, " vocab"], position: int, sampler: Sampler) -> Token:
    """The sampler's choice for `position`."""
    unseeded = replace(sampler, seed=0)  # the seed is in the key: another one needs no new compilation
    token, log_probability = _pick(logits, jnp.int32(position), sampler.key, unseeded)
    return Token(int(token), float(log_probability), np.asarray(logits))


@functools.partial(jax.jit, static_argnums=3)
def _pick(logits, position, key, sampler):
    token = sampler.pick(logits, position, key)
    return token, jax.nn.log_softmax(logits)[token]


def cached_forward(model: Model) -> Callable[[Params, Int[Array, "batch new"], Cache], tuple[Array, Cache]]:
    """`(params, new tokens, cache)` to the logits of the token after the last of them, and the longer cache.

    Raises `PhotonsimError` for a model without a cache of keys and values.
    """
    forward = family_of(model.config).cached
    if forward is None:
        raise PhotonsimError(
            f"{model.name} is an encoder, which has no next token: generation works with models of the Llama family "
            "and GPT-2."
        )
    return functools.partial(forward, config=model.config, only_last=True)


def check_prompt(model: Model, prompt: str, tokens: int) -> list[int]:
    """Ids of a prompt; refuses one that is empty, or has no room for `tokens` after it in the model's context."""
    cached_forward(model)
    longest = model.longest
    check_count("tokens", tokens)
    ids = model.encode(prompt)
    if not ids:
        raise PhotonsimError('The prompt is empty: give the text to go on from, such as "The light".')
    if len(ids) + tokens > longest:
        raise PhotonsimError(
            f"The prompt has {len(ids)} tokens; with {tokens} new ones that is more than {model.name} takes at once, "
            f"{longest}: shorten the prompt, or ask for fewer tokens."
        )
    return ids


def stop_tokens(model: Model) -> tuple[int, ...]:
    """Ids of the tokens by which the model's vocabulary ends a text."""
    assert model.tokenizer is not None
    found = (model.tokenizer.token_to_id(token) for token in STOP_TOKENS)
    return tuple(token for token in found if token is not None)
