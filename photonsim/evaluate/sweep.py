"""One model on many chips: a point of accuracy and cost for each, from one digital run, and the front among them.

A sweep that is given a file adds every point to it, one line of JSON each, as soon as it is known. Begun again, it
reads those lines and computes only what is missing. A point is found again by the digest of all that decides it: the
chip's settings, model, text, tokens, context, seed, rules, and the version of photonsim.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from photonsim.chip import Chip, describe
from photonsim.cost import BOUNDARIES, ForwardPass
from photonsim.errors import PhotonsimError
from photonsim.evaluate.bill import decoder_shape, pass_bill
from photonsim.evaluate.perplexity import Forward, TokenScores, Window, compare, join, model_windows
from photonsim.evaluate.run import Progress, window_seed
from photonsim.models import Model
from photonsim.swap import Rule, check_rules, measured_coverage, simulate

LINE_START = '{"digest": '  # of every line of a file of points


@dataclass(frozen=True)
class Point:
    """One chip of a sweep: what it answered, and what a token of a prefill costs.

    - `digest`: of all that decides the point; `settings`: the chip's, nested as in its file.
    - `j_per_token`: energy inside each boundary, the last of which holds everything; `s_per_token`: time.
    - `j_per_token_by_component`: the same energy by component.
    """

    digest: str
    settings: dict[str, Any]
    digital_perplexity: float
    perplexity: float
    kl_to_digital: float
    top1_agreement: float
    j_per_token: dict[str, float]
    j_per_token_by_component: dict[str, float]
    s_per_token: float


def sweep(
    model: Model,
    chips: Sequence[Chip],
    text: str,
    tokens: int = 2048,
    context: int = 512,
    seed: int = 0,
    rules: Sequence[Rule] = (),
    path: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Point]:
    """A point for each chip, in order, over the first `tokens` of a text in windows of `context`.

    The digital logits of all windows are computed once and held. With a `path`, see the module's header. `progress` is
    told of every chip that is done. Raises `PhotonsimError` for a file that holds something else.
    """
    windows = model_windows(model, text, tokens, context)
    conditions = {
        "model": model.digest_sha256,
        "windows": hashlib.sha256(b"".join(w.tokens.tobytes() + w.targets.tobytes() for w in windows)).hexdigest(),
        "context": context,
        "seed": seed,
        "rules": [(str(rule), _settings(rule.action) if isinstance(rule.action, Chip) else None) for rule in rules],
        "photonsim": version("photonsim"),
    }
    known = {} if path is None else read_points(path)
    digital = None
    points = []
    for done, chip in enumerate(chips):
        progress(done, len(chips))
        digest = point_digest(chip, conditions)
        if digest not in known:
            digital = digital or _digital_run(model, windows)
            known[digest] = _point(digest, model, chip, windows, digital, context, seed, rules)
            if path is not None:
                _append(path, known[digest])
        points.append(known[digest])
    progress(len(chips), len(chips))
    return points


def pareto_front(points: Sequence[Point], cost: Callable[[Point], float] | None = None) -> list[Point]:
    """The points that no other beats in both perplexity and cost, cheapest first.

    `cost` is the energy of a token inside the widest boundary, or any other number. NaN is beaten by everything.
    """
    price = cost or (lambda point: point.j_per_token[BOUNDARIES[-1]])
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (price(point), point.perplexity)):
        if point.perplexity < (front[-1].perplexity if front else math.inf):
            front.append(point)
    return front


def point_digest(chip: Chip, conditions: dict[str, Any]) -> str:
    """SHA-256 of a chip's settings, without the words about them, and of the conditions of the sweep."""
    record = {"chip": _settings(chip), **conditions}
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def read_points(path: Path) -> dict[str, Point]:
    """The points of a file by their digest; none where there is no file. A last line cut off in writing is dropped."""
    if not path.exists():
        return {}
    whole, newline, cut_off = path.read_text(encoding="utf-8").rpartition("\n")
    try:
        points = [Point(**json.loads(line)) for line in whole.splitlines()]
        if not cut_off.startswith(LINE_START[: len(cut_off)]):
            raise ValueError(cut_off)
    except (ValueError, TypeError):
        raise PhotonsimError(f"{path} holds something else than points: give the sweep a file of its own.") from None
    if cut_off:
        path.write_text(whole + newline, encoding="utf-8")
    return {point.digest: point for point in points}


def _append(path: Path, point: Point) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(point)) + "\n")
    except OSError as error:
        raise PhotonsimError(f"{path} cannot be written: {error.strerror}.") from None


def _settings(chip: Chip) -> dict[str, Any]:
    words = ("name", "title", "status", "sources", "quoted")
    return {key: value for key, value in describe(chip).items() if key not in words}


def _digital_run(model: Model, windows: Sequence[Window]) -> Forward:
    """The model without a chip: its logits of every window, known from now on."""
    apply = jax.jit(model.apply)
    logits = [apply(model.params, jnp.asarray(window.tokens)) for window in windows]
    return lambda number, ids: logits[number]


def _point(digest, model: Model, chip: Chip, windows, digital: Forward, context, seed, rules) -> Point:
    simulation = simulate(model.apply, chip, rules)
    shape = jax.ShapeDtypeStruct((1, context), jnp.int32)
    check_rules(rules, [row.site for row in simulation.coverage(model.params, shape).rows])
    coverage = measured_coverage(simulation, model.params, jnp.asarray(windows[0].tokens))
    programmed = simulation.program(model.params, shape)
    run = jax.jit(simulation.run)
    on_chip = lambda number, ids: run(programmed, model.params, ids, seed=window_seed(seed, number))  # noqa: E731
    parts = list(compare(digital, on_chip, windows))
    reference, answer = (join(list(side)) for side in zip(*parts, strict=True))
    bill, seconds = pass_bill(chip, coverage.products, decoder_shape(model), ForwardPass(1, context))
    return _priced(digest, chip, reference, answer, bill, seconds.seconds, context)


def _priced(digest, chip, reference: TokenScores, answer: TokenScores, bill, seconds, context: int) -> Point:
    return Point(
        digest=digest,
        settings=_settings(chip),
        digital_perplexity=reference.perplexity,
        perplexity=answer.perplexity,
        kl_to_digital=float(np.mean(answer.kl_to_digital)),
        top1_agreement=float(np.mean(answer.top1_agrees)),
        j_per_token={boundary: float(bill.within_j(boundary)) / context for boundary in BOUNDARIES},
        j_per_token_by_component={name: float(joules) / context for name, joules in bill.by_component_j().items()},
        s_per_token=float(seconds) / context,
    )
