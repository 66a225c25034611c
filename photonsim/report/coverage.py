"""Coverage as a table: what runs on the chip, by kind of product and by layer."""

from rich.console import Group, RenderableType
from rich.text import Text

from photonsim.report.layout import plain_table
from photonsim.report.quantities import si, significant
from photonsim.swap import Coverage, Share
from photonsim.swap import Group as Alike

LONGEST_NAME = 46  # that is printed on one line
BESIDE_A_NAME = 80 - len("100.00 %") - 8  # columns of the screen for name and place, between what else a row holds


def coverage_tables(table: Coverage, heading: str) -> RenderableType:
    """All of a coverage: the products collapsed over layers, the layers, and rules that decided nothing."""
    parts: list[RenderableType] = [Text(heading, style="bold"), products_table(table), layers_table(table)]
    warnings = [f"Warning: the rule '{rule}' decides no product." for rule in table.unused_rules]
    unknown = sum(row.site.dynamic for row in table.products)
    if unknown:
        warnings.append(f"Warning: known only at run time how often, so counted once: {unknown} in loops or branches.")
    if warnings:
        parts.append(Text("\n".join(warnings), style="yellow"))
    return Group(*(each for part in parts for each in (part, Text())))


def products_table(table: Coverage) -> RenderableType:
    """The products, those that differ by their layer alone in one row, with their share of all MACs."""
    total = si(float(table.macs_total), "MAC")
    printed = plain_table("Coverage", f"{100 * table.mac_share:.2f} % of {total} on the chip")
    groups = [group for group in table.groups() if group.macs]
    names = [f"{group.name} ×{group.count}" if group.count > 1 else group.name for group in groups]
    width = min(LONGEST_NAME, max(map(len, names)))
    printed.add_column("matrix products", overflow="fold", width=width)
    printed.add_column("where", max_width=BESIDE_A_NAME - width)
    printed.add_column("MACs", justify="right", no_wrap=True)
    for name, group in zip(names, groups, strict=True):
        share = f"{100 * group.macs / table.macs_total:.2f} %"
        printed.add_row(name, _where(group), share, style="" if group.on_chip else "yellow")
    return printed


def _where(group: Alike) -> str:
    if not group.on_chip:
        return f"digital: {group.reason}"
    digital = 1 - group.macs_on_chip / group.macs
    return f"chip, {100 * digital:.2g} % digital" if digital else "chip"


def layers_table(table: Coverage) -> RenderableType:
    """Products, weights and MACs of every layer, and what of them is on the chip; layers that are alike in one row."""
    printed = plain_table("By layer", "on the chip, of all")
    printed.add_column("layer")
    for header in ("products", "weights", "MACs", "share"):
        printed.add_column(header, justify="right")
    for first, last, share in _runs(table.layers()):
        name = "outside" if first is None else f"{first}" if first == last else f"{first} … {last}, each"
        printed.add_row(name, *_cells(share))
    printed.add_section()
    printed.add_row("all", *_cells(table.total), style="bold")
    return printed


def _cells(share: Share) -> tuple[str, ...]:
    counts = f"{share.products_on_chip} of {share.products}"
    weights = f"{_short(share.weights_on_chip)} of {_short(share.weights)}"
    macs = f"{_short(share.macs_on_chip)} of {_short(share.macs)}"
    return counts, weights, macs, f"{100 * share.macs_on_chip / share.macs:.1f} %"


def _short(count: int) -> str:
    return si(float(count), "").rstrip() if count >= 1000 else significant(float(count))


def _runs(shares: tuple[Share, ...]) -> list[tuple[int | None, int | None, Share]]:
    """Neighbouring layers with the same numbers as one row: first layer, last layer, what each has."""
    runs: list[tuple[int | None, int | None, Share]] = []
    for share in shares:
        if runs and runs[-1][0] is not None and _numbers(runs[-1][2]) == _numbers(share):
            runs[-1] = (runs[-1][0], share.layer, share)
        else:
            runs.append((share.layer, share.layer, share))
    return runs


def _numbers(share: Share) -> tuple[int, ...]:
    return (share.products, share.products_on_chip, share.macs, share.macs_on_chip, share.weights)
