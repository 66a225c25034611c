"""Results as tables that read well on 80 columns and plain when piped."""

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from photonsim.chip import Chip, Source, describe
from photonsim.chip.chip import STATUSES
from photonsim.cost import BOUNDARIES, baselines, peak_bill, peak_tops, peak_tops_per_w, tops_per_w
from photonsim.cost.baselines import Board, ComputeFloor
from photonsim.evaluate import Result, full_scale_enob
from photonsim.report.coverage import products_table
from photonsim.report.layout import plain_table
from photonsim.report.quantities import si, significant

ENOB_UNIT = "bits"  # of a quoted figure that is an effective number of bits


def run_tables(result: Result) -> RenderableType:
    """All that a run found: accuracy, error budget, coverage, energy, baselines, warnings."""
    heading = Text(f"{result.model.name} on {result.chip.title}", style="bold")
    parts: list[RenderableType] = [
        heading,
        _accuracy(result),
        _effects(result),
        products_table(result.coverage),
        _energy(result),
    ]
    parts += [_hardware(result), _footnotes(result)]
    return Group(*(part for part in parts for part in (part, Text())))


def _accuracy(result: Result) -> Table:
    table = plain_table("Accuracy", f"{result.tokens} tokens, windows of {result.context}, seed {result.seed}")
    table.add_column("")
    for name in ("digital", "on the chip"):
        table.add_column(name, justify="right")
    change, error = result.on_chip.nll_difference(result.digital)
    table.add_row("perplexity", significant(result.digital.perplexity, 4), significant(result.on_chip.perplexity, 4))
    table.add_row("loss, nats per token more than digital", "", f"{significant(change)} ± {significant(error, 2)}")
    table.add_row("KL(digital ‖ chip), nats per token", "", significant(float(result.on_chip.kl_to_digital.mean())))
    table.add_row("same most likely token", "", f"{100 * float(result.on_chip.top1_agrees.mean()):.1f} %")
    ratio = result.chip_seconds / result.digital_seconds
    table.add_row(
        "simulation time per window", f"{result.digital_seconds:.2f} s", f"{result.chip_seconds:.2f} s (×{ratio:.2f})"
    )
    return table


def _effects(result: Result) -> Table:
    table = plain_table("Error budget", "each effect alone on one product of normal numbers, RMS error over RMS value")
    table.add_column("effect")
    table.add_column("setting")
    table.add_column("error", justify="right")
    for effect in result.effects:
        error = "off" if effect.relative_error is None else f"{100 * effect.relative_error:.2f} %"
        last = effect is result.effects[-1]
        table.add_row(effect.name, effect.setting, error, style="bold" if last else "" if effect.on else "dim")
    return table


def _energy(result: Result) -> Table:
    per_token = float(result.bill.total_j) / result.context
    table = plain_table(
        "Energy per token", f"prefill of {result.context} tokens, one sequence; boundary: {BOUNDARIES[-1]}"
    )
    table.add_column("component")
    table.add_column("energy", justify="right")
    table.add_column("share", justify="right")
    for name, joules in result.bill.by_component_j().items():
        each = float(joules) / result.context
        table.add_row(name, si(each, "J"), f"{100 * each / per_token:.1f} %", style="" if each else "dim")
    table.add_section()
    table.add_row("total, at the wall", si(per_token, "J"), "100 %", style="bold")
    return table


def _hardware(result: Result) -> Table:
    table = plain_table("The same tokens elsewhere", f"the chip's time is bound by {result.latency.bound_by}")
    table.add_column("hardware", overflow="fold")
    table.add_column("energy/token", justify="right")
    table.add_column("time/token", justify="right")
    context = result.context
    chip_j, chip_s = float(result.bill.total_j) / context, float(result.latency.seconds) / context
    table.add_row(f"{result.chip.title}, {result.chip.status}", si(chip_j, "J"), si(chip_s, "s"), style="bold")
    for baseline in result.baselines:
        joules, seconds = float(baseline.bill.total_j) / context, baseline.seconds / context
        table.add_row(f"{baseline.title}, {baseline.status}", si(joules, "J"), si(seconds, "s"))
    return table


