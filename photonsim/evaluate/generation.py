"""One prompt answered twice, digitally and on a chip, token by token, and what either answer costs.

Both answers see the same luck of the sampler, so where they part the light is the reason. The bill has two phases. A
prefill takes the prompt at once; each decoding step takes one token against all before it, whose keys and values are
written into the chip's tiles again. The first token comes out of the prefill, so N tokens take N - 1 steps. Every
position's read-out is counted though only the last of a prefill is needed: high by one vocabulary per prompt token.

Beside the chip stands digital hardware doing the same passes.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax import numpy as jnp
from jaxtyping import PRNGKeyArray

from photonsim.chip import Chip, describe
from photonsim.cost import AbstractBaseline, ForwardPass, baselines
from photonsim.cost.baselines import RUN_BASELINES
from photonsim.evaluate.bill import decoder_shape, pass_bill, pass_workload
from photonsim.evaluate.run import versions
from photonsim.models import Model
from photonsim.models.cache import empty_cache
from photonsim.models.generation import Decoder, Sampler, Token, cached_forward, check_prompt, stop_tokens
from photonsim.swap import Coverage, Placement, Rule, Simulation, Stream, check_rules, simulate

Watch = Callable[[list[Token], list[Token]], None]  # the digital tokens and the chip's so far


@dataclass(frozen=True)
class Answer:
    """Generated tokens, their text, and the natural logarithm of their probability at temperature 1, added up."""

    tokens: tuple[int, ...]
    text: str
    log_likelihood: float

    @property
    def mean_log_likelihood(self) -> float:
        """Per token, so that answers of different lengths can be compared."""
        return self.log_likelihood / len(self.tokens)


@dataclass(frozen=True)
class Phase:
    """A prefill, or the decoding steps together: how many passes, energy and time."""

    passes: int
    joules: float
    seconds: float

    def __add__(self, other: "Phase") -> "Phase":
        return Phase(self.passes + other.passes, self.joules + other.joules, self.seconds + other.seconds)


@dataclass(frozen=True)
class Expense:
    """What an answer costs on one piece of hardware."""

    name: str
    title: str
    status: str
    prefill: Phase
    decode: Phase

    @property
    def total(self) -> Phase:
        """Both phases."""
        return self.prefill + self.decode


@dataclass(frozen=True)
class Generation:
    """Both answers to a prompt. `expenses`: the chip's, then those of digital hardware. `as_dict` is the record."""

    model: Model
    chip: Chip
    prompt: str
    prompt_tokens: tuple[int, ...]
    sampler: Sampler
    seed: int
    coverage: Coverage
    digital: Answer
    on_chip: Answer
    expenses: tuple[Expense, ...]

    @property
    def differs_at(self) -> int | None:
        """The first new token, counted from 0, in which the answers differ; `None` where they are the same."""
        return first_difference(self.digital.tokens, self.on_chip.tokens)

    def as_dict(self) -> dict[str, Any]:
        """The complete record as plain data."""
        return {
            **origin(self.model, self.chip, self.prompt, self.sampler, self.seed),
            "digital": dataclasses.asdict(self.digital),
            "on_chip": dataclasses.asdict(self.on_chip),
            "differs_at": self.differs_at,
            "expenses": [dataclasses.asdict(expense) for expense in self.expenses],
            "coverage": self.coverage.as_dict(),
        }


