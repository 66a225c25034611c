"""Light first, and digital arithmetic where the light is not sure: routing by confidence.

Every answer is the chip's to begin with. Where its confidence falls below a threshold it is computed again digitally,
and both are paid for: the chip's energy for everything, the digital hardware's for what was done again. The confidence
of a distribution p over V tokens is a number from 0 to 1:

    probability   max p                     margin   largest p less the second largest
    entropy       1 - H(p) / ln V

A threshold of 0 keeps every answer of the chip; 1 does everything again, so the answer is the digital one and the bill
holds both. Three things can be routed:

- a **token**: a decoding step is done again on the cache as it was before it, and its keys and values replaced;
- a **request**: the whole answer, by the mean confidence of its tokens;
- a **layer**: not answer by answer but once, by `layer_rules`: layers that, alone on the chip, change too many of the
  most likely tokens of a calibration text stay digital.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from scipy.special import entr, softmax

from photonsim.chip import Chip
from photonsim.cost import baselines
from photonsim.cost.baselines import RUN_BASELINES
from photonsim.errors import PhotonsimError, check_choice, check_number
from photonsim.evaluate.generation import Answer, Photonic, answer_of, sample_key
from photonsim.evaluate.perplexity import model_windows
from photonsim.models import Model
from photonsim.models.cache import Cache
from photonsim.models.generation import Decoder, Sampler, State, Token, check_prompt, picked, stop_tokens
from photonsim.swap import Rule, simulate
from photonsim.swap.policies import OUTSIDE

LEVELS = ("token", "request")
MEASURES: dict[str, Callable[[np.ndarray], float]] = {
    "probability": lambda p: float(p.max()),
    "margin": lambda p: float(np.diff(np.partition(p, -2)[-2:])[0]),
    "entropy": lambda p: 1 - float(entr(p).sum()) / float(np.log(p.size)),
}


def confidence(logits: np.ndarray, measure: str = "probability") -> float:
    """How sure logits are of their choice, from 0 to 1."""
    check_choice("measure", measure, MEASURES)
    return MEASURES[measure](softmax(np.asarray(logits, np.float64)))


@dataclass(frozen=True)
class Route:
    """What is done again digitally: where the chip's confidence is below `threshold`; everything at 1."""

    threshold: float
    level: str = "token"
    measure: str = "probability"

    def __post_init__(self):
        check_number("threshold", self.threshold, at_least=0.0)
        if self.threshold > 1:
            raise PhotonsimError(f"threshold = {self.threshold:g} is above 1, and so is no confidence.")
        check_choice("level", self.level, LEVELS)
        check_choice("measure", self.measure, MEASURES)

    def again(self, sure: float) -> bool:
        """Whether an answer of this confidence is done again; a softmax in rounded numbers may well give a 1."""
        return self.threshold == 1 or sure < self.threshold

    def confidence(self, token: Token) -> float:
        """The confidence with which a token was chosen."""
        return confidence(token.logits, self.measure)


@dataclass(frozen=True)
class Routed:
    """An answer with its history. `again`: which tokens are digital. The joules are those of the chip for all that it
    computed, of the digital hardware for what was done again, and of that hardware had it answered alone."""

    routing: Route
    answer: Answer
    confidences: tuple[float, ...]
    again: tuple[bool, ...]
    chip_joules: float
    digital_hardware: str
    digital_joules: float
    digital_alone_joules: float

    @property
    def joules(self) -> float:
        """Both."""
        return self.chip_joules + self.digital_joules

    @property
    def share_again(self) -> float:
        """Share of the tokens that were done again."""
        return sum(self.again) / len(self.again)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return asdict(self) | {"joules": self.joules, "share_again": self.share_again}


def route(
    photonic: Photonic,
    prompt: str,
    routing: Route,
    tokens: int = 64,
    sampler: Sampler | None = None,
    seed: int = 0,
    hardware: str = RUN_BASELINES[0],
) -> Routed:
    """Answer a prompt on the chip, and again on digital `hardware` (a baseline's name) where the chip is not sure."""
    check_choice("hardware", hardware, baselines())
    ids = check_prompt(photonic.model, prompt, tokens)
    chosen = _by_token if routing.level == "token" else _by_request
    trace = chosen(photonic, ids, tokens, sampler or Sampler(seed=seed), seed, routing)
    passes = max(len(trace.sure), len(trace.tokens))
    ours, theirs = photonic.pass_joules(len(ids), passes, baselines()[hardware])
    return Routed(
        routing=routing,
        answer=answer_of(photonic.model, trace.tokens),
        confidences=tuple(trace.sure),
        again=tuple(trace.again),
        chip_joules=sum(ours[: len(trace.sure)]),
        digital_hardware=hardware,
        digital_joules=sum(joules for joules, again in zip(theirs, trace.again, strict=False) if again),
        digital_alone_joules=sum(theirs[: len(trace.tokens)]),
    )


