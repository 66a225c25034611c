"""`photonsim fit`: a chip file from a measurement."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from photonsim.chip import load_chip, save_chip
from photonsim.errors import PhotonsimError
from photonsim.evaluate.fit import fit_chip, read_measurement
from photonsim.report import check_writable
from photonsim.report.fit import fit_table, save_fit_figure
from photonsim.tiles import Crossbar


def fit(
    measured: Annotated[Path, typer.Argument(help="Expected and observed codes: an .npz or a .csv file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The chip file to write (.toml).")],
    chip: Annotated[str, typer.Option(help="The chip that was measured: all but its die is kept.")] = (
        "lightmatter-envise-2025"
    ),
    plot: Annotated[Path | None, typer.Option(help="Write a figure of the fit here (.png, .pdf, .svg).")] = None,
) -> None:
    """Fit a die to measured codes: gain, offset, noise, common mode, curvature, effective bits."""
    if output.suffix != ".toml":
        raise PhotonsimError(f"-o {output}: the name of a chip file must end in .toml.")
    if plot is not None and plot.suffix not in (".png", ".pdf", ".svg"):
        raise PhotonsimError(f"--plot {plot}: the name must end in .png, .pdf or .svg.")
    for path in (output, plot):
        if path is not None:
            check_writable(path)
    base = load_chip(chip)
    tile = base.tile
    if not isinstance(tile, Crossbar):
        raise PhotonsimError(f"--chip {chip} has no crossbar: a die cannot be fitted into it.")
    measurement = read_measurement(measured, tile.columns)
    fitted, die = fit_chip(base, measurement, measured.name)
    save_chip(fitted, output)
    if plot is not None:
        save_fit_figure(measurement, plot)
    console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
    console.print(fit_table(die, tile.adc.full_scale_code))
    console.print(f"wrote {output}")
