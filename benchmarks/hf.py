"""What Door 2 costs: processor time of a Hugging Face model on a chip over that of the plain model.

    python benchmarks/hf.py [--model smollm2-135m] [--tokens 512] [--pairs 5] [--json OUT.json]

One prefill, on one thread and by processor time, so that other work on the machine counts for little; the ratio is the
median of paired runs, after one that programs the chip. The plain model is PyTorch's own, fused attention included.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numba
import torch

from photonsim.chip import load_chip
from photonsim.hf import load_model, simulate

CHIPS = {"ideal": 1.15, "lightmatter-envise-2025": 1.8}  # the ratio allowed


def seconds_of(function: Callable, ids: torch.Tensor) -> float:
    """Processor time of one forward pass."""
    start = time.process_time()
    function(ids, use_cache=False)
    return time.process_time() - start


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    numba.set_num_threads(1)

    model = load_model(options.model)
    ids = torch.arange(options.tokens)[None] + 100
    record: dict[str, object] = {"model": options.model, "tokens": options.tokens}
    for name, allowed in CHIPS.items():
        on_chip = simulate(model, load_chip(name))
        first_s = seconds_of(on_chip, ids)
        pairs = [(seconds_of(model, ids), seconds_of(on_chip, ids)) for _ in range(options.pairs)]
        ratios = [chip_s / plain_s for plain_s, chip_s in pairs]
        median = statistics.median(ratios)
        record[name] = {"ratio": median, "least": min(ratios), "most": max(ratios), "first_s": first_s}
        print(f"{name:26s} {median:.2f} times plain ({min(ratios):.2f} to {max(ratios):.2f}; allowed {allowed})")
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
