"""A run's results as tables that read well on 80 columns and plain when piped."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from photonsim.cost import BOUNDARIES, tops_per_w
from photonsim.evaluate import Result
from photonsim.report.coverage import products_table
from photonsim.report.layout import plain_table
from photonsim.report.quantities import si, significant


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
    *effects, whole = result.effects
    for effect in effects:
        if effect.relative_error is not None:
            table.add_row(effect.name, effect.setting, f"{100 * effect.relative_error:.2f} %")
    error = "off" if whole.relative_error is None else f"{100 * whole.relative_error:.2f} %"
    table.add_row(whole.name, whole.setting, error, style="bold")
    off = [effect.name for effect in effects if effect.relative_error is None]
    table.caption = Text(f"Off: {', '.join(off)}.") if off else None
    table.caption_justify = "left"
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
