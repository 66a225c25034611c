"""Asking a noisy chip more than once: several samples of one prompt, and what to make of them.

Light gives another answer every time. Of n answers one can take the most common (majority vote: Wang et al.,
self-consistency, arXiv 2203.11171) or the one that the chip itself finds likeliest (best of n). Every answer has noise
and luck of its own, in prefill and decoding alike, and all of them are on the bill: as one batch, which shares each
write of a weight and each of its journeys from memory, as a server would run it.

So a cheap, noisy chip that is asked often can stand against a dear, clean one that is asked once: `at_equal_energy`
gives both the same joules.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from photonsim.chip import Chip
from photonsim.cost import ForwardPass
from photonsim.errors import PhotonsimError, check_count
from photonsim.evaluate.bill import decoder_shape, pass_bill
from photonsim.evaluate.generation import Answer, Expense, Photonic, answer_of, sample_key
from photonsim.evaluate.perplexity import model_windows
from photonsim.models import Model
from photonsim.models.generation import Sampler, check_prompt, stop_tokens
from photonsim.swap import Coverage, Rule, simulate


@dataclass(frozen=True)
class Samples:
    """Several answers to one prompt, and what they cost together: the chip's expense, then that of digital hardware."""

    answers: tuple[Answer, ...]
    expenses: tuple[Expense, ...]

    @property
    def votes(self) -> dict[str, int]:
        """How many answers have each text, the most common first; of equally many the likelier."""
        best = {answer.text: answer.mean_log_likelihood for answer in reversed(self.answers)}
        counts = Counter(answer.text for answer in self.answers)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], -best[item[0]])))

    @property
    def majority(self) -> Answer:
        """An answer with the most common text."""
        text = next(iter(self.votes))
        return next(answer for answer in self.answers if answer.text == text)

    @property
    def best(self) -> Answer:
        """The answer with the largest mean log-likelihood of its tokens, as the chip itself judged them."""
        return max(self.answers, key=lambda answer: answer.mean_log_likelihood)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "answers": [asdict(answer) for answer in self.answers],
            "votes": self.votes,
            "majority": self.majority.text,
            "best": self.best.text,
            "expenses": [asdict(expense) for expense in self.expenses],
        }


def sample_answers(
    photonic: Photonic, prompt: str, number: int, tokens: int = 64, sampler: Sampler | None = None, seed: int = 0
) -> Samples:
    """`number` independent answers of a chip to one prompt. The first is the one that `generate` gives.

    The sampler's seed counts up from one answer to the next; at temperature 0 only the light differs.
    """
    check_count("samples", number)
    model, sampler = photonic.model, sampler or Sampler(seed=seed)
    ids, stop = check_prompt(model, prompt, tokens), stop_tokens(model)
    answers = [
        answer_of(model, list(photonic.decoder(seed, sample).stream(ids, tokens, lucky, stop)))
        for sample, lucky in enumerate(replace(sampler, seed=sampler.seed + each) for each in range(number))
    ]
    longest = max(len(answer.tokens) for answer in answers)
    return Samples(tuple(answers), photonic.expenses(len(ids), longest, sequences=number))


# One question with a short answer, many times: the next token of every position of a text


@dataclass(frozen=True)
class Score:
    """How a chip that is asked `samples` times for the next token does over a text.

    Shares of positions where the token is the text's own (`correct`) or digital arithmetic's (`agrees`), by majority
    vote, by the likeliest of the answers, and for a single answer. `joules`: energy of all the samples of a token.
    """

    chip: str
    samples: int
    joules: float
    correct_by_vote: float
    correct_by_likelihood: float
    correct_once: float
    agrees_by_vote: float
    agrees_by_likelihood: float
    agrees_once: float


