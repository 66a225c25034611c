"""`photonsim reproduce`: published numbers beside ours."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from photonsim.evaluate.reproduce import FAILS, ROWS, Comparison, Row, compare, select
from photonsim.report import check_writable, write_json
from photonsim.report.comparisons import comparison_tables

FEW = 12  # rows, whose notes are then all printed


def reproduce(
    rows: Annotated[list[str] | None, typer.Argument(metavar="[ROW]...", help="Rows or sections; all if none.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows here, as a list.")] = None,
) -> None:
    """Compute published numbers again: ours, published, difference. Exit code 1 if one that should hold does not."""
    chosen = select(ROWS, rows or [])
    if json is not None:
        check_writable(json)
    comparisons = _compare(chosen)
    if json is not None:
        write_json([each.as_dict() for each in comparisons], json)
    console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
    console.print(comparison_tables(comparisons, notes=len(comparisons) <= FEW))
    if json is not None:
        console.print(f"wrote {json}")
    if any(each.verdict == FAILS for each in comparisons):
        raise typer.Exit(1)


def _compare(rows: list[Row]) -> list[Comparison]:
    """Every row, with a bar on the error stream where that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        return [compare(row) for row in progress.track(rows, description="reproducing")]
