"""Transfer curves from sweeps of one code, with all else held: how far a chip's inputs and weights are from a line.

A sweep steps one code over its range and records, in ADC codes, what comes of it. Curve by curve, least squares gives
the line `v = a x + b`. What the line leaves, divided by a, is the integral nonlinearity (INL) in steps of the swept
code; the mean over curves is what a table common to all could take away. Neighbouring readings tell noise from
bend: where the curve is smooth, the second difference of three readings has the variance 6 σ².
"""

import functools
from dataclasses import dataclass

import numpy as np

from photonsim.errors import PhotonsimError

POLYNOMIAL_DEGREE = 5
FEWEST_STEPS = 8
DEAD = 0.1  # a cell that answers with less than this share of the median slope


@dataclass(frozen=True)
class Lines:
    """Curves (steps, curves) over codes (steps,), and the straight line through each."""

    codes: np.ndarray
    readings: np.ndarray

    @functools.cached_property
    def slope(self) -> np.ndarray:
        """ADC codes per step, one for each curve."""
        centred = self.codes - self.codes.mean()
        return centred @ self.readings / (centred @ centred)

    @functools.cached_property
    def residual(self) -> np.ndarray:
        """What the lines leave, ADC codes."""
        centred = self.codes - self.codes.mean()
        return self.readings - self.readings.mean(0) - centred[:, None] * self.slope

    @property
    def noise(self) -> float:
        """Standard deviation from one reading to the next, ADC codes, by the median over curves."""
        second = np.diff(self.readings, n=2, axis=0)
        return float(np.median(np.sqrt((second**2).mean(0) / 6)))

    @property
    def slope_scatter(self) -> float:
        """What the slopes differ by from noise alone, as a variance."""
        return self.noise**2 / float(((self.codes - self.codes.mean()) ** 2).sum())


@dataclass(frozen=True)
class InputSweep:
    """Readings (steps, inputs) of single inputs driven with `codes` (steps,), the weights held."""

    codes: np.ndarray
    readings: np.ndarray

    def __post_init__(self):
        _check("input sweep", self.codes, self.readings, dimensions=2)


@dataclass(frozen=True)
class WeightSweep:
    """Readings (steps, rows, columns) of single cells stepped through weight `codes` (steps,), the inputs held."""

    codes: np.ndarray
    readings: np.ndarray

    def __post_init__(self):
        _check("weight sweep", self.codes, self.readings, dimensions=3)


@dataclass(frozen=True)
class InputTransfer:
    """How the inputs answer to their codes.

    - `slope_mean`, `slope_spread`: ADC codes per input step; the noise's own scatter is taken off the spread.
    - `codes`, `inl`: the mean INL over inputs at each code, input steps.
    - `inl_rms`, `inl_max`: of that curve. `dnl_rms`: of its steps, as far as noise leaves it visible.
    - `polynomial`: `INL / L = Σ c_k (x / L)^k`, k from 0, L the largest code of the sweep.
    - `noise`: of one reading, ADC codes.
    """

    slope_mean: float
    slope_spread: float
    codes: np.ndarray
    inl: np.ndarray
    dnl_rms: float
    polynomial: tuple[float, ...]
    noise: float

    @property
    def inl_rms(self) -> float:
        """Root mean square of the INL, input steps."""
        return float(np.sqrt(np.mean(self.inl**2)))

    @property
    def inl_max(self) -> float:
        """Largest INL, input steps."""
        return float(np.abs(self.inl).max())

    @property
    def bend(self) -> np.ndarray:
        """The polynomial at `codes`, input steps."""
        largest = np.abs(self.codes).max()
        return largest * np.polynomial.Polynomial(self.polynomial)(self.codes / largest)


@dataclass(frozen=True)
class WeightTransfer:
    """How the weight cells answer to their codes.

    - `slope`: ADC codes per weight step of every cell, (rows, columns); dead cells are NaN.
    - `slope_mean`, `variation`: mean over living cells, and standard deviation over mean, noise's scatter taken off.
    - `column_share`: of the slopes' variance, the part that whole columns have in common (analysis of variance).
    - `inl`: root mean square of each cell's nonlinearity, weight steps; NaN where dead.
    - `noise`: of one reading, ADC codes.
    """

    slope: np.ndarray
    slope_mean: float
    variation: float
    column_share: float
    inl: np.ndarray
    noise: float

    @property
    def dead_share(self) -> float:
        """Share of cells that hardly answer."""
        return float(np.isnan(self.slope).mean())

    @property
    def inl_median(self) -> float:
        """Nonlinearity of the median cell, weight steps."""
        return float(np.nanmedian(self.inl))

    @property
    def inl_p95(self) -> float:
        """Nonlinearity that 95 % of the cells stay below, weight steps."""
        return float(np.nanpercentile(self.inl, 95))


