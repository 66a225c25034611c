"""A fitted die: its table, and the figure in which to look at the fit."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from rich.text import Text

from photonsim.evaluate.fit import DieFit
from photonsim.evaluate.measurement import Measurement
from photonsim.report.figure import PALETTE, STYLE
from photonsim.report.files import write_whole
from photonsim.report.quantities import significant


def fit_table(die: DieFit, full_scale_code: int) -> Table:
    """What was fitted, in codes, 80 columns wide."""
    table = Table(title=Text("Fitted die", "bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("statistic")
    table.add_column("value", justify="right")
    rows = {
        "gain of a column": f"{significant(die.gain_mean)} ± {significant(die.gain_spread)}",
        "offset, codes": f"{significant(die.offset_mean)} ± {significant(die.offset_spread)}",
        "own noise, codes, median": significant(die.noise_median),
        "spread of its logarithm": significant(die.noise_log_spread),
        "common mode, codes": significant(die.common_mode),
        "kurtosis, scaled by column": significant(die.kurtosis),
        "cubic part at the largest code": f"{100 * die.cubic:.2g} %",
        "effective bits of a full-scale sine": significant(die.enob(full_scale_code)),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def save_fit_figure(measurement: Measurement, path: Path) -> None:
    """Codes against the fitted line, residuals against a normal law, gains and noise of the columns."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        codes, law, columns = figure.subplots(1, 3)
        expected, observed = (each.ravel()[:20_000] for each in (measurement.expected, measurement.observed))
        slope, intercept = measurement.line
        ends = np.array([expected.min(), expected.max()])
        codes.plot(expected, observed, ".", ms=1, color=PALETTE[3], rasterized=True)
        codes.plot(ends, slope * ends + intercept, color=PALETTE[4])
        codes.set(title=f"slope {slope:.3f}", xlabel="expected code", ylabel="observed code")
        scaled = (measurement.residual / np.maximum(measurement.column_residual, 1e-9)).ravel()
        law.hist(scaled, bins=80, range=(-5, 5), density=True, color=PALETTE[1])
        grid = np.linspace(-5, 5, 200)
        law.semilogy(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=PALETTE[4])
        law.set(title="Residuals and a normal law", xlabel="residual over its column's spread", ylim=(1e-6, 1))
        columns.plot(measurement.lines[0], measurement.column_residual, ".", color=PALETTE[2])
        columns.set(title="Columns", xlabel="gain", ylabel="residual, codes")
        write_whole(path, lambda temporary: figure.savefig(temporary, bbox_inches="tight"))
