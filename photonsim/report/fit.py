"""A fitted chip: its table, and the figure in which to look at the fit."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich import box
from rich.table import Table
from rich.text import Text

from photonsim.evaluate.fit import ChipFit
from photonsim.evaluate.measurement import Measurement
from photonsim.evaluate.transfer import InputTransfer, WeightTransfer
from photonsim.report.figure import PALETTE, STYLE
from photonsim.report.files import write_whole
from photonsim.report.quantities import significant


def fit_table(fit: ChipFit) -> Table:
    """What was fitted, 80 columns wide: codes are the ADC's, steps those of the swept converter."""
    table = Table(title=Text("Fitted chip", "bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("statistic")
    table.add_column("value", justify="right")
    parts = [_die_rows(fit)]
    if fit.inputs is not None:
        parts.append(_input_rows(fit.inputs))
    if fit.weights is not None:
        parts.append(_weight_rows(fit.weights))
    if len(parts) > 1:
        parts.append({"sweeps in the chip's settings": "yes" if fit.sweeps_in_settings else "no: more than pairs show"})
    for rows in parts:
        for name, value in rows.items():
            table.add_row(name, value)
        table.add_section()
    return table


def _die_rows(fit: ChipFit) -> dict[str, str]:
    die = fit.die
    return {
        "gain of a column": _with_spread(die.gain_mean, die.gain_spread),
        "offset, codes": _with_spread(die.offset_mean, die.offset_spread),
        "own noise, codes, median": significant(die.noise_median),
        "spread of its logarithm": significant(die.noise_log_spread),
        "common mode, codes": significant(die.common_mode),
        "kurtosis, scaled by column": significant(die.kurtosis),
        "cubic part at the largest code": f"{100 * die.cubic:.2g} ± {100 * die.cubic_scatter:.1g} %",
        "effective bits of a full-scale sine": significant(fit.enob),
    }


def _input_rows(inputs: InputTransfer) -> dict[str, str]:
    return {
        "input gain, codes per step": _with_spread(inputs.slope_mean, inputs.slope_spread),
        "input nonlinearity, steps, rms": significant(inputs.inl_rms),
        "largest": significant(inputs.inl_max),
        "cubic term of its polynomial, L = 1": f"{100 * inputs.polynomial[3]:.3g} %",
        "differential, rms": significant(inputs.dnl_rms),
        "noise of a reading, codes": significant(inputs.noise),
    }


def _weight_rows(weights: WeightTransfer) -> dict[str, str]:
    return {
        "weight cell's gain, codes per step": significant(weights.slope_mean),
        "its variation from cell to cell": f"{100 * weights.variation:.3g} %",
        "of which columns have in common": f"{100 * weights.column_share:.3g} % of the variance",
        "cell's nonlinearity, steps, median": significant(weights.inl_median),
        "95 % stay below": significant(weights.inl_p95),
        "dead cells": f"{100 * weights.dead_share:.2g} %",
    }


def _with_spread(mean: float, spread: float) -> str:
    return f"{significant(mean)} ± {significant(spread)}"


def save_fit_figure(measurement: Measurement, fit: ChipFit, path: Path) -> None:
    """Codes against the fitted line, residuals against a normal law, the columns; below them the sweeps, if any."""
    rows = 1 if fit.inputs is None and fit.weights is None else 2
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 3.4 * rows), layout="constrained")
        grid = figure.subplots(rows, 3, squeeze=False)
        _draw_codes(grid[0, 0], measurement)
        _draw_residuals(grid[0, 1], measurement)
        _draw_columns(grid[0, 2], fit)
        panels = iter(grid[1:].ravel())
        if fit.inputs is not None:
            _draw_inputs(next(panels), fit.inputs)
        if fit.weights is not None:
            _draw_cells(next(panels), fit.weights)
            _draw_map(next(panels), fit.weights)
        for unused in panels:
            unused.set_axis_off()
        write_whole(path, lambda temporary: figure.savefig(temporary, bbox_inches="tight"))


def _draw_codes(axes: Axes, measurement: Measurement) -> None:
    expected, observed = (each.ravel()[:20_000] for each in (measurement.expected, measurement.observed))
    slope, intercept = measurement.line
    ends = np.array([expected.min(), expected.max()])
    axes.plot(expected, observed, ".", ms=1, color=PALETTE[3], rasterized=True)
    axes.plot(ends, slope * ends + intercept, color=PALETTE[4])
    axes.set(title=f"Codes: slope {slope:.3f}", xlabel="expected code", ylabel="observed code")


def _draw_residuals(axes: Axes, measurement: Measurement) -> None:
    scaled = (measurement.residual / np.maximum(measurement.column_residual, 1e-9)).ravel()
    axes.hist(scaled, bins=80, range=(-5, 5), density=True, color=PALETTE[1])
    grid = np.linspace(-5, 5, 200)
    axes.semilogy(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=PALETTE[4])
    axes.set(title="Residuals and a normal law", xlabel="residual over its column's spread", ylim=(1e-6, 1))


def _draw_columns(axes: Axes, fit: ChipFit) -> None:
    axes.plot(fit.die.gain, fit.die.residual, ".", color=PALETTE[2])
    axes.set(title=f"{fit.die.gain.size} columns", xlabel="gain", ylabel="residual, codes")


def _draw_inputs(axes: Axes, inputs: InputTransfer) -> None:
    axes.axhline(0, color=PALETTE[7], lw=0.8)
    axes.plot(inputs.codes, inputs.inl, ".", ms=2.5, color=PALETTE[3], label="mean over inputs")
    axes.plot(
        inputs.codes, inputs.bend, color=PALETTE[4], lw=1, label=f"polynomial, degree {len(inputs.polynomial) - 1}"
    )
    axes.set(title="Inputs: distance from a line", xlabel="input code", ylabel="nonlinearity, input steps")
    axes.legend(fontsize=7.5, frameon=False)


def _draw_cells(axes: Axes, weights: WeightTransfer) -> None:
    living = weights.slope[~np.isnan(weights.slope)]
    axes.hist(living, bins=50, color=PALETTE[1])
    axes.axvline(weights.slope_mean, color=PALETTE[4])
    title = f"Weight cells: gain ± {100 * weights.variation:.3g} %"
    axes.set(title=title, xlabel="codes per weight step", ylabel="cells")


def _draw_map(axes: Axes, weights: WeightTransfer) -> None:
    image = axes.imshow(weights.slope, aspect="auto", interpolation="nearest", cmap="viridis")
    axes.set(title=f"{100 * weights.column_share:.0f} % of it by columns", xlabel="column", ylabel="row")
    figure = axes.get_figure()
    if figure is not None:
        figure.colorbar(image, ax=axes, label="codes per step")
