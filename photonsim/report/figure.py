"""The figure of a run: what a token costs, beside what light did to the answers."""

import math
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from photonsim.cost.tariff import (
    ACCUMULATION,
    DIGITAL_PRODUCTS,
    DRAM,
    LASER,
    MODULATION,
    NETWORK,
    OVERHEAD,
    READOUT,
    SRAM,
    VECTOR_UNIT,
    WEIGHTS,
)
from photonsim.evaluate import Result
from photonsim.report.files import write_whole
from photonsim.report.quantities import si, significant

# Okabe and Ito's palette (jfly.uni-koeln.de/color), told apart by readers with any common colour vision
PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#F0E442", "#999999", "#000000", "#8c6d31")
COLOURS: dict[str, str] = dict(
    zip((LASER, MODULATION, WEIGHTS, READOUT, SRAM, DRAM, ACCUMULATION), PALETTE, strict=False)
)
COLOURS |= {DIGITAL_PRODUCTS: "#8c6d31", VECTOR_UNIT: "#444444", NETWORK: "#b3de69", OVERHEAD: "#999999"}
UNKNOWN = "#666666"  # a component of other hardware
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.dpi": 150,
}


def save_run_figure(result: Result, path: Path) -> None:
    """Draw `run_figure` into a PNG, PDF or SVG file, by the ending of its name."""
    with matplotlib.rc_context(STYLE):
        figure = run_figure(result)
        write_whole(path, lambda temporary: figure.savefig(temporary, bbox_inches="tight"))


def run_figure(result: Result) -> Figure:
    """Three panels: energy per token by component beside the baselines, loss per position, error budget."""
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    energy, loss, budget = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    _draw_energy(energy, result)
    _draw_loss(loss, result)
    _draw_budget(budget, result)
    figure.suptitle(f"{result.model.name} on {result.chip.title}", x=0.01, ha="left", fontweight="bold")
    return figure


def _draw_energy(axes: Axes, result: Result) -> None:
    bills = [(_short(result.chip.title), result.bill), *((_short(b.title), b.bill) for b in result.baselines)]
    per_token = [{name: float(j) / result.context for name, j in bill.by_component_j().items()} for _, bill in bills]
    left = np.zeros(len(bills))
    for (name, colour), values in stacks(per_token):
        axes.barh(range(len(bills)), values, left=left, color=colour, label=name, height=0.6, edgecolor="white", lw=0.4)
        left += values
    for row, total in enumerate(left):
        axes.annotate(f" {si(total, 'J')}", (total, row), va="center", fontsize=8)
    axes.set_yticks(range(len(bills)), [label for label, _ in bills])
    axes.invert_yaxis()
    axes.set_xlim(0, left.max() * 1.25)
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(3))
    axes.xaxis.set_major_formatter(lambda value, _: si(value, "J"))
    axes.set_xlabel("energy per token of a prefill, at the wall")
    axes.set_title("What a token costs")
    axes.legend(fontsize=7.5, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.3, -0.2))


def stacks(per_token: list[dict[str, float]]):
    """Colour and values of each component that is at least 1 % of some bill; the rest together as one."""
    names = list(dict.fromkeys(name for bill in per_token for name in bill))
    large = [name for name in names if any(bill.get(name, 0.0) > 0.01 * sum(bill.values()) for bill in per_token)]
    for name in large:
        yield (name, COLOURS.get(name, UNKNOWN)), np.array([bill.get(name, 0.0) for bill in per_token])
    rest = np.array([sum(joules for name, joules in bill.items() if name not in large) for bill in per_token])
    if rest.any():
        yield ("everything below 1 %", "#dddddd"), rest


def _draw_loss(axes: Axes, result: Result) -> None:
    losses = np.concatenate([result.digital.nll, result.on_chip.nll])
    top = math.ceil(np.nanpercentile(losses, 99.5)) if np.isfinite(losses).any() else 1
    bins = [top * step / 40 for step in range(41)]  # what lies beyond the top counts in the last bin
    for scores, colour, name in ((result.digital, PALETTE[7], "digital"), (result.on_chip, PALETTE[3], "on the chip")):
        label = f"{name}: perplexity {significant(scores.perplexity, 4)}"
        shown = scores.nll[np.isfinite(scores.nll)]
        axes.hist(np.clip(shown, 0, top), bins, histtype="step", lw=1.6, color=colour, label=label)
        axes.axvline(float(scores.nll.mean()), color=colour, lw=1, ls="--")
    agreement = 100 * float(result.on_chip.top1_agrees.mean())
    axes.set_title("What light did to the answers")
    axes.set_xlabel("loss of a token, nats (mean dashed)")
    axes.set_ylabel("tokens")
    kl = significant(float(result.on_chip.kl_to_digital.mean()))
    axes.plot([], [], " ", label=f"KL {kl} nats, same first token {agreement:.0f} %")
    axes.legend(fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2))


def _draw_budget(axes: Axes, result: Result) -> None:
    shown = [effect for effect in result.effects if effect.relative_error]
    values = [100 * (effect.relative_error or 0) for effect in shown]
    colours = [PALETTE[4] if effect is result.effects[-1] else PALETTE[1] for effect in shown]
    axes.barh(range(len(shown)), values, color=colours, height=0.6)
    axes.set_yticks(range(len(shown)), [effect.name for effect in shown])
    axes.invert_yaxis()
    for row, value in enumerate(values):
        axes.annotate(f" {significant(value, 2)} %", (value, row), va="center", fontsize=8)
    axes.set_xlim(0, 1.25 * max(values, default=1.0))
    axes.set_xlabel("RMS error of one product, %")
    axes.set_title("Where the error comes from")


def _short(title: str) -> str:
    """A title without its bracket or what follows a comma or colon, broken to fit beside an axis."""
    words = title.split(" (")[0].split(":")[0].split()
    middle = (len(words) + 1) // 2
    return "\n".join(filter(None, (" ".join(words[:middle]), " ".join(words[middle:]))))