def _footnotes(result: Result) -> Text:
    efficiencies = ", ".join(f"{significant(float(tops_per_w(result.bill, b)))} ({b})" for b in BOUNDARIES)
    lines = [f"TOPS/W on this workload, by boundary: {efficiencies}."]
    guesses = sum(source.assumed for _, source in result.chip.sources)
    if guesses:
        lines.append(f"{guesses} of the chip's numbers are assumed: photonsim chips {result.chip.name} lists them.")
    lines += [f"Warning: {warning}." for warning in result.warnings]
    return Text("\n".join(lines))


def chips_table(chips: Sequence[Chip]) -> RenderableType:
    """All presets side by side, what we derive beside what is quoted; below them, digital hardware."""
    table = plain_table("Chips", "peak, ENOB follow from the description; photonsim chips NAME: sources")
    table.padding, table.show_edge = (0, 0), False
    table.add_column("name", no_wrap=True)
    headers = ("array", "bits\nx/w/out", "peak\nTOPS", "quoted\nTOPS", "TOPS/W\nwall", "ENOB\nours", "ENOB\nquoted")
    for header in headers:
        table.add_column(header, justify="right")
    for status in STATUSES:
        rows = [_chip_row(chip) for chip in chips if chip.status == status]
        if rows:
            table.add_row(Text(f"{status}:", style="dim"))
        for row in rows:
            table.add_row(*row)
    return Group(table, Text(), _digital_hardware())


def _chip_row(chip: Chip) -> tuple[str, ...]:
    tile, enob = chip.tile, full_scale_enob(chip)
    shape = f"{tile.rows}²" if tile.rows == tile.columns else f"{tile.rows}×{tile.columns}"
    return (
        chip.name,
        f"{chip.cores}×{shape}",
        "/".join("∞" if b is None else str(b) for b in tile.converter_bits),
        significant(float(peak_tops(chip))),
        _quoted(chip, "TOPS"),
        "–" if chip.status == "ideal" else significant(float(peak_tops_per_w(chip, BOUNDARIES[-1]))),
        "–" if enob is None else "∞" if math.isinf(enob) else significant(enob),
        _quoted(chip, ENOB_UNIT),
    )


def _quoted(chip: Chip, unit: str) -> str:
    return "\n".join(significant(figure.value) for figure in chip.quoted if figure.unit == unit) or "–"


def _digital_hardware() -> Table:
    """The baselines with every unit busy: a board at its rated power, or the arithmetic alone."""
    table = plain_table("Digital hardware", "busy at its peak; ? where power or energy is assumed")
    table.padding, table.show_edge = (0, 0), False
    table.add_column("name", no_wrap=True)
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
    settings.add_column("value", overflow="fold", max_width=11)
    settings.add_column("source", overflow="fold")
    for path, value in _flat(describe(chip)):
        source = sources.get(path)
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
    for boundary in BOUNDARIES:
        ours = significant(float(peak_tops_per_w(chip, boundary)))
        quoted.add_row("efficiency", boundary, f"{ours} TOPS/W", "ours, at peak", style="bold")
    return Group(settings, Text(), power, Text(), quoted)


def _flat(table: dict, prefix: str = ""):
    for key, value in table.items():
        if isinstance(value, dict) and key != "sources":
            yield from _flat(value, f"{prefix}{key}.")
        elif key not in ("sources", "quoted", "name", "title", "status", "kind"):
            yield f"{prefix}{key}", value


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _source(source: Source | None) -> str:
    if source is None:
        return ""
    span = f" [{source.low:.3g} … {source.high:.3g}]" if source.low is not None and source.high is not None else ""
    return f"{'? assumed: ' if source.assumed else ''}{source.text}{span}"
