"""Points of the shapes, selected for a figure or a sentence, and the published ones beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from photonsim.evaluate.shapes import photons_for
from photonsim.report.figure import PALETTE

Points = dict[str, Any]

# ABFP (Basumallik et al., arXiv 2205.06287), Table II: ResNet-50, blocks of 128, 8/8/8 bits, top-1 %
ABFP = {"gains": (1, 8), "top1": (0.7, 75.2), "fp32": 76.1}
# Perplexity of Qwen2.5-7B-Instruct-AWQ on WikiText-2 by activation bits 8 … 4; 6.79 in fp16
QWEN = {
    "block": (6.82, 6.85, 8.04, 182, 2129),
    "vector": (8.2, 35.9, 19.77, 182441, 53317),
    "tensor": (17.71, 1285, 30564, 83150, 1.2e6),
}
# Shot-limited multilayer perceptrons (PILOT-Q supplement), accuracy % by photons per multiply-accumulate
PILOT_PHOTONS = (0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 64)
PILOT = {
    ("MNIST", "digital"): (37.1, 67.4, 88.9, 95.8, 97.4, 97.8, 98.0, 98.1, 98.2, 98.3),
    ("MNIST", "noise-aware"): (55.5, 81.0, 93.6, 96.8, 97.6, 98.0, 98.1, 98.1, 98.2, 98.2),
    ("Fashion", "digital"): (20.6, 36.9, 59.2, 75.6, 83.7, 87.0, 88.3, 88.8, 89.2, 89.4),
    ("Fashion", "noise-aware"): (34.3, 56.5, 75.0, 83.1, 86.4, 87.9, 88.5, 89.0, 89.1, 89.2),
}
# Lightening-Transformer (HPCA 2024), its software model: DeiT-T, 4 bits, trained with the noise, top-1 %
DEIT_MAGNITUDE = dict(
    zip((0.03, 0.04, 0.05, 0.06, 0.07, 0.08), (71.04, 70.98, 70.90, 70.73, 70.59, 70.46), strict=True)
)
DEIT_PHASE = dict(zip((2, 3, 4, 5, 6, 7), (71.04, 70.96, 71.04, 71.09, 71.03, 71.08), strict=True))


def split(points: Points, shape: str) -> dict[tuple[str, ...], Any]:
    """Points of one shape, by the rest of their names."""
    named = {tuple(name.split("/")): value for name, value in points.items()}
    return {name[1:]: value for name, value in named.items() if name[0] == shape}


def models_in(points: Points, shape: str) -> list[str]:
    """Models of a shape, in order."""
    return list(dict.fromkeys(name[0] for name in split(points, shape)))


def cases(points: Points, shape: str):
    """Each model and second name of a shape, with the colour of the second."""
    seconds = list(dict.fromkeys(name[1] for name in split(points, shape)))
    for model in models_in(points, shape):
        for place, second in enumerate(seconds):
            yield (model, second), PALETTE[(3, 2, 4)[place]]


def curve(points: Points, shape: str, *where: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Swept numbers, perplexities, and the model's own perplexity."""
    chosen = {float(name[-1]): value for name, value in split(points, shape).items() if name[:-1] == where}
    x = np.array(sorted(chosen))
    values = [chosen[each] for each in x]
    y = np.array([np.inf if value["perplexity"] is None else value["perplexity"] for value in values])
    return x, y, values[0]["digital"]


def photon_curves(points: Points) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Mean detected photons, mean accuracy over networks, its standard error, and accuracy without noise."""
    curves = {}
    for training in ("digital", "noise-aware"):
        each = [value for name, value in split(points, "photons").items() if name[0] == training]
        photons = np.exp(
            np.mean([np.log(np.array(v["photons_at_full_scale"]) * v["light_used"]) for v in each], axis=0)
        )
        accuracies = np.array([v["accuracy"] for v in each])
        error = accuracies.std(0, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.zeros(accuracies.shape[1])
        curves[training] = (
            photons,
            100 * accuracies.mean(0),
            100 * error,
            100 * float(np.mean([v["ideal"] for v in each])),
        )
    return curves


def shifts(curves: dict[str, tuple[Any, ...]], levels: Sequence[float]) -> list[float]:
    """How many times fewer photons noise-aware training needs, at each accuracy."""
    return [
        photons_for(level, *curves["digital"][:2]) / photons_for(level, *curves["noise-aware"][:2]) for level in levels
    ]


def operand_curve(points: Points, what: str, sweep: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Swept error, value and standard error: change of loss in nats for the model, accuracy in % for the classifier."""
    chosen = {}
    for (model, magnitude, phase), value in split(points, "operands").items():
        x, other = (float(magnitude), float(phase)) if sweep == "magnitude" else (float(phase), float(magnitude))
        if model == what and other == (2.0 if sweep == "magnitude" else 0.03):
            chosen[x] = value
    x = np.array(sorted(chosen))
    scale, name = (1.0, "nll_difference") if what == "tiny" else (100.0, "accuracy")
    return x, *(scale * np.array([chosen[each][key] for each in x]) for key in (name, "standard_error"))