def origin(model: Model, chip: Chip, prompt: str, sampler: Sampler, seed: int) -> dict[str, Any]:
    """All that decides an answer, as plain data."""
    return {
        "model": {"name": model.name, "digest_sha256": model.digest_sha256},
        "chip": describe(chip),
        "prompt": prompt,
        "prompt_tokens": model.encode(prompt),
        "sampler": dataclasses.asdict(sampler),
        "seed": seed,
        "versions": versions(),
    }


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Index of the first element in which two sequences differ, or where the shorter one ends; `None` if they agree."""
    for number, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return number
    return None if len(one) == len(other) else min(len(one), len(other))


class Photonic:
    """A model of the Llama family, or a GPT-2, on a chip, ready to generate: programmed once, priced pass by pass.

    `digital`: its decoder without the chip. Compiled steps are kept, so ask one `Photonic` as often as needed.
    """

    def __init__(self, model: Model, chip: Chip, rules: Sequence[Rule] = (), engine: str = "auto"):
        self.model = model
        self.config = model.config
        self._cached = cached_forward(model)
        self.chip = chip
        self.simulation = cached_simulation(model, chip, rules, engine)
        shape = self._shapes(1, 1, 2)
        check_rules(rules, [row.site for row in self.simulation.coverage(*shape).rows])
        weights = (self.simulation.program(*shape), model.params)
        self._decoder = Decoder(self.config, self._forward, weights, sample_key(0, 0))
        self.digital = Decoder(self.config, self._digital_forward, model.params, sample_key(0, 0))

    def decoder(self, seed: int, sample: int = 0) -> Decoder:
        """The decoder whose noise is that of a sample of a seed."""
        return self._decoder.with_key(sample_key(seed, sample))

    def _forward(self, weights, key, tokens, cache):
        tiles, params = weights
        return self.simulation.run(tiles, params, tokens, cache, seed=Stream(key, cache.length))

    def _digital_forward(self, params, key, tokens, cache):
        return self._cached(params, tokens, cache)

    def coverage(self, length: int) -> Coverage:
        """Where the products of a prefill of `length` tokens run."""
        return self.simulation.coverage(*self._shapes(1, length, length))

    def expenses(self, prompt: int, tokens: int, sequences: int = 1) -> tuple[Expense, ...]:
        """What `tokens` new tokens after a prompt of so many cost, for `sequences` at once: chip, digital hardware."""
        passes = self._passes(sequences, prompt, tokens)
        shape, known = decoder_shape(self.model), baselines()
        ours = [Phase(1, *_price_on_chip(self.chip, rows, shape, forward)) for rows, forward in passes]
        chip = Expense(self.chip.name, self.chip.title, self.chip.status, ours[0], _added(ours[1:]))
        workloads = [pass_workload(rows, shape, forward) for rows, forward in passes]
        theirs = (self._elsewhere(name, known[name], workloads) for name in RUN_BASELINES)
        return (chip, *theirs)

    def pass_joules(self, prompt: int, tokens: int, hardware: AbstractBaseline) -> tuple[list[float], list[float]]:
        """Energy of the prefill and of every step, on the chip and on digital hardware."""
        passes, shape = self._passes(1, prompt, tokens), decoder_shape(self.model)
        ours = [_price_on_chip(self.chip, rows, shape, forward)[0] for rows, forward in passes]
        works = (pass_workload(rows, shape, forward) for rows, forward in passes)
        return ours, [float(hardware.energy(self.chip, work).total_j) for work in works]

    def _passes(self, sequences: int, prompt: int, tokens: int) -> list[tuple[list[Placement], ForwardPass]]:
        """Products of the prefill and of every step."""
        prefill = (self._rows(sequences, prompt, prompt), ForwardPass(sequences, prompt))
        return [prefill, *self._steps(sequences, prompt, tokens)]

    def _elsewhere(self, name: str, hardware: Any, workloads: Sequence[Any]) -> Expense:
        phases = [
            Phase(1, float(hardware.energy(self.chip, work).total_j), float(hardware.latency(self.chip, work).seconds))
            for work in workloads
        ]
        return Expense(name, hardware.title, hardware.status, phases[0], _added(phases[1:]))

    def _steps(self, sequences: int, prompt: int, tokens: int) -> list[tuple[list[Placement], ForwardPass]]:
        """Products of every decoding step; a step's differ from the one's before by one key and one value."""
        first, second = (self._rows(sequences, 1, prompt + extra) for extra in (1, 2))
        pairs = list(zip(first, second, strict=True))
        return [
            (_alike([_extended(a, b, past - prompt) for a, b in pairs]), ForwardPass(sequences, 1, past))
            for past in range(prompt, prompt + tokens - 1)
        ]

    def _rows(self, sequences: int, new: int, length: int) -> list[Placement]:
        """Products of a pass of `new` tokens that attends to `length`."""
        return list(self.simulation.coverage(*self._shapes(sequences, new, length)).products)

    def _shapes(self, sequences: int, new: int, length: int) -> tuple[Any, ...]:
        cache = jax.eval_shape(lambda: empty_cache(self.config, length, sequences))
        return self.model.params, jax.ShapeDtypeStruct((sequences, new), jnp.int32), cache


def cached_simulation(model: Model, chip: Chip, rules: Sequence[Rule] = (), engine: str = "auto") -> Simulation:
    """`step(params, tokens, cache)` of a model on a chip: the last position's logits, and the longer cache."""
    return simulate(cached_forward(model), chip, rules, engine=engine)


