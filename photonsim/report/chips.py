"""Chips as tables: all of them side by side, what follows from a description beside what is quoted; or one in full."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from photonsim.chip import Chip, Quoted, Source, describe
from photonsim.chip.chip import STATUSES
from photonsim.chip.defaults import DEFAULTS
from photonsim.cost import BOUNDARIES, area, baselines, peak_bill, peak_tops, peak_tops_per_w, tops_per_mm2
from photonsim.cost.baselines import Board, ComputeFloor
from photonsim.evaluate import full_scale_enob
from photonsim.report.layout import plain_table
from photonsim.report.quantities import si, significant

ENOB_UNIT = "bits"  # of a quoted figure that is an effective number of bits
BOUNDARY_HEADERS = ("core", "+conv.", "+laser", "+elec.", "+mem.")  # of `BOUNDARIES`, in their order
POWER_UNITS = ("TOPS/W", "W")  # of quoted figures that stand beside our efficiencies


class ChipSummary(NamedTuple):
    """What follows from a chip's description, in numbers; `tops_per_w` boundary by boundary."""

    shape: str
    bits: str
    tops: float
    tops_per_w: tuple[float, ...]
    enob: float


def summarise(chip: Chip) -> ChipSummary:
    """Size, bits, peak, efficiency and effective bits of a chip."""
    tile = chip.tile
    array = f"{tile.rows}²" if tile.rows == tile.columns else f"{tile.rows}×{tile.columns}"
    terms = round(tile.macs_per_cycle / (tile.rows * tile.columns))
    return ChipSummary(
        shape=f"{chip.cores}×{array}" + (f"×{terms}" if terms > 1 else ""),
        bits="/".join("∞" if b is None else str(b) for b in tile.converter_bits),
        tops=float(peak_tops(chip)),
        tops_per_w=tuple(float(peak_tops_per_w(chip, boundary)) for boundary in BOUNDARIES),
        enob=full_scale_enob(chip),
    )


def quoted_in(chip: Chip, *units: str) -> list[Quoted]:
    """The quoted figures of some units."""
    return [figure for figure in chip.quoted if figure.unit in units]


def plain_number(value: float, digits: int = 3) -> str:
    """Significant digits; `∞` where there is no end."""
    return "∞" if math.isinf(value) else significant(value, digits)


def chips_table(chips: Sequence[Chip]) -> RenderableType:
    """All presets side by side, what we derive beside what is quoted; below them, digital hardware."""
    summaries = {chip.name: summarise(chip) for chip in chips}
    ordered = [(status, [chip for chip in chips if chip.status == status]) for status in STATUSES]
    ordered = [(status, group) for status, group in ordered if group]
    return Group(_sizes(ordered, summaries), Text(), _efficiencies(ordered, summaries), Text(), _digital_hardware())


def _sizes(ordered: list[tuple[str, list[Chip]]], summaries: dict[str, ChipSummary]) -> Table:
    table = _dense("Chips", "peak and ENOB follow from the description; photonsim chips NAME: sources")
    for header in ("array", "bits\nx/w/out", "peak\nTOPS", "quoted\nTOPS", "ENOB\nours", "ENOB\nquoted"):
        table.add_column(header, justify="right")
    for status, group in ordered:
        table.add_row(Text(f"{status}:", style="dim"))
        for chip in group:
            ours = summaries[chip.name]
            quoted = (_values(quoted_in(chip, unit)) for unit in ("TOPS", ENOB_UNIT))
            tops, bits = quoted
            table.add_row(
                chip.name, ours.shape, ours.bits, plain_number(ours.tops), tops, plain_number(ours.enob), bits
            )
    return table


def _values(figures: list[Quoted]) -> str:
    return "\n".join(significant(figure.value) for figure in figures) or "–"


def _efficiencies(ordered: list[tuple[str, list[Chip]]], summaries: dict[str, ChipSummary]) -> Table:
    caption = "each boundary holds those before it; quoted: its own"
    table = _dense("TOPS/W at the peak", caption, longest=max(map(len, summaries)))
    for header in BOUNDARY_HEADERS:
        table.add_column(header, justify="right", width=6)
    table.add_column("quoted", width=15)
    for status, group in ordered:
        if status == "ideal":
            continue
        table.add_row(Text(f"{status}:", style="dim"))
        for chip in group:
            figures = (
                f"{significant(each.value)} {_unit(each)}{each.boundary}" for each in quoted_in(chip, *POWER_UNITS)
            )
            ours = (_short(each) for each in summaries[chip.name].tops_per_w)
            table.add_row(chip.name, *ours, "\n".join(figures) or "–")
    return table


def _short(value: float) -> str:
    """At most six characters: two significant digits below a hundred, one below a ten-thousandth."""
    return plain_number(value, 2) if value == 0 or value >= 1e-4 else f"{value:.0e}"


def _unit(figure: Quoted) -> str:
    """Nothing for the unit of the table."""
    return "" if figure.unit == POWER_UNITS[0] else f"{figure.unit}, "


def _dense(title: str, caption: str, longest: int = 0) -> Table:
    table = plain_table(title, caption)
    table.padding, table.show_edge = (0, 0), False
    table.add_column("name", no_wrap=True, min_width=longest)
    return table