def fit_inputs(sweep: InputSweep) -> InputTransfer:
    """Slopes, INL and its polynomial; raises where an input hardly answers, whose INL would be noise."""
    lines = Lines(sweep.codes, sweep.readings)
    slope = lines.slope
    if (np.abs(slope) < DEAD * np.median(np.abs(slope))).any() or not np.median(np.abs(slope)):
        raise PhotonsimError("An input of the sweep hardly answers to its code: leave it out of the input sweep.")
    inl = (lines.residual / slope).mean(1)
    noise = Lines(sweep.codes, sweep.readings - slope * inl[:, None]).noise  # what the inputs do not share
    largest, steps = float(np.abs(sweep.codes).max()), np.diff(sweep.codes)
    seen = (
        np.mean((np.diff(inl) / steps) ** 2) - 2 * noise**2 * np.mean(steps**-2.0) * np.mean(slope**-2.0) / slope.size
    )
    return InputTransfer(
        slope_mean=float(slope.mean()),
        slope_spread=float(np.sqrt(max(slope.var(ddof=1) - lines.slope_scatter, 0.0))),
        codes=sweep.codes,
        inl=inl,
        dnl_rms=float(np.sqrt(max(seen, 0.0))),
        polynomial=_polynomial(sweep.codes / largest, inl / largest),
        noise=noise,
    )


def _polynomial(x: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Coefficients of least squares, the constant first."""
    curve = np.polynomial.Polynomial.fit(x, y, POLYNOMIAL_DEGREE).convert()
    return tuple(np.pad(curve.coef, (0, POLYNOMIAL_DEGREE + 1 - len(curve.coef))).tolist())


def fit_weights(sweep: WeightSweep) -> WeightTransfer:
    """Slopes of the cells, what columns share of them, and the cells' nonlinearity."""
    steps, rows, columns = sweep.readings.shape
    lines = Lines(sweep.codes, sweep.readings.reshape(steps, rows * columns))
    dead = np.abs(lines.slope) <= DEAD * np.median(np.abs(lines.slope))
    if dead.mean() > 0.5:
        raise PhotonsimError("More than half of the cells do not answer to their code: this is no weight sweep.")
    slope = np.where(dead, np.nan, lines.slope)
    inl = np.sqrt((lines.residual**2).mean(0)) / np.abs(slope)
    variance = max(float(np.nanvar(slope, ddof=1)) - lines.slope_scatter, 0.0)
    mean = float(np.nanmean(slope))
    slope = slope.reshape(rows, columns)
    return WeightTransfer(
        slope=slope,
        slope_mean=mean,
        variation=float(np.sqrt(variance)) / abs(mean),
        column_share=column_share(slope, lines.slope_scatter),
        inl=inl.reshape(rows, columns),
        noise=lines.noise,
    )


def column_share(values: np.ndarray, scatter: float = 0.0) -> float:
    """Variance between columns over all variance of (rows, columns), `scatter` of the estimates left out; 0 to 1.

    The mean of a column scatters by what its cells do, over their number: that is taken off the variance of the means.
    """
    living = values[:, (~np.isnan(values)).sum(0) > 1]
    within = float(np.nanmean(np.nanvar(living, axis=0, ddof=1)))
    cells = float(np.mean((~np.isnan(living)).sum(0)))
    between = max(float(np.nanmean(living, axis=0).var(ddof=1)) - within / cells, 0.0)
    total = between + max(within - scatter, 0.0)
    return between / total if total else 0.0


def _check(name: str, codes: np.ndarray, readings: np.ndarray, dimensions: int) -> None:
    shape = ("steps", "inputs") if dimensions == 2 else ("steps", "rows", "columns")
    if codes.ndim != 1 or readings.ndim != dimensions or len(readings) != len(codes):
        raise PhotonsimError(
            f"The {name} has codes {codes.shape} and readings {readings.shape}: it needs codes (steps,) and readings "
            f"({', '.join(shape)})."
        )
    if len(codes) < FEWEST_STEPS or min(readings.shape[1:]) < 2:
        raise PhotonsimError(
            f"The {name} of {' × '.join(map(str, readings.shape))} ({', '.join(shape)}) is too small: it takes "
            f"at least {FEWEST_STEPS} steps and 2 of each other."
        )
    if not (np.isfinite(codes).all() and np.isfinite(readings).all()):
        raise PhotonsimError(f"The {name} holds a NaN or an infinity: leave these readings out.")
    if (np.diff(codes) <= 0).any():
        raise PhotonsimError(f"The codes of the {name} must rise from step to step, each once.")
