"""The scaling study as tables of 80 columns, as a record for JSON, as rows for CSV, and as a figure."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture, Attention
from photonsim.cost.baselines import AbstractBaseline
from photonsim.cost.scaling import (
    BASELINE_2023_J,
    LIGHT,
    PARTS,
    Point,
    exponent,
    light_exponent,
    width_for,
)
from photonsim.report.figure import PALETTE, STYLE
from photonsim.report.files import write_whole
from photonsim.report.layout import plain_table
from photonsim.report.quantities import si, significant

# Anderson et al., "Optical Transformers", TMLR 2024, arXiv 2302.10360, abstract: parameters and advantage over 300 fJ
CLAIMS = ((530e9, 100.0, "about 100"), (1e15, 8000.0, "> 8,000"))
FUTURE_CLAIM = "> 100,000"
CLAIM_SOURCE = "Anderson et al., TMLR 2024, arXiv 2302.10360"


class Study(NamedTuple):
    """Everything that `photonsim scale` finds out about one chip."""

    chip: Chip
    tokens: int
    aspect: float
    against: tuple[AbstractBaseline, ...]
    points: tuple[Point, ...]
    reached: dict[str, dict[str, float]]  # advantage by assumption, for the models that a claim is about


def is_of_size(model: Architecture, parameters: float) -> bool:
    """Whether a claim about models of so many parameters is one about this model."""
    return abs(model.parameters / parameters - 1) < 0.05


# The record


def scaling_record(study: Study) -> dict[str, Any]:
    """All of it as plain data."""
    points = study.points
    return {
        "chip": {"name": study.chip.name, "status": study.chip.status},
        "tokens": study.tokens,
        "aspect": study.aspect,
        "digital_2023_j_per_mac": BASELINE_2023_J,
        "models": [_point_record(point) for point in points],
        "exponents": {"light": _known(light_exponent(points)), "total": _known(_total_exponent(points)), "law": -1.0},
        "claims": [
            {"parameters": size, "advantage": value, "as_published": words, "source": CLAIM_SOURCE}
            for size, value, words in CLAIMS
        ],
        "advantage_by_assumption": study.reached,
        "width_for_8000": _known(width_for(points, CLAIMS[-1][1])),
        "boundary": "package; grown arrays, no host and no cooling",
    }


def _point_record(point: Point) -> dict[str, Any]:
    model = point.model
    return {
        "name": model.name,
        "title": model.title,
        "source": model.source,
        "assumed": model.assumed,
        "parameters": model.parameters,
        "width": point.width,
        "depth": model.main.depth,
        "macs_per_token": float(point.macs),
        "parts_j_per_token": {"weights_stay": point.parts, "weights_fetched": point.fetched},
        "j_per_token": {
            "weights_stay": point.total_j,
            "weights_fetched": point.fetched_j,
            "as_built": point.as_built_j,
            "digital_300_fj_per_mac": point.baseline_2023_j,
            **point.digital_j,
        },
        "advantage": {name: _known(point.advantage(point.up_to_j(name))) for name in PARTS}
        | {"weights_fetched": point.advantage(point.fetched_j), "as_built": point.advantage(point.as_built_j)},
        "largest_part": point.largest_part,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def scaling_rows(studies: Sequence[Study]) -> list[list[str | float]]:
    """One line per chip and model for CSV, all energies in joules per token."""
    names = [baseline.name for baseline in studies[0].against]
    totals = ["weights_stay_j", "weights_fetched_j", "as_built_j", "digital_300_fj_per_mac_j"]
    sizes = ["chip", "model", "assumed", "parameters", "width", "depth", "macs_per_token"]
    parts = [f"{name.removeprefix('+ ')}_j" for name in PARTS]
    rows: list[list[str | float]] = [[*sizes, *parts, *totals, *(f"{name}_j" for name in names)]]
    for study in studies:
        for point in study.points:
            model = point.model
            about = [study.chip.name, model.name, int(model.assumed), model.parameters, point.width, model.main.depth]
            energies = (point.total_j, point.fetched_j, point.as_built_j, point.baseline_2023_j)
            rows.append([*about, float(point.macs), *point.parts.values(), *energies, *point.digital_j.values()])
    return rows


# The tables


def scaling_tables(study: Study) -> RenderableType:
    """All that was found about one chip, 80 columns wide."""
    heading = Text(f"{study.chip.title}, {study.chip.status}: growing with the model", style="bold")
    parts = [heading, _mac_table(study), _advantage_table(study), *([_others_table(study)] if study.against else [])]
    parts += [_claims(study)] if study.reached else []
    return Group(*(part for part in (*parts, _verdict(study)) for part in (part, Text())))


def _mac_table(study: Study) -> Table:
    caption = f"{study.tokens:,} tokens at once; each column holds those left"
    table = plain_table("fJ per multiply-accumulate", caption, tight=True)
    table.add_column("model", no_wrap=True)
    for header in ("width", "light", "+optics", "+convert", "+digital", "+memory", "fetched", "built"):
        table.add_column(header, justify="right", no_wrap=True)
    for point in study.points:
        joules = [*(point.up_to_j(name) for name in PARTS), point.fetched_j, point.as_built_j]
        values = [significant(1e15 * each / point.macs, 2) for each in joules]
        table.add_row(point.model.name, f"{point.width:,}", *values)
    return table


def _advantage_table(study: Study) -> Table:
    table = plain_table("J per token, and × below 300 fJ per multiply-accumulate", "weights stay", tight=True)
    table.add_column("model", no_wrap=True)
    headers = ("weights", "all light", "300 fJ", "light", "+convert", "all", "fetched", "built")
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    for point in study.points:
        joules = (point.up_to_j(LIGHT), point.up_to_j("+ converters"), point.total_j, point.fetched_j, point.as_built_j)
        energies = (si(point.total_j, "J"), si(point.baseline_2023_j, "J"))
        cells = (times(point.advantage(each)) for each in joules)
        table.add_row(point.model.name, size(point.model.parameters), *energies, *cells)
    return table


def _others_table(study: Study) -> Table:
    table = plain_table("Digital hardware of today", "J per token, and × over all of light, weights staying")
    table.add_column("model", no_wrap=True)
    for baseline in study.against:
        table.add_column(baseline.name, justify="right")
        table.add_column("×", justify="right")
    for point in study.points:
        pairs = ((si(joules, "J"), times(joules / point.total_j)) for joules in point.digital_j.values())
        table.add_row(point.model.name, *(cell for pair in pairs for cell in pair))
    return table


def _claims(study: Study) -> Table:
    table = plain_table("What it would take", "× below 300 fJ, whole bill, weights stay")
    table.add_column("assumption")
    for name in study.reached:
        table.add_column(name, justify="right")
    first = next(iter(study.reached.values()))
    for assumption in first:
        table.add_row(assumption, *(times(found[assumption]) for found in study.reached.values()))
    table.add_section()
    claimed = [point.model for point in study.points if point.model.name in study.reached]
    words = [next(words for size, _, words in CLAIMS if is_of_size(model, size)) for model in claimed]
    table.add_row("published (Anderson et al. 2023)", *words, style="bold")
    future = [FUTURE_CLAIM if is_of_size(model, CLAIMS[-1][0]) else "–" for model in claimed]
    table.add_row("published, future electronics", *future)
    return table


def _verdict(study: Study) -> Text:
    points = study.points
    last = points[-1]
    lines = []
    if math.isfinite(light_exponent(points)):
        lines.append(
            f"Light per multiply-accumulate goes as width^{light_exponent(points):.2f} (law: −1), the whole bill as "
            f"width^{_total_exponent(points):.2f}.".replace("^-", "^−")
        )
    cap, fetched = last.advantage(last.fetched_j), max(last.fetched, key=lambda name: last.fetched[name])
    lines.append(
        f"At {size(last.model.parameters)} parameters light alone would be {times(last.advantage(last.parts[LIGHT]))}× "
        f"below 300 fJ, the whole bill is {times(last.advantage(last.total_j))}×: most of it is "
        f"{last.largest_part.removeprefix('+ ')}. Weights that are fetched for each pass cap it at {times(cap)}×, "
        f"whatever the width; most of that is {fetched.removeprefix('+ ')}."
    )
    if math.isfinite(width_for(points, CLAIMS[-1][1])) and last.advantage(last.total_j) < CLAIMS[-1][1]:
        lines.append(f"8,000× by these assumptions takes a width of {times(width_for(points, CLAIMS[-1][1]))}.")
    scaled = [point for point in points if point.model.assumed]
    if scaled:
        lines.append(
            f"Models named by a number are no models: GPT-3's heads, a width of {study.aspect:g} for each layer "
            "(--aspect)."
        )
    lines.append(
        "Not on this bill: host and cooling; whether the answer is still right (photonsim run). 'As built' is the "
        "chip with its own arrays, fetching every weight, its laser burning while it waits."
    )
    return Text("\n".join(lines))


def times(ratio: float) -> str:
    """A ratio, two digits of it, with a prefix from ten thousand on."""
    if math.isinf(ratio):
        return "∞"
    return significant(ratio, 2) if ratio < 1e4 else si(ratio, "").replace(" ", "")


def _total_exponent(points: Sequence[Point]) -> float:
    return exponent([point.width for point in points], [point.total_j / point.macs for point in points])


def size(parameters: float) -> str:
    """A number of parameters as people say it."""
    return si(parameters, "").replace("G", "B").replace("P", "Q").replace(" ", "") if parameters < 1e18 else "more"


# The figure


def save_scaling_figure(studies: Sequence[Study], path: Path) -> None:
    """Energy per token against parameters, and per multiply-accumulate against width, into a PNG, PDF or SVG file.

    Lines join models whose heads have keys of their own; crosses are those that share keys, and so write fewer.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10.0, 4.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_tokens(left, studies[0])
        _draw_macs(right, studies)
        for axes in (left, right):
            axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
        write_whole(path, lambda temporary: figure.savefig(temporary, bbox_inches="tight"))


