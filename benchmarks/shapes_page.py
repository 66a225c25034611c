"""The page `shapes.md` around the figures of the shapes, from the points that `shapes.py` computed.

Every number on the page comes from the points or from the published ones beside them. What a sentence claims of ours is
checked where it is written, and the page says so if it does not hold.
"""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from shapes_figures import WORST, bits_figure, gain_figure, operands_figure, photons_figure
from shapes_points import (
    DEIT_MAGNITUDE,
    DEIT_PHASE,
    PILOT,
    PILOT_PHOTONS,
    QWEN,
    Points,
    cases,
    curve,
    models_in,
    operand_curve,
    photon_curves,
    shifts,
    split,
)

from photonsim.evaluate.shapes import photons_for
from photonsim.report.figure import STYLE
from photonsim.report.files import write_whole
from photonsim.report.quantities import significant


def write(points: Points, out: Path) -> None:
    """Four figures and the page."""
    parts = [(gain_figure, gain_text), (bits_figure, bits_text), (photons_figure, photons_text)]
    parts.append((operands_figure, operands_text))
    names = ("gain", "bits", "photons", "operands")
    texts = []
    for name, (draw, text) in zip(names, parts, strict=True):
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=(9.5, 3.4), layout="constrained")
            draw(figure.subplots(1, 2), points)
            write_whole(out / f"images/shapes_{name}.png", lambda path, f=figure: f.savefig(path, bbox_inches="tight"))
        texts.append(text(points).replace("IMAGE", f"![{name}](images/shapes_{name}.png)"))
    page = "\n\n".join(wrapped(paragraph) for text in [HEADER, *texts] for paragraph in text.split("\n\n"))
    (out / "shapes.md").write_text(page + "\n", encoding="utf-8")


def wrapped(paragraph: str) -> str:
    """A paragraph in lines of 120 characters; headings, tables and images as they are."""
    return (
        paragraph
        if paragraph.startswith(("#", "|", "!"))
        else textwrap.fill(" ".join(paragraph.split()), 120, break_on_hyphens=False)
    )


HEADER = """# Published shapes, on our own models

Written by `python benchmarks/shapes.py`, which computes every number of ours below in minutes. The models are not the
published ones, so absolute numbers must differ; what should agree is the shape. `shapes.json` has every point. "tiny"
is the model that ships (361,088 parameters), SmolLM2 the 135M model. Perplexities are over few tokens of the State
of the
Union address of 2021 (512 and 128): only differences within a figure mean anything."""


