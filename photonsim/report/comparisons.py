"""Our numbers beside published ones, a table for each source of them."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from photonsim.evaluate.reproduce import EXPLAINED, FAILS, HOLDS, Comparison
from photonsim.report.quantities import significant

STYLES = {HOLDS: "", EXPLAINED: "yellow", FAILS: "bold red"}


def comparison_tables(comparisons: Sequence[Comparison], notes: bool) -> RenderableType:
    """All comparisons by section, 80 columns wide, with their sources below; `notes` for every row, or where it counts.

    A row that does not hold is always opened: what it is, its tolerance and what sets that, and why it differs.
    """
    sections: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        sections.setdefault(comparison.row.name.split("/")[0], []).append(comparison)
    parts = [part for name, members in sections.items() for part in (_section(name, members, notes), Text())]
    return Group(*parts, _summary(comparisons))


def _section(name: str, comparisons: Sequence[Comparison], notes: bool) -> RenderableType:
    sources = list(dict.fromkeys(each.row.source for each in comparisons))
    table = Table(title=Text(name, "bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0), pad_edge=False)
    table.add_column("row", no_wrap=True)
    for header in ("ours", "published", "difference"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("source", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True, min_width=max(map(len, STYLES)))
    for each in comparisons:
        table.add_row(*_cells(each, sources), style=STYLES[each.verdict])
    lines = [f"[{number}] {source}" for number, source in enumerate(sources, start=1)]
    lines += [_opened(each) for each in comparisons if notes or each.verdict != HOLDS]
    return Group(table, Text("\n".join(lines)))


def _cells(comparison: Comparison, sources: Sequence[str]) -> tuple[str, ...]:
    row = comparison.row
    unit = "" if row.unit == "1" else f" {row.unit}"
    return (
        row.name.split("/")[1],
        significant(comparison.ours, 5),
        f"{row.published:.7g}{unit}",
        f"{100 * comparison.relative_difference:+.2f} %",
        f"[{sources.index(row.source) + 1}]",
        comparison.verdict,
    )


def _opened(comparison: Comparison) -> str:
    row = comparison.row
    remark = f" {comparison.remark}" if comparison.remark else ""
    return f"{row.name}: {row.what}. Within {100 * row.tolerance:.2g} %: {row.reason}.{remark}"


def _summary(comparisons: Sequence[Comparison]) -> Text:
    count = {verdict: sum(each.verdict == verdict for each in comparisons) for verdict in (HOLDS, EXPLAINED, FAILS)}
    text = f"{len(comparisons)} rows: {count[HOLDS]} hold, {count[EXPLAINED]} differ for a known reason"
    return Text(f"{text}, {count[FAILS]} fail.", style="bold red" if count[FAILS] else "bold")