def _digital_hardware() -> Table:
    """The baselines with every unit busy: a board at its rated power, or the arithmetic alone."""
    table = _dense("Digital hardware", "busy at its peak; ? where power or energy is assumed")
    for header in ("peak\nTOPS", "power\nW", "TOPS/W"):
        table.add_column(header, justify="right")
    table.add_column("source", overflow="fold")
    known = baselines()
    boards = [each for each in known.values() if isinstance(each, Board) and not each.name.endswith("-peak")]
    floors = [each for each in known.values() if isinstance(each, ComputeFloor)]
    for board in boards:
        sources = dict(board.sources)
        power = f"{'? ' if sources['board_power_w'].assumed else ''}{significant(board.board_power_w)}"
        peak, efficiency = significant(board.peak_ops_per_s / 1e12), significant(board.tops_per_w_at_peak)
        table.add_row(board.name, peak, power, efficiency, sources["peak_ops_per_s"].text)
    for floor in floors:
        guess = "? " if dict(floor.sources)["mac_j"].assumed else ""
        table.add_row(
            floor.name, "–", "–", f"{guess}{significant(floor.tops_per_w_at_peak)}", dict(floor.sources)["mac_j"].text
        )
    return table


def chip_tables(chip: Chip) -> RenderableType:
    """One chip in full: every setting with its source, peak power by component, quoted figures beside ours."""
    sources = dict(chip.sources)
    settings = plain_table(chip.title, f"{chip.name}, {chip.status}; ? marks a number that is assumed, with its range")
    settings.add_column("setting", no_wrap=True)
    settings.add_column("value", overflow="fold", max_width=12)
    settings.add_column("source", overflow="fold")
    for path, value in _flat(describe(chip)):
        source = sources.get(path, DEFAULTS.get(path))
        settings.add_row(path, _value(value), _source(source), style="yellow" if source and source.assumed else "")
    power = plain_table("Peak power", f"{significant(float(peak_tops(chip)))} TOPS, every core busy, weights resident")
    power.add_column("component")
    power.add_column("power", justify="right")
    bill = peak_bill(chip)
    for name, joules in bill.by_component_j().items():
        if float(joules):
            power.add_row(name, si(float(joules) / bill.seconds, "W"))
    quoted = plain_table("Quoted, beside ours", "")
    for header in ("figure", "boundary", "quoted", "source"):
        quoted.add_column(header, overflow="fold")
    for figure in chip.quoted:
        quoted.add_row(figure.quantity, figure.boundary, f"{significant(figure.value)} {figure.unit}", figure.source)
    ours = summarise(chip)
    quoted.add_row("throughput", "peak", f"{plain_number(ours.tops)} TOPS", "ours", style="bold")
    quoted.add_row("effective bits", "full-scale reading", f"{plain_number(ours.enob)} bits", "ours", style="bold")
    for boundary, efficiency in zip(BOUNDARIES, ours.tops_per_w, strict=True):
        quoted.add_row("efficiency", boundary, f"{plain_number(efficiency)} TOPS/W", "ours, at peak", style="bold")
    density = f"{plain_number(float(tops_per_mm2(chip)))} TOPS/mm²"
    quoted.add_row("throughput per area", "all lines of the area", density, "ours", style="bold")
    return Group(settings, Text(), power, Text(), area_table(chip), Text(), quoted)


def area_table(chip: Chip, chips: int = 1) -> Table:
    """Area by device, of `chips` equal chips together."""
    patches = [patch for patch in area(chip) if patch.mm2]
    total_mm2 = sum(float(patch.mm2) for patch in patches)
    density = f"{plain_number(float(tops_per_mm2(chip)))} TOPS/mm²"
    of_all = f" of {chips} chips" if chips > 1 else ""
    table = plain_table(f"Area{of_all}", f"{density} at the peak; cells times a layout factor of their wires")
    table.add_column("device", overflow="fold")
    for header in ("number", "µm² each", "layout", "mm²", "share"):
        table.add_column(header, justify="right", no_wrap=True)
    for patch in patches:
        factor = f"× {patch.layout_factor:.3g}" if patch.layout_factor != 1 else ""
        number, each = plain_count(float(chips * patch.number)), significant(1e12 * float(patch.each_m2))
        mm2 = float(patch.mm2)
        cells = (number, each, factor, significant(chips * mm2), f"{100 * mm2 / total_mm2:.1f} %")
        table.add_row(patch.what, *cells)
    table.add_section()
    table.add_row("total", "", "", "", significant(chips * total_mm2), "100 %", style="bold")
    return table


def plain_count(value: float) -> str:
    """A number of devices: whole, or in millions."""
    return f"{value:,.0f}" if value < 1e7 else si(value, "").strip()


def _flat(table: dict, prefix: str = ""):
    for key, value in table.items():
        if isinstance(value, dict) and key != "sources":
            yield from _flat(value, f"{prefix}{key}.")
        elif key not in ("sources", "quoted", "name", "title", "status"):
            yield f"{prefix}{key}", value


def _value(value: object) -> str:
    if isinstance(value, list):  # one number for each core and column
        return f"{len(value)} × {len(value[0])}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _source(source: Source | None) -> str:
    if source is None:
        return ""
    span = f" [{source.low:.3g} … {source.high:.3g}]" if source.low is not None and source.high is not None else ""
    return f"{'? assumed: ' if source.assumed else ''}{source.text}{span}"
