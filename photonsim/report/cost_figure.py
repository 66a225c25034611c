"""The figures of a bill: joules by component and by layer; what bounds the time; the light; break-even."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from photonsim.chip import Chip
from photonsim.chip.waterfall import HEAT, LOST, SHARED, Waterfall, waterfall
from photonsim.cost import baselines, peak_tops
from photonsim.cost.baselines import Board
from photonsim.cost.bill import Bill
from photonsim.cost.break_even_map import BreakEvenMap
from photonsim.cost.by_product import product_bills
from photonsim.cost.latency import CONVERTERS, DRAM, OPTICS, RELOAD, SRAM, Step
from photonsim.cost.serving import Phase
from photonsim.report.cost_record import Priced
from photonsim.report.figure import PALETTE, STYLE, stacks
from photonsim.report.files import write_whole
from photonsim.report.quantities import plain_setting, si, significant

GPU = "h100-int8"  # whose roof stands beside the chip's
BOUND_COLOURS = {OPTICS: PALETTE[2], CONVERTERS: PALETTE[3], RELOAD: PALETTE[4], SRAM: PALETTE[0], DRAM: PALETTE[5]}
MARKERS = {"prefill": "o", "decode": "^"}
BAR: Any = {"height": 0.65, "edgecolor": "white", "lw": 0.4}
KINDS = {HEAT: (PALETTE[7], "heat in the laser"), LOST: (PALETTE[4], "lost on the way"), SHARED: (PALETTE[1], "shared")}
FEW = 9  # settings on an axis of a map that are written out
SHORT_LOSS = {"rest of the path": "loss of the path"}


def save_cost_figure(priced: Priced, path: Path) -> None:
    """Six panels of one price: components, layers, roofline; the light; two maps of where light would win."""
    with matplotlib.rc_context(STYLE):
        figure = cost_figure(priced)
        save_figure(figure, path)


def cost_figure(priced: Priced) -> Figure:
    """See `save_cost_figure`."""
    figure = Figure(figsize=(16, 9.6), layout="constrained")
    (parts, layers, roof), (light, prices, shapes) = figure.subplots(2, 3)
    chip, phases = priced.chip, priced.phases
    draw_components(parts, {name: (phase.bill, phase.tokens) for name, phase in phases.items()})
    parts.set_title("Where the joules go")
    last = "decode" if "decode" in phases else "prefill"
    layout = phases[last].layout
    assert layout is not None
    draw_products(layers, product_bills(chip, layout), phases[last].tokens)
    layers.set_title(f"… layer by layer, {last}")
    draw_roofline(roof, chip, phases, _gpu())
    roof.set_title("What bounds the time")
    path = waterfall(chip)
    if path is None:
        light.set_axis_off()
    else:
        draw_light(light, path)
    light.set_title("The way of the light" if path else "No light is paid for")
    baseline = {each.name: each.title for each in priced.digital}.get(priced.against, priced.against)
    for axes, found, title in zip(
        (prices, shapes), priced.maps, ("light and converters", "array and batch"), strict=True
    ):
        draw_map(axes, found, priced.against, (found.x_now, found.y_now))
        axes.set_title(f"Where light would win: {title}")
    name = priced.model.title or priced.model.name
    count = f"{priced.chips} × " if priced.chips > 1 else ""
    figure.suptitle(f"{name} on {count}{chip.title}, beside {baseline}", x=0.01, ha="left", fontweight="bold")
    return figure


def _gpu() -> Board:
    board = baselines()[GPU]
    assert isinstance(board, Board)
    return board


def save_figure(figure: Figure, path: Path) -> None:
    """A figure into a PNG, PDF or SVG file, by the ending of its name."""
    with matplotlib.rc_context(STYLE):
        write_whole(path, lambda temporary: figure.savefig(temporary, bbox_inches="tight", dpi=150))


def draw_components(axes: Axes, bills: Mapping[str, tuple[Bill, int]]) -> None:
    """Shares of the components of some bills, each with the tokens that share it; the joules per token at the end."""
    per_token = [
        {name: float(j) / tokens for name, j in bill.by_component_j().items()} for bill, tokens in bills.values()
    ]
    totals = np.array([sum(each.values()) for each in per_token])
    left = np.zeros(len(bills))
    for (name, colour), values in stacks(per_token):
        share = 100 * values / totals
        axes.barh(range(len(bills)), share, left=left, color=colour, label=name, **BAR)
        left += share
    for row, total in enumerate(totals):
        axes.annotate(f"  {si(total, 'J')}", (100, row), va="center", fontsize=8, annotation_clip=False)
    axes.set_yticks(range(len(bills)), list(bills))
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the energy of a token, %; at the right, J per token")
    _legend_below(axes)


def draw_products(axes: Axes, bills: Sequence[Bill], tokens: int) -> None:
    """Joules per token of every kind of layer, by component."""
    merged: dict[str, dict[str, float]] = {}
    for bill in bills:
        own = merged.setdefault(bill.name, {})
        for name, joules in bill.by_component_j().items():
            own[name] = own.get(name, 0.0) + float(joules) / tokens
    left = np.zeros(len(merged))
    for (name, colour), values in stacks(list(merged.values())):
        axes.barh(
            range(len(merged)), values, left=left, color=colour, label=name, height=0.65, edgecolor="white", lw=0.4
        )
        left += values
    for row, total in enumerate(left):
        axes.annotate(f" {si(total, 'J')}", (total, row), va="center", fontsize=8)
    axes.set_yticks(range(len(merged)), list(merged))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * left.max())
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda value, _: si(value, "J"))
    axes.set_xlabel("energy per token")
    _legend_below(axes)


def draw_roofline(axes: Axes, chip: Chip, phases: Mapping[str, Phase], beside: Board | None = None) -> None:
    """Operations per second against operations per byte from main memory: the roofs, and every product that fetches."""
    intensity = np.geomspace(0.5, 2e5, 200)
    peak, bandwidth = 1e12 * float(peak_tops(chip)), float(chip.memory.dram_bandwidth_bits_per_s) / 8
    axes.plot(
        intensity,
        np.minimum(peak, bandwidth * intensity),
        color="k",
        lw=1.6,
        label=f"optics and {chip.memory.dram_name}",
    )
    bits = next(iter(phases.values())).workload.storage.weight_bits
    reload = chip.tile.reload
    if float(reload.seconds):
        rows = intensity * bits / 16  # each weight is used once for every row
        symbols_s, write_s = rows / float(chip.clock_hz), float(reload.seconds)
        takes_s = np.maximum(symbols_s, write_s) if reload.hidden else symbols_s + write_s
        written = 2 * rows * float(chip.macs_per_cycle) / takes_s
        axes.plot(
            intensity, written, color=PALETTE[4], lw=1.2, ls="--", label=f"writing weights, {si(write_s, 's')} a tile"
        )
    if beside is not None:
        roof = np.minimum(beside.utilisation * beside.peak_ops_per_s, beside.dram_bandwidth_bits_per_s / 8 * intensity)
        axes.plot(intensity, roof, color=PALETTE[7], lw=1.2, label=beside.title)
    bounds: dict[str, str] = {}
    for name, phase in phases.items():
        for step in phase.latency.steps:
            _draw_step(axes, step, float(chip.memory.dram_bandwidth_bits_per_s), MARKERS[name], bounds)
    for name, colour in bounds.items():
        axes.plot([], [], "s", color=colour, label=f"bound by {name}")
    for name in phases:
        axes.plot([], [], MARKERS[name], color="k", mfc="none", label=f"layers, {name}")
    axes.set(xscale="log", yscale="log", xlim=(0.5, 2e5))
    axes.set_ylim(max(axes.get_ylim()[0], peak / 1e7), 4 * max(peak, axes.get_ylim()[1] / 4))
    axes.yaxis.set_major_formatter(lambda value, _: si(value, "").strip())
    axes.set_xlabel("operations per byte from main memory")
    axes.set_ylabel("operations per second")
    _legend_below(axes)


def _draw_step(axes: Axes, step: Step, bandwidth_bits_per_s: float, marker: str, bounds: dict[str, str]) -> None:
    """One product on the roofline, in the colour of its bound; those that fetch nothing have no place on it."""
    fetched_bytes = float(step.dram_s) * bandwidth_bits_per_s / 8
    if not step.macs or not fetched_bytes:
        return
    colour = bounds.setdefault(step.bound_by, BOUND_COLOURS.get(step.bound_by, PALETTE[8]))
    place = (2 * step.macs / fetched_bytes, 2 * step.macs / float(step.seconds))
    axes.plot(*place, marker, color=colour, ms=6, mfc="none", mew=1.3)


def draw_light(axes: Axes, path: Waterfall) -> None:
    """From the wall plug to one product: the power left after each stage, and where the rest went."""
    powers = [path.wall_power_w, *(stage.power_w for stage in path.stages)]
    names = ["wall plug, one core", *(SHORT_LOSS.get(stage.name, stage.name) for stage in path.stages)]
    floor = powers[-1] / 30
    axes.barh(range(len(powers)), [power_w - floor for power_w in powers], left=floor, color=PALETTE[2], height=0.6)
    for row, stage in enumerate(path.stages, start=1):
        colour, label = KINDS[stage.kind]
        axes.barh(row, powers[row - 1] - powers[row], left=powers[row], color=colour, height=0.6, label=label)
        loss_db = stage.loss_db(powers[row - 1])
        axes.annotate(f" −{loss_db:.1f} dB", (powers[row - 1], row), ha="left", va="center", fontsize=8)
    for row, power_w in enumerate(powers):
        axes.annotate(f" {si(power_w, 'W')}", (floor, row), ha="left", va="center", fontsize=8, color="white")
    axes.set(xscale="log", xlim=(floor, 8 * powers[0]))
    axes.set_yticks(range(len(names)), [_broken(name) for name in names])
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(numticks=5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} W" if value >= 1 else si(value, "W").replace(".00", ""))
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    photons = f"; {significant(path.photons_per_mac)} photons for one product" if path.photons_per_mac else ""
    axes.set_xlabel(f"power on one path at full scale{photons}")
    axes.legend(fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.18), ncols=3)


def _broken(name: str) -> str:
    """A long name on two lines."""
    words = name.split()
    middle = (len(words) + 1) // 2
    return name if len(name) < 16 else "\n".join((" ".join(words[:middle]), " ".join(words[middle:])))


def draw_map(axes: Axes, found: BreakEvenMap, against: str, marked: tuple[float, float] | None = None) -> None:
    """Joules of light over joules of digital hardware: orange where light loses, purple where it wins, a line at even.

    Drawn over the logarithms of both settings; `marked` is the chip as it is.
    """
    ratio = np.ma.masked_invalid(np.log10(np.asarray(found.ratio)))
    x, y = np.log10(found.x), np.log10(found.y)
    reach = max(float(np.abs(ratio).max()), 0.1)
    mesh = axes.pcolormesh(x, y, ratio, cmap="PuOr_r", norm=TwoSlopeNorm(0.0, -reach, reach), shading="nearest")
    if len(x) > FEW and ratio.min() < 0 < ratio.max():
        axes.contour(x, y, ratio, levels=[0.0], colors="k", linewidths=1.6)
    if len(x) <= FEW:
        _write_ratios(axes, found, x, y, reach)
    if marked is not None:
        axes.plot(*np.log10(marked), "*", color="k", ms=12, mfc="white", label="this chip", clip_on=False)
        axes.legend(fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    for axis, places, values in ((axes.xaxis, x, found.x), (axes.yaxis, y, found.y)):
        if len(values) <= FEW:
            axis.set_ticks(places, [plain_setting(value) for value in values])
        else:
            decades = np.arange(np.ceil(places[0] - 1e-9), places[-1] + 1e-9)
            axis.set_ticks(decades, [f"{10.0**decade:g}" for decade in decades])
    axes.set(xlabel=found.x_setting, ylabel=found.y_setting)
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.ax.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
    bar.ax.yaxis.set_major_formatter(lambda value, _: significant(10.0**value, 2))
    bar.set_label(f"energy of a request, × {against}")


def _write_ratios(axes: Axes, found: BreakEvenMap, x: np.ndarray, y: np.ndarray, reach: float) -> None:
    """The ratio of every point, in white where the colour is dark."""
    for row, values in enumerate(found.ratio):
        for column, value in enumerate(values):
            text = "–" if math.isnan(value) else significant(value, 2)
            dark = not math.isnan(value) and abs(math.log10(value)) > 0.6 * reach
            place, colour = (x[column], y[row] + 0.12), "white" if dark else "black"
            axes.annotate(text, place, ha="center", va="center", fontsize=7.5, color=colour)


def _legend_below(axes: Axes) -> None:
    axes.legend(fontsize=7.5, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.42, -0.18))