def _draw_tokens(axes: Axes, study: Study) -> None:
    points = study.points

    def draw(joules, **style: Any) -> None:
        _joined(axes, points, [point.model.parameters for point in points], [joules(point) for point in points], style)

    *inner, last = PARTS
    for colour, name in zip(PALETTE, inner, strict=False):
        draw(lambda point, name=name: point.up_to_j(name), color=colour, label=name)
    draw(lambda point: point.total_j, color=PALETTE[4], lw=2, label=f"{last}: all, weights stay")
    draw(lambda point: point.fetched_j, color=PALETTE[4], ls="--", label="all, weights fetched")
    draw(lambda point: point.as_built_j, color=PALETTE[5], ls=":", label="as built")
    draw(lambda point: point.baseline_2023_j, color="k", lw=1, label="digital, 300 fJ each")
    for line, baseline in zip(("-.", (0, (5, 1)), (0, (1, 1))), study.against, strict=False):
        draw(lambda point, name=baseline.name: point.digital_j[name], color="#777777", ls=line, label=baseline.name)
    axes.set_xlabel("parameters")
    axes.set_ylabel("J per token")
    axes.set_title(f"A token on {study.chip.name}")


def _joined(axes: Axes, points: Sequence[Point], at: Sequence[float], values: Sequence[float], style: Any) -> None:
    """A line through the models whose heads have keys of their own, and a cross for every other."""
    own = [_has_own_keys(point) for point in points]
    axes.loglog(*zip(*((x, y) for x, y, joined in zip(at, values, own, strict=True) if joined), strict=True), **style)
    shared = [(x, y) for x, y, joined in zip(at, values, own, strict=True) if not joined]
    if shared:
        axes.loglog(*zip(*shared, strict=True), "x", color=style["color"], ms=4)