def score_samples(
    model: Model,
    chip: Chip,
    text: str,
    number: int,
    tokens: int = 512,
    context: int = 64,
    rules: Sequence[Rule] = (),
    seed: int = 0,
) -> Score:
    """Ask for the token after every position of the first `tokens` of a text, `number` times over."""
    check_count("samples", number)
    windows = model_windows(model, text, tokens, context)
    simulation = simulate(model.apply, chip, rules)
    shape = jax.ShapeDtypeStruct((1, context), jnp.int32)
    tiles = simulation.program(model.params, shape)
    apply, on_chip = jax.jit(model.apply), jax.jit(simulation.run)
    rows = []
    for place, window in enumerate(windows):
        ids = jnp.asarray(window.tokens)
        keys = [sample_key(seed, place * number + sample) for sample in range(number)]
        logits = [on_chip(tiles, model.params, ids, seed=key)[0] for key in keys]
        answers = np.stack([np.asarray(choices(jnp.stack(logits))) for choices in (vote, likeliest, first_answer)])
        digital = np.asarray(apply(model.params, ids)[0].argmax(-1))
        known = window.targets >= 0
        rows.append(np.concatenate([answers == window.targets, answers == digital])[:, known])
    correct = np.concatenate(rows, axis=1).mean(axis=1)
    joules = batch_joules(model, chip, pass_coverage(model, chip, rules, number, context), number, context)
    return Score(chip.name, number, joules / context, *map(float, correct))


def batch_joules(model: Model, chip: Chip, table: Coverage, number: int, context: int) -> float:
    """Energy of a pass of `number` sequences of `context` tokens at once, whose coverage is given."""
    bill, _ = pass_bill(chip, table.products, decoder_shape(model), ForwardPass(number, context))
    return float(bill.total_j)


def pass_coverage(model: Model, chip: Chip, rules: Sequence[Rule], number: int, context: int) -> Coverage:
    """Where the products of a pass of `number` sequences of `context` tokens run."""
    shape = jax.ShapeDtypeStruct((number, context), jnp.int32)
    return simulate(model.apply, chip, rules).coverage(model.params, shape)


@jax.jit
def vote(logits: Float[Array, "samples length vocab"]) -> Int[Array, " length"]:
    """The token that most samples choose; of equally many the one with the largest mean probability."""
    chosen = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1]).sum(0)
    return (chosen + 0.5 * jax.nn.softmax(logits).mean(0)).argmax(-1)  # half a vote cannot outweigh a whole one


@jax.jit
def likeliest(logits: Float[Array, "samples length vocab"]) -> Int[Array, " length"]:
    """The choice of the sample that is surest of its own."""
    surest = jax.nn.softmax(logits).max(-1).argmax(0)
    return jnp.take_along_axis(logits.argmax(-1), surest[None], axis=0)[0]


@jax.jit
def first_answer(logits: Float[Array, "samples length vocab"]) -> Int[Array, " length"]:
    """The choice of the first sample."""
    return logits[0].argmax(-1)


def at_equal_energy(
    model: Model,
    cheap: Chip,
    dear: Chip,
    text: str,
    tokens: int = 512,
    context: int = 64,
    rules: Sequence[Rule] = (),
    seed: int = 0,
) -> tuple[Score, Score]:
    """The cheap chip asked as often as its samples cost no more than the dear chip's single one, and the dear one.

    Raises `PhotonsimError` where the dear chip's pass buys not even one of the cheap chip's.
    """
    number = affordable_samples(model, cheap, dear, context, rules)
    settings = {"tokens": tokens, "context": context, "rules": rules, "seed": seed}
    return score_samples(model, cheap, text, number, **settings), score_samples(model, dear, text, 1, **settings)


def affordable_samples(model: Model, cheap: Chip, dear: Chip, context: int, rules: Sequence[Rule] = ()) -> int:
    """The largest number of the cheap chip's samples, run as a batch, within the energy of one of the dear chip's."""

    def joules(chip: Chip, number: int) -> float:
        return batch_joules(model, chip, pass_coverage(model, chip, rules, number, context), number, context)

    budget, once = joules(dear, 1), joules(cheap, 1)
    if once > budget:
        raise PhotonsimError(
            f"{cheap.name} takes {once:.3g} J for a pass of {context} tokens and {dear.name} {budget:.3g} J: "
            "the first is not the cheaper one. Swap them."
        )
    number = 1
    while joules(cheap, 2 * number) <= budget:
        number *= 2
    step = number
    while step := step // 2:
        number += step if joules(cheap, number + step) <= budget else 0
    return number
