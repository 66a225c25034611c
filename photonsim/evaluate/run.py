"""The main job: a language model twice over the same text, digitally and on a chip, with the bill for one prefill."""

import dataclasses
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import PRNGKeyArray

from photonsim.chip import Chip, describe
from photonsim.cost import (
    BOUNDARIES,
    AbstractBaseline,
    Bill,
    ForwardPass,
    Latency,
    Workload,
    assumed,
    baselines,
    peak_tops,
    tops_per_w,
)
from photonsim.cost.baselines import RUN_BASELINES
from photonsim.evaluate.bill import decoder_shape, pass_bill, prefill_workload
from photonsim.evaluate.budget import Effect, error_budget, silent_effects
from photonsim.evaluate.perplexity import TokenScores, Window, compare, join, model_windows
from photonsim.evaluate.streaming import Scores, stream
from photonsim.models import Checkpoint, Model
from photonsim.swap import Coverage, Rule, Simulation, check_rules, measured_coverage, simulate

Progress = Callable[[int, int], None]  # windows done, windows in all


@dataclass(frozen=True)
class Baseline:
    """Digital hardware doing the same pass: its bill and time."""

    name: str
    title: str
    status: str
    bill: Bill
    seconds: float


@dataclass(frozen=True)
class Result:
    """What a run found. `as_dict` is the JSON record."""

    model: Model | Checkpoint
    chip: Chip
    seed: int
    tokens: int
    context: int
    digital: TokenScores
    on_chip: TokenScores
    coverage: Coverage
    bill: Bill
    latency: Latency
    baselines: tuple[Baseline, ...]
    effects: tuple[Effect, ...]
    digital_seconds: float
    chip_seconds: float

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before believing the numbers."""
        silent = silent_effects(list(self.effects))
        lines = [f"{name} is on but changed nothing" for name in silent]
        if self.chip.status != "ideal" and not any(effect.on for effect in self.effects[:-1]):
            lines.append("every effect is off: this is an exact chip")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """The complete record as plain data."""
        difference, error = self.on_chip.nll_difference(self.digital)
        by_component = {name: joules / self.context for name, joules in self.bill.by_component_j().items()}
        return {
            "model": {
                "name": self.model.name,
                "digest_sha256": self.model.digest_sha256,
                "config": dataclasses.asdict(self.model.config),
            },
            "chip": describe(self.chip),
            "seed": self.seed,
            "tokens": self.tokens,
            "context": self.context,
            "predicted_tokens": int(self.digital.nll.size),
            "digital": {"perplexity": self.digital.perplexity, "wall_seconds": self.digital_seconds},
            "chip_result": {
                "perplexity": _finite(self.on_chip.perplexity),
                "nll_difference": _finite(difference),
                "nll_difference_standard_error": _finite(error),
                "kl_to_digital": _finite(float(self.on_chip.kl_to_digital.mean())),
                "top1_agreement": float(self.on_chip.top1_agrees.mean()),
                "wall_seconds": self.chip_seconds,
            },
            "effects": [dataclasses.asdict(effect) for effect in self.effects],
            "coverage": self.coverage.as_dict(),
            "energy": {
                "phase": f"prefill of one sequence of {self.context} tokens",
                "boundary": BOUNDARIES[-1],
                "total_j_per_token": float(self.bill.total_j) / self.context,
                "by_component_j_per_token": {name: float(joules) for name, joules in by_component.items()},
                "by_boundary_j_per_token": {
                    boundary: float(self.bill.within_j(boundary)) / self.context for boundary in BOUNDARIES
                },
                "tops_per_w": {boundary: _finite(float(tops_per_w(self.bill, boundary))) for boundary in BOUNDARIES},
                "assumed": assumed(self.bill),
            },
            "latency": {
                "s_per_token": float(self.latency.seconds) / self.context,
                "bound_by": self.latency.bound_by,
                "peak_tops": float(peak_tops(self.chip)),
            },
            "baseline": [
                {
                    "name": baseline.name,
                    "title": baseline.title,
                    "status": baseline.status,
                    "total_j_per_token": float(baseline.bill.total_j) / self.context,
                    "by_component_j_per_token": {
                        name: float(joules) / self.context for name, joules in baseline.bill.by_component_j().items()
                    },
                    "s_per_token": baseline.seconds / self.context,
                }
                for baseline in self.baselines
            ],
            "warnings": self.warnings,
            "versions": versions(),
        }


def run(
    model: Model | Checkpoint,
    chip: Chip,
    text: str,
    tokens: int = 2048,
    context: int = 512,
    seed: int = 0,
    rules: Sequence[Rule] = (),
    strict: bool = False,
    engine: str = "auto",
    progress: Progress = lambda done, total: None,
) -> Result:
    """Perplexity digitally and on the chip over the first `tokens` of a text, and the bill for a prefill of `context`.

    `rules` decide which products go to the chip (`photonsim.swap.rules`); one that decides none is refused. `progress`
    is told of each finished window, or, of a `Checkpoint`, of each finished layer.
    """
    windows = model_windows(model, text, tokens, context)
    shape = jax.ShapeDtypeStruct((1, context), jnp.int32)
    simulation = simulate(model.apply, chip, rules, seed=seed, strict=strict, engine=engine)
    check_rules(rules, [row.site for row in simulation.coverage(model.params, shape).rows])
    keys = [window_seed(seed, number) for number in range(len(windows))]
    if isinstance(model, Checkpoint):
        coverage = simulation.coverage(model.params, shape)
        scores = stream(model, chip, windows, keys, rules, strict, engine, progress)
    else:
        coverage = measured_coverage(simulation, model.params, jnp.asarray(windows[0].tokens))
        scores = _from_memory(model, simulation, windows, keys, shape, progress)

    workload, known = prefill_workload(model, coverage, context), baselines()
    forward = ForwardPass(sequences=1, tokens=context)
    bill, seconds = pass_bill(chip, coverage.products, decoder_shape(model), forward)
    return Result(
        model=model,
        chip=chip,
        seed=seed,
        tokens=tokens,
        context=context,
        digital=join([digital for digital, _ in scores.parts]),
        on_chip=join([on_chip for _, on_chip in scores.parts]),
        coverage=coverage,
        bill=bill,
        latency=seconds,
        baselines=tuple(_baseline(name, known[name], chip, workload) for name in RUN_BASELINES),
        effects=tuple(error_budget(chip, seed)),
        digital_seconds=scores.digital_seconds,
        chip_seconds=scores.chip_seconds,
    )


def _from_memory(
    model: Model,
    simulation: Simulation,
    windows: Sequence[Window],
    keys: Sequence[PRNGKeyArray],
    shape: jax.ShapeDtypeStruct,
    progress: Progress,
) -> Scores:
    """Both runs of a model whose weights are in memory, window by window."""
    programmed = simulation.program(model.params, shape)
    clock = _Stopwatch()
    apply, on_chip = jax.jit(model.apply), jax.jit(simulation.run)
    digital = clock.timed("digital", lambda number, ids: apply(model.params, ids))
    photonic = clock.timed("chip", lambda number, ids: on_chip(programmed, model.params, ids, seed=keys[number]))
    parts = []
    progress(0, len(windows))
    for part in compare(digital, photonic, windows):
        parts.append(part)
        progress(len(parts), len(windows))
    return Scores(parts, clock.seconds["digital"], clock.seconds["chip"])


def window_seed(seed: int, number: int) -> PRNGKeyArray:
    """Noise key of a window: every window of a run has noise of its own."""
    return jax.random.fold_in(jax.random.key(seed), number)


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    names = ("photonsim", "jax", "jaxlib", "numpy", "numba", "equinox")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


class _Stopwatch:
    """Seconds spent in each of several functions; the first call of each, its compilation, counts only if alone."""

    def __init__(self):
        self._spent: dict[str, list[float]] = {}

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, waited for and timed under `name`."""
        spent = self._spent.setdefault(name, [])

        def call(*arguments):
            start = time.perf_counter()
            result = jax.block_until_ready(function(*arguments))
            spent.append(time.perf_counter() - start)
            return result

        return call

    @property
    def seconds(self) -> dict[str, float]:
        """Median seconds of a call after the first."""
        return {name: float(np.median(spent[1:] or spent)) for name, spent in self._spent.items()}


def _baseline(name: str, hardware: AbstractBaseline, chip: Chip, workload: Workload) -> Baseline:
    bill, seconds = hardware.energy(chip, workload), float(hardware.latency(chip, workload).seconds)
    return Baseline(name, hardware.title, hardware.status, bill, seconds)


def _finite(value: float) -> float | None:
    """A number JSON can hold; `None` for one that is not finite."""
    return value if np.isfinite(value) else None
