"""What simulating costs: wall time of the chip's run over the digital one, and peak memory, on this machine.

    python benchmarks/run.py [--model smollm2-135m] [--chip lightmatter-envise-2025] [--json OUT.json]

Both are `jax.jit`-compiled forward passes of one window of 512 tokens, run in turn; the ratio is the median of paired
runs. Peak memory is that of the whole process: loading, programming, both passes.
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import jax
from jax import numpy as jnp

from photonsim.chip import load_chip
from photonsim.models import load, sample_text
from photonsim.swap import simulate


def seconds_of(function, *args) -> float:
    """Wall time of one call, waited for."""
    start = time.perf_counter()
    jax.block_until_ready(function(*args))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--chip", default="lightmatter-envise-2025")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    model, chip = load(options.model), load_chip(options.chip)
    context = min(512, model.config.max_position_embeddings)
    tokens = jnp.asarray(model.encode(sample_text())[:context], jnp.int32)[None]
    simulation = simulate(model.apply, chip)
    digital, on_chip = jax.jit(model.apply), jax.jit(simulation.run)

    programming_s = time.perf_counter()
    programmed = jax.block_until_ready(simulation.program(model.params, tokens))
    programming_s = time.perf_counter() - programming_s
    first_s = [seconds_of(digital, model.params, tokens), seconds_of(on_chip, programmed, model.params, tokens)]
    pairs = [
        (seconds_of(digital, model.params, tokens), seconds_of(on_chip, programmed, model.params, tokens))
        for _ in range(options.pairs)
    ]
    ratios = [chip_s / digital_s for digital_s, chip_s in pairs]
    record = {
        "model": model.name,
        "chip": chip.name,
        "context": context,
        "digital_s": statistics.median(digital_s for digital_s, _ in pairs),
        "chip_s": statistics.median(chip_s for _, chip_s in pairs),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "first_digital_s": first_s[0],
        "first_chip_s": first_s[1],
        "programming_s": programming_s,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    for name, value in record.items():
        print(f"{name:16s} {value if isinstance(value, str | int) else f'{value:.3f}'}")
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
