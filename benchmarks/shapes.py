"""Published shapes on our own small models: four sweeps, four figures, and the page that holds ours beside theirs.

    python benchmarks/shapes.py            # minutes; every point is kept as it comes, so a second start goes on
    python benchmarks/shapes.py --quick    # the tiny model alone and fewer points, into out/shapes

Writes `shapes.json` (every point), `shapes.md` and `images/shapes_*.png` into `docs/`, or into `--out FOLDER`.
`--fresh` forgets the points that are there.
"""

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import shapes_page as page
from jax import numpy as jnp

from photonsim.evaluate.shapes import (
    GRANULARITIES,
    LINEAR_LAYERS,
    Passage,
    abfp_chip,
    accuracy_at,
    accuracy_on,
    coarse_inputs,
    light_used,
    noisy_operands,
    shot_noise_chip,
)
from photonsim.models import load, sample_text
from photonsim.models.digits import classify, load_digits
from photonsim.models.digits.train import accuracy, digital, through, train
from photonsim.report import write_json
from photonsim.swap import simulate

ROOT = Path(__file__).resolve().parents[1]
GAINS = (1, 2, 4, 8, 16, 32, 64)
BLOCKS = (32, 128, 512)
BITS = (8, 7, 6, 5, 4)
TOKENS = {"tiny": (512, 256), "smollm2-135m": (128, 128)}  # tokens in all, and in a window
PHOTONS = tuple(2.0**power for power in range(-1, 11))  # of one multiply-accumulate at full scale
TRAINING_PHOTONS = 16.0
NETWORKS, EPOCHS, DRAWS = 3, 30, 4
MAGNITUDES = (0.0, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08)
PHASES_DEG = (0, 2, 3, 4, 5, 6, 7)
DEFAULT_MAGNITUDE, DEFAULT_PHASE_DEG = 0.03, 2

Points = dict[str, Callable[[], dict[str, Any]]]


@functools.cache
def passage(name: str) -> Passage:
    """The text that a model is judged on."""
    return Passage.read(load(name), sample_text(), *TOKENS[name])


def language(name: str, unit, rules=()) -> dict[str, float]:
    """Perplexity of a model on a chip beside its own, with the paired difference in nats."""
    digital_scores, scores = passage(name).digital_scores, passage(name).score(unit, rules)
    difference, error = scores.nll_difference(digital_scores)
    return {
        "perplexity": scores.perplexity,
        "digital": digital_scores.perplexity,
        "nll_difference": difference,
        "standard_error": error,
        "top1_agreement": float(scores.top1_agrees.mean()),
    }


@functools.cache
def forward(training: str):
    """How a classifier is trained: without a chip, with shot noise, or on Lightening-Transformer at 4 bits."""
    if training == "digital":
        return digital
    aware = training == "noise-aware"
    chip = shot_noise_chip(TRAINING_PHOTONS) if aware else noisy_operands(DEFAULT_MAGNITUDE, DEFAULT_PHASE_DEG)
    return through(simulate(classify, chip))


@functools.cache
def network(training: str, seed: int):
    """A trained classifier of digits."""
    images, labels = load_digits()[0]
    return train(jax.random.key(seed), forward(training), jnp.asarray(images), jnp.asarray(labels), EPOCHS)


def photon_curve(training: str, seed: int, photons: tuple[float, ...]) -> dict[str, Any]:
    """Accuracy of one network at every number of photons, and what of the full-scale light it uses."""
    params, test = network(training, seed), load_digits()[1]
    return {
        "photons_at_full_scale": list(photons),
        "light_used": light_used(params, test.images),
        "accuracy": [accuracy_at(params, test, each, DRAWS, seed) for each in photons],
        "ideal": accuracy(digital, params, test, jax.random.key(0)),
    }


def classifier_on_operands(magnitude: float, phase_deg: float) -> dict[str, float]:
    """Accuracy of a 4-bit network under these errors of the operands, and its standard error over draws."""
    test, params = load_digits()[1], network("4-bit", 0)
    each = [accuracy_on(noisy_operands, (magnitude, phase_deg), params, test, 1, draw) for draw in range(DRAWS)]
    return {"accuracy": float(np.mean(each)), "standard_error": float(np.std(each, ddof=1) / np.sqrt(DRAWS))}


def operand_settings(quick: bool) -> list[tuple[float, int]]:
    """Both sweeps of Lightening-Transformer, each with the other error at its default, and no error at all."""
    magnitudes, phases = ((0.03, 0.08), (2, 7)) if quick else (MAGNITUDES[1:], PHASES_DEG[1:])
    sweeps = [(m, DEFAULT_PHASE_DEG) for m in magnitudes] + [(DEFAULT_MAGNITUDE, p) for p in phases]
    return list(dict.fromkeys([(0.0, 0), *sweeps]))


def all_points(quick: bool) -> Points:
    """Every point by its name, `shape/what/where`; nothing is computed yet."""
    models = ("tiny",) if quick else tuple(TOKENS)
    points: Points = {}
    for model in models:
        for block in (128, 512) if quick else BLOCKS:
            for gain in GAINS[::2] if quick else GAINS:
                unit = functools.partial(abfp_chip, block, float(gain))
                points[f"gain/{model}/{block}/{gain}"] = lambda m=model, u=unit: language(m, u())
        for granularity in GRANULARITIES:
            for bits in BITS[::2] if quick else BITS:
                unit = functools.partial(coarse_inputs, granularity, bits, longest=1536)
                points[f"bits/{model}/{granularity}/{bits}"] = lambda m=model, u=unit: language(m, u(), LINEAR_LAYERS)
    for training in ("digital", "noise-aware"):
        for seed in range(1 if quick else NETWORKS):
            photons = PHOTONS[::3] if quick else PHOTONS
            points[f"photons/{training}/{seed}"] = functools.partial(photon_curve, training, seed, photons)
    for magnitude, phase in operand_settings(quick):
        where = f"{magnitude}/{phase}"
        unit = functools.partial(noisy_operands, magnitude, phase)
        points[f"operands/tiny/{where}"] = lambda u=unit: language("tiny", u())
        if not quick:
            points[f"operands/digits/{where}"] = functools.partial(classifier_on_operands, magnitude, phase)
    return points


def compute(points: Points, store: Path) -> dict[str, Any]:
    """Values of all points; those in the store are taken from there, the others join them as they come."""
    found = json.loads(store.read_text()) if store.exists() else {}
    for number, (name, value) in enumerate(points.items(), start=1):
        if name not in found:
            found[name] = value()
            write_json(found, store)
            print(f"{number:3d} of {len(points)}  {name}", flush=True)
    return {name: found[name] for name in points}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the tiny model alone, fewer points")
    parser.add_argument("--fresh", action="store_true", help="compute again what was computed before")
    parser.add_argument("--out", type=Path, help="folder to write into [docs, or out/shapes when quick]")
    options = parser.parse_args()
    out = options.out or (ROOT / "out/shapes" if options.quick else ROOT / "docs")
    (out / "images").mkdir(parents=True, exist_ok=True)
    store = out / "shapes.json"
    if options.fresh:
        store.unlink(missing_ok=True)
    page.write(compute(all_points(options.quick), store), out)
    print(f"wrote {store}, {out / 'shapes.md'} and {out / 'images'}/shapes_*.png")


if __name__ == "__main__":
    main()
