"""The settings of a chip by what their improvement saves."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.sensitivity import Sensitivity
from photonsim.cost.serving import Request
from photonsim.report.quantities import significant

SMALLEST = 5e-4  # changes below this are not listed


def sensitivity_table(model: Architecture, chip: Chip, request: Request, found: Sequence[Sensitivity]) -> Table:
    """What halving or doubling each setting does to the joules and seconds of a request, the best first."""
    asked = f"{request.prompt} tokens in, {request.output} out, batch {request.batch}"
    table = Table(
        title=Text.assemble((f"{model.title or model.name} on {chip.title}", "bold"), (f"\n{asked}", "dim")),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        width=80,
    )
    table.add_column("improvement", overflow="fold")
    for header in ("today", "energy", "time", "elasticity"):
        table.add_column(header, justify="right")
    for each in found:
        if abs(each.j_ratio - 1) < SMALLEST and abs(each.s_ratio - 1) < SMALLEST:
            continue
        verb = "halving" if each.factor < 1 else "doubling"
        today = f"{each.value:.3g}"
        table.add_row(
            f"{verb} {each.setting}",
            today,
            _change(each.j_ratio),
            _change(each.s_ratio),
            significant(each.elasticity, 2),
        )
    return table


def _change(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %".replace("-", "−")
