"""A checkpoint that does not fit into memory, digitally and on the chip, layer by layer.

All windows go through a layer before the next one is read. A layer's products have the names, and so the noise, that
they have when the whole model is in memory.
"""

import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from photonsim.chip import Chip
from photonsim.evaluate.perplexity import TokenScores, Window, compare
from photonsim.models.llama import Stage
from photonsim.models.streaming import Checkpoint
from photonsim.swap import Rule, simulate


class Scores(NamedTuple):
    """Scores of each window, digital and on the chip, and the seconds that the two runs took for a window."""

    parts: list[tuple[TokenScores, TokenScores]]
    digital_seconds: float
    chip_seconds: float


def stream(
    checkpoint: Checkpoint,
    chip: Chip,
    windows: Sequence[Window],
    keys: Sequence[PRNGKeyArray],
    rules: Sequence[Rule] = (),
    strict: bool = False,
    engine: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Scores:
    """Both runs over all windows, of which each has a noise key; `progress` is told of each finished stage."""
    _return_freed_memory()
    embedding, *layers, last = checkpoint.stages
    params = checkpoint.read(embedding)
    digital = photonic = [embedding.forward(params, jnp.asarray(window.tokens)) for window in windows]
    del params
    seconds = [0.0, 0.0]
    progress(0, len(layers) + 1)
    for number, stage in enumerate(layers):
        apply, on_chip = _runs(checkpoint, stage, digital[0], chip, rules, strict, engine)
        digital = _timed(seconds, 0, lambda i, x=digital, run=apply: run(x[i]), len(windows))
        photonic = _timed(seconds, 1, lambda i, x=photonic, run=on_chip: run(x[i], keys[i]), len(windows))
        del apply, on_chip  # before the next layer is read
        progress(number + 1, len(layers) + 1)
    apply, on_chip = _runs(checkpoint, last, digital[0], chip, rules, strict, engine)
    parts = list(compare(lambda i, _: apply(digital[i]), lambda i, _: on_chip(photonic[i], keys[i]), windows))
    progress(len(layers) + 1, len(layers) + 1)
    return Scores(parts, seconds[0] / len(windows), seconds[1] / len(windows))


def _runs(
    checkpoint: Checkpoint, stage: Stage, example: Array, chip: Chip, rules: Sequence[Rule], strict: bool, engine: str
) -> tuple[Callable[[Array], Array], Callable[[Array, PRNGKeyArray], Array]]:
    """A stage digitally, and on the chip, its weights read and programmed."""
    params = checkpoint.read(stage)
    simulation = simulate(stage.forward, chip, rules, strict=strict, engine=engine)
    tiles = simulation.program(params, jax.ShapeDtypeStruct(example.shape, example.dtype))
    apply, on_chip = jax.jit(stage.forward), jax.jit(simulation.run)
    return lambda x: apply(params, x), lambda x, key: on_chip(tiles, params, x, seed=key)


def _timed(seconds: list[float], which: int, run: Callable[[int], Array], count: int) -> list[Array]:
    start = time.perf_counter()
    results = jax.block_until_ready([run(i) for i in range(count)])
    seconds[which] += time.perf_counter() - start
    return results


def _return_freed_memory() -> None:
    """Let glibc give blocks above 1 MB back when they are freed: by its own rule it would keep up to 32 MB of each."""
    if sys.platform == "linux":
        mmap_threshold = -3  # M_MMAP_THRESHOLD of malloc.h
        mallopt = getattr(
            ctypes.CDLL(None), "mallopt", lambda parameter, value: 0
        )  # other C libraries have no such rule
        mallopt(mmap_threshold, 1 << 20)
