"""`photonsim fit`: a chip file from a measurement."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from photonsim.chip import load_chip, save_chip
from photonsim.errors import PhotonsimError
from photonsim.evaluate.fit import crossbar_of, fit_chip
from photonsim.evaluate.measured_file import (
    INPUT_ARRAYS,
    WEIGHT_ARRAYS,
    holds,
    read_input_sweep,
    read_measurement,
    read_weight_sweep,
)
from photonsim.report import check_writable, write_json
from photonsim.report.fit import fit_table, save_fit_figure

FIGURES = (".png", ".pdf", ".svg")


def fit(
    measured: Annotated[Path, typer.Argument(help="Expected and observed codes: an .npz or a .csv file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The chip file to write (.toml).")],
    chip: Annotated[str, typer.Option(help="The chip that was measured: all but what is fitted is kept.")] = (
        "lightmatter-envise-2025"
    ),
    input_sweep: Annotated[Path | None, typer.Option(help="A sweep of the inputs, if not in the first file.")] = None,
    weight_sweep: Annotated[Path | None, typer.Option(help="A sweep of the weights, if not in the first file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Where the figure of the fit goes. [default: beside the chip file, .png]")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all that was fitted, column by column, here.")] = None,
) -> None:
    """Fit a chip to measured codes: gain, offset, noise, common mode, transfer curves, effective bits."""
    if output.suffix != ".toml":
        raise PhotonsimError(f"-o {output}: the name of a chip file must end in .toml.")
    figure = output.with_suffix(".png") if plot is None else plot
    if figure.suffix not in FIGURES:
        raise PhotonsimError(f"--plot {plot}: the name must end in .png, .pdf or .svg.")
    for path in (output, figure, json):
        if path is not None:
            check_writable(path)
    base = load_chip(chip)
    measurement = read_measurement(measured, crossbar_of(base).columns)
    inputs_in = input_sweep or (measured if holds(measured, INPUT_ARRAYS) else None)
    weights_in = weight_sweep or (measured if holds(measured, WEIGHT_ARRAYS) else None)
    inputs = inputs_in and read_input_sweep(inputs_in)
    weights = weights_in and read_weight_sweep(weights_in)
    fitted, found = fit_chip(base, measurement, measured.name, inputs, weights)

    save_chip(dataclasses.replace(fitted, name=output.stem), output)
    save_fit_figure(measurement, found, figure)
    if json is not None:
        write_json(found.as_dict(), json)
    console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
    console.print(fit_table(found))
    console.print(f"wrote {', '.join(str(path) for path in (output, figure, json) if path is not None)}")