def ratio_table(head: str, columns: Sequence[str], rows: Mapping[str, Sequence[Any]], digits: int = 3) -> str:
    """A table of numbers."""
    lines = [f"| {head} | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name, values in rows.items():
        lines.append(f"| {name} | {' | '.join(v if isinstance(v, str) else number(v, digits) for v in values)} |")
    return "\n".join(lines)


def number(value: float, digits: int = 3) -> str:
    """A few digits; a perplexity beyond a million is ruin, whatever its digits."""
    if not np.isfinite(value) or value >= WORST:
        return "over 10⁶"
    return significant(value, digits)


def holds(claim: bool, sentence: str) -> str:
    """The sentence if what it claims of our points is so; else that it is not."""
    return sentence if claim else f"*These points do not bear out:* {sentence}"


def gain_text(points: Points) -> str:
    rows, best = {}, {}
    for (model, block), _ in cases(points, "gain"):
        x, y, own = curve(points, "gain", model, block)
        rows[f"{model}, {block}"] = y / own
        best[model, block] = (x[y.argmin()], (y / own).min())
    x = curve(points, "gain", *next(iter(best)))[0]
    models = models_in(points, "gain")
    blocks = sorted({block for _, block in best}, key=int)
    steps = [((m, a), (m, b)) for m in models for a, b in itertools.pairwise(blocks)]
    rises = all(best[small][0] <= best[large][0] for small, large in steps)
    falls = all(best[small][1] <= 1.02 * best[large][1] for small, large in steps)
    at_128 = rows[f"{models[-1]}, 128"]
    ruin, recovery, best_gain = at_128[0], at_128.min(), best[models[-1], "128"][0]
    recovers = holds(
        bool(ruin > 2 and recovery < 1.5),
        f"At blocks of 128 and G = 1, {models[-1]} is ruined (perplexity × {number(ruin)}); at G = "
        f"{best_gain:g} it "
        f"recovers to {number(recovery)} times its own, as ResNet-50 goes from 0.7 % to 75.2 % at G = 8.",
    )
    clips = holds(bool(at_128[-1] > 2 * recovery), "Too much gain clips, and it fails again: an inverted U.")
    wants = holds(rises, "The larger the block, the more gain it wants;")
    easier = holds(falls, "the smaller, the closer it comes to exact.")
    return f"""## Gain of adaptive block floating point: an inverted U

IMAGE

Inputs, weights and outputs of 8 bits, no noise. Perplexity on the chip over the model's own:

{ratio_table("model, block", [f"G = {each:g}" for each in x], rows)}

**Agrees.** {recovers} {clips} {wants} {easier}

**Does not.** The published curve is two points of accuracy, which has a floor; perplexity has none. ABFP adds converter
noise of half a step; ours has none, and rounds alone."""


def bits_text(points: Points) -> str:
    rows = {}
    for (model, granularity), _ in cases(points, "bits"):
        x, y, own = curve(points, "bits", model, granularity)
        rows[f"{model}, {granularity}"] = (y / own)[::-1]
    bits = [f"{each:g} bits" for each in x[::-1]]
    rows |= {
        f"Qwen2.5-7B, {'feature' if name == 'vector' else name}": [
            value / 6.79 for value, b in zip(values, (8, 7, 6, 5, 4), strict=True) if b in x
        ]
        for name, values in QWEN.items()
    }
    models = models_in(points, "bits")
    worst = {name: [rows[f"{model}, {name}"][-1] for model in models] for name in ("block", "vector", "tensor")}
    ordered = all(b <= t for b, t in zip(worst["block"], worst["tensor"], strict=True))
    eight = max(rows[f"{model}, block"][0] for model in models)
    mild = rows[f"{models[-1]}, block"][-1]
    free = holds(eight < 1.02, f"At eight bits, a scale for each block of 128 costs {100 * (eight - 1):.1f} % at most.")
    coarse = holds(ordered, "One scale for the whole tensor costs by far the most, and the more, the fewer the bits.")
    return f"""## Bits of an activation, and how many share a scale

IMAGE

The inputs of the linear layers rounded, all else exact. Perplexity over that without rounding:

{ratio_table("model, scale per", bits, rows)}

**Agrees.** {free} {coarse}

**Does not.** Ours fall later: at {x[0]:g} bits per block {models[-1]} has {number(mild)} times its perplexity, Qwen
{number(QWEN["block"][-1] / 6.79)} times. We did not look for the reason: the model is larger and other, a block of
theirs
is one of 14 × 74 values, and our scales are chosen anew for every input. Our vector (all inputs of one token) is
not their
feature (one channel of all tokens). A scale per tensor is this benchmark's alone: no tile can know the largest value of
vectors that have not come yet."""


def _photons_or_fewer(level: float, photons: Sequence[float], accuracies: Sequence[float]) -> float | str:
    """Photons for an accuracy, in words where the curve begins above it."""
    return photons_for(level, photons, accuracies) if level >= accuracies[0] else f"below {photons[0]:g}"


def photons_text(points: Points) -> str:
    curves, levels = photon_curves(points), (50.0, 70.0, 90.0)
    ours = shifts(curves, levels)
    trainings = ("digital", "noise-aware")
    mnist, fashion = ({name: (PILOT_PHOTONS, PILOT[data, name]) for name in trainings} for data in ("MNIST", "Fashion"))
    theirs = [*shifts(mnist, (70.0, 90.0)), *shifts(fashion, (50.0, 70.0))]
    x, y, _, ideal = curves["digital"]
    needed, used = photons_for(90.0, x, y), x[0] / split(points, "photons")["digital", "0"]["photons_at_full_scale"][0]
    rows = {f"ours, {name}": [photons_for(level, *values[:2]) for level in levels] for name, values in curves.items()}
    rows |= {f"MNIST, {name}": [_photons_or_fewer(level, *mnist[name]) for level in levels] for name in trainings}
    table = ratio_table("photons per MAC for", [f"{level:g} %" for level in levels], rows)
    curve_holds = holds(
        bool(y[-1] > ideal - 1.0 and y[0] < 40),
        f"From guessing to what the network can do without noise ({ideal:.1f} %), with 90 % at {number(needed)} "
        f"photons per "
        f"multiply-accumulate (published: {number(rows['MNIST, digital'][-1])} on MNIST).",
    )
    shift_holds = holds(
        min(ours) > 1.2 and max(ours) < 3.5,
        f"Noise-aware training needs {min(ours):.1f} to {max(ours):.1f} times fewer photons at 50 to 90 % "
        f"(published, read "
        f"the same way: {min(theirs):.1f} to {max(theirs):.1f}).",
    )
    return f"""## Accuracy against photons per multiply-accumulate

IMAGE

A perceptron 64-300-100-10 on handwritten digits, shot noise alone. Photons are those detected in the mean,
{used:.1%} of
those at full scale. Noise-aware networks were trained through the simulated chip at one laser power, gradients passing
straight through:

{table}

**Agrees.** {curve_holds} {shift_holds}

**Does not.** Other data and a smaller network: where the curve lies is not to be compared closely. Every layer of
theirs
detects the same number of photons; ours share one laser, and a layer's light follows from its numbers."""


def operands_text(points: Points) -> str:
    _, loss, error = operand_curve(points, "tiny", "magnitude")
    _, phase_loss, phase_error = operand_curve(points, "tiny", "phase")
    noiseless = split(points, "operands")["tiny", "0.0", "0"]["nll_difference"]
    grows, moves = loss[-1] - loss[0], float(np.ptp(phase_loss))
    both = np.hypot(error[0], error[-1])
    small = holds(
        grows < noiseless and moves < 4 * phase_error.max(),
        f"On the tiny language model magnitude σ from 0.03 to 0.08 adds {grows:+.2f} ± {both:.2f} nats "
        f"per token, and phase from 2° to 7° moves it by {moves:.2f}, with ± {phase_error.max():.2f} on each point.",
    )
    untrained = holds(
        noiseless > 0.1,
        f"The language model was never trained for 4 bits: those alone cost {noiseless:.2f} nats per token.",
    )
    table, trained, lacking = "", "", "DeiT-T was trained with the noise, the tiny model was not."
    if "digits" in models_in(points, "operands"):
        table, trained = _classifier_on_operands(points)
        lacking = "DeiT-T is a transformer on ImageNet; what we trained with the noise is a perceptron on digits."
    return f"""## Lightening-Transformer's operands: little from magnitude, nothing from phase

IMAGE

The preset at 4 bits, one error swept and the other at its default (σ 0.03, 2°). {table}

**Agrees.** {trained} {small}

**Does not.** {untrained} {lacking}"""


def _classifier_on_operands(points: Points) -> tuple[str, str]:
    """Table and verdict of the classifier that was trained on the chip."""
    sweeps = {name: operand_curve(points, "digits", name) for name in ("magnitude", "phase")}
    rows = {f"digits, {name}": values[1] for name, values in sweeps.items()}
    rows |= {"DeiT-T, magnitude": list(DEIT_MAGNITUDE.values()), "DeiT-T, phase": list(DEIT_PHASE.values())}
    heads = [f"{m:g} or {p}°" for m, p in zip(DEIT_MAGNITUDE, DEIT_PHASE, strict=True)]
    lost = sweeps["magnitude"][1][0] - sweeps["magnitude"][1][-1]
    shaken = float(np.ptp(sweeps["phase"][1]))
    error = float(np.hypot(*sweeps["magnitude"][2][[0, -1]]))  # over draws of the noise; the network is one
    agrees = holds(
        bool(-0.5 < lost < 2.5 and shaken < 1.0),
        f"The classifier, trained on this chip with its default noise, loses {lost:.1f} ± {error:.1f} points "
        f"from magnitude σ 0.03 to 0.08 (DeiT-T: 0.6) and stays within {shaken:.1f} from 2° to 7° "
        "of phase (DeiT-T: 0.1).",
    )
    return f"Accuracy, %:\n\n{ratio_table('network, error', heads, rows, 4)}", agrees