def sample_key(seed: int, sample: int) -> PRNGKeyArray:
    """Noise key of one of several samples of a seed."""
    return jax.random.fold_in(jax.random.key(seed), sample)


def generate(
    photonic: Photonic,
    prompt: str,
    tokens: int = 64,
    sampler: Sampler | None = None,
    seed: int = 0,
    watch: Watch = lambda digital, on_chip: None,
) -> Generation:
    """Go on from a prompt, digitally and on the chip, in step; `watch` is shown both answers after every token."""
    model = photonic.model
    ids = check_prompt(model, prompt, tokens)
    sampler, stop = sampler or Sampler(seed=seed), stop_tokens(model)
    sides: list[list[Token]] = [[], []]
    decoders = (photonic.digital, photonic.decoder(seed))
    running = [(side, each.stream(ids, tokens, sampler, stop)) for side, each in zip(sides, decoders, strict=True)]
    while running:
        running = [(side, stream) for side, stream in running if _took(side, stream)]
        watch(*sides)
    digital, on_chip = (answer_of(model, side) for side in sides)
    return Generation(
        model=model,
        chip=photonic.chip,
        prompt=prompt,
        prompt_tokens=tuple(ids),
        sampler=sampler,
        seed=seed,
        coverage=photonic.coverage(len(ids)),
        digital=digital,
        on_chip=on_chip,
        expenses=photonic.expenses(len(ids), len(on_chip.tokens)),
    )


def _took(side: list[Token], stream: Any) -> bool:
    """Whether the stream had one more token for its side."""
    token = next(stream, None)
    if token is not None:
        side.append(token)
    return token is not None


def answer_of(model: Model, tokens: Sequence[Token]) -> Answer:
    """Generated tokens as an answer."""
    ids = tuple(token.id for token in tokens)
    return Answer(ids, model.decode(ids), sum(token.log_probability for token in tokens))


def _price_on_chip(chip: Chip, rows: Sequence[Placement], shape: Any, forward: ForwardPass) -> tuple[float, float]:
    bill, latency = pass_bill(chip, rows, shape, forward)
    return float(bill.total_j), float(latency.seconds)


def _added(phases: Sequence[Phase]) -> Phase:
    return sum(phases, start=Phase(0, 0.0, 0.0))


def _alike(rows: Sequence[Placement]) -> list[Placement]:
    """Products of one shape on one chip as a single one, with their trips added up."""
    groups: dict[tuple, list[Placement]] = {}
    for row in rows:
        key = (row.kind, row.batch, row.m, row.k, row.n, id(row.chip), row.digital_columns)
        groups.setdefault(key, []).append(row)
    return [_with_site(group[0], trips=sum(row.trips for row in group)) for group in groups.values()]


def _extended(row: Placement, longer: Placement, steps: int) -> Placement:
    """`row`, `steps` positions later; `longer` is the same product one position later."""
    if (row.k, row.n) == (longer.k, longer.n):
        return row
    sizes = {name: getattr(row, name) + steps * (getattr(longer, name) - getattr(row, name)) for name in "kn"}
    return _with_site(row, **sizes)


def _with_site(row: Placement, **changes: int) -> Placement:
    return dataclasses.replace(row, site=dataclasses.replace(row.site, **changes))