def _has_own_keys(point: Point) -> bool:
    attention = point.model.main.layers[0].attention
    return not isinstance(attention, Attention) or attention.heads == attention.kv_heads


def _draw_macs(axes: Axes, studies: Sequence[Study]) -> None:
    points = studies[0].points
    widths = [point.width for point in points]
    light = [1e15 * point.parts[LIGHT] / point.macs for point in points]
    slope = f"{light_exponent(points):.2f}".replace("-", "−")
    axes.loglog(widths, light, "o", color=PALETTE[0], ms=4, label=f"light: width^{slope}; line: the law, −1")
    axes.loglog(widths, [light[-1] * widths[-1] / width for width in widths], color=PALETTE[0], lw=0.8)
    for study, colour in zip(studies, (PALETTE[4], PALETTE[2], PALETTE[3], PALETTE[1]), strict=False):
        own = [point.width for point in study.points]
        total = [1e15 * point.total_j / point.macs for point in study.points]
        fetched = [1e15 * point.fetched_j / point.macs for point in study.points]
        _joined(axes, study.points, own, total, {"color": colour, "lw": 2, "label": f"{study.chip.name}, weights stay"})
        _joined(axes, study.points, own, fetched, {"color": colour, "ls": "--", "label": "the same, weights fetched"})
    axes.axhline(1e15 * BASELINE_2023_J, color="k", lw=1, label="digital, 300 fJ")
    for parameters, ratio, words in CLAIMS:
        near = next((point for point in points if is_of_size(point.model, parameters)), None)
        if near is None:
            continue
        place = (near.width, 1e15 * BASELINE_2023_J / ratio)
        axes.plot(*place, "*", color=PALETTE[5], ms=9)
        axes.annotate(f"published: {words}×  ", place, fontsize=7, ha="right", va="top")
    axes.set_xlabel("width of the model")
    axes.set_ylabel("fJ per multiply-accumulate")
    axes.set_title("What light saves, and what remains")
