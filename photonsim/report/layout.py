"""How every table of ours looks."""

from rich import box
from rich.table import Table
from rich.text import Text


def plain_table(title: str, caption: str, tight: bool = False) -> Table:
    """80 columns, a bold title with a dim remark beside it, no frame; `tight`, one space between columns."""
    return Table(
        title=Text.assemble((title, "bold"), (f"  {caption}" if caption else "", "dim")),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0) if tight else (0, 1),
        width=80,
    )