class _Trace(NamedTuple):
    """The tokens of an answer, the chip's confidence in each that it gave, and which tokens were done again."""

    tokens: list[Token]
    sure: list[float]
    again: list[bool]


def _by_token(
    photonic: Photonic, ids: Sequence[int], tokens: int, sampler: Sampler, seed: int, routing: Route
) -> _Trace:
    """The prefill counts as the first token's step."""
    chip, stop = photonic.decoder(seed), stop_tokens(photonic.model)
    trace = _Trace([], [], [])
    advance: Callable[[Decoder], State] = lambda decoder: decoder.prefill(ids)  # noqa: E731
    for position in range(len(ids), len(ids) + tokens):
        state = advance(chip)
        token = picked(state.logits, position, sampler)
        trace.sure.append(routing.confidence(token))
        trace.again.append(routing.again(trace.sure[-1]))
        if trace.again[-1]:
            state = advance(photonic.digital)
            token = picked(state.logits, position, sampler)
        trace.tokens.append(token)
        if token.id in stop:
            break
        advance = functools.partial(_step, state.cache, token.id, position)
    return trace


def _step(cache: Cache, token: int, position: int, decoder: Decoder) -> State:
    return decoder.step(cache, token, position)


def _by_request(
    photonic: Photonic, ids: Sequence[int], tokens: int, sampler: Sampler, seed: int, routing: Route
) -> _Trace:
    """The chip's answer, or the digital one in its place where the mean confidence is too low."""
    stop = stop_tokens(photonic.model)
    found = list(photonic.decoder(seed).stream(ids, tokens, sampler, stop))
    sure = [routing.confidence(token) for token in found]
    redone = routing.again(float(np.mean(sure)))
    if redone:
        found = list(photonic.digital.stream(ids, tokens, sampler, stop))
    return _Trace(found, sure, [redone] * len(found))


def layer_rules(
    model: Model,
    chip: Chip,
    text: str,
    threshold: float,
    tokens: int = 128,
    context: int = 64,
    rules: Sequence[Rule] = (),
    seed: int = 0,
) -> tuple[tuple[Rule, ...], dict[int, float]]:
    """Rules that keep layers digital, and each layer's agreement: the share of positions of a calibration text whose
    most likely token stays the same when that layer alone is on the chip. Below the threshold, or at a threshold of 1,
    a layer is digital. The rules come before `rules`, by which the layers are placed that stay on the chip."""
    routing = Route(threshold)
    windows = model_windows(model, text, tokens, context)
    layers = [share.layer for share in _coverage(model, chip, rules, context).layers() if share.layer is not None]
    agreement = {layer: _agreement(model, chip, windows, layers, layer, rules, seed) for layer in layers}
    kept = tuple(
        Rule("*", "digital", layers=layer, reason=f"layer {layer} keeps {100 * share:.1f} % of the tokens, too few")
        for layer, share in agreement.items()
        if routing.again(share)
    )
    return (*kept, *rules), agreement


def _coverage(model: Model, chip: Chip, rules: Sequence[Rule], context: int):
    return simulate(model.apply, chip, rules).coverage(model.params, jax.ShapeDtypeStruct((1, context), jnp.int32))


def _agreement(model: Model, chip: Chip, windows, layers: Sequence[int], layer: int, rules, seed: int) -> float:
    """Share of positions whose most likely token a layer leaves as it is when it alone is on the chip."""
    others = tuple(each for each in layers if each != layer)
    alone = [Rule("*", "digital", layers=others, optional=True), Rule(OUTSIDE, "digital", optional=True), *rules]
    simulation = simulate(model.apply, chip, alone, seed=seed)
    apply, on_chip = jax.jit(model.apply), jax.jit(simulation)
    same = [
        np.asarray(
            apply(model.params, ids)[0].argmax(-1)
            == on_chip(model.params, ids, seed=sample_key(seed, place))[0].argmax(-1)
        )
        for place, ids in enumerate(jnp.asarray(window.tokens) for window in windows)
    ]
    return float(np.concatenate(same).mean())
