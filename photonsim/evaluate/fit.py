"""A chip from a measurement: what its columns, inputs and weight cells do, read off codes.

Pairs of expected and observed codes give the die: gain, offset, noise and common mode of the columns, and how far the
output is from a line. A sweep of the inputs gives their transfer curve, a sweep of the weights that of the cells. None
tells anything of power, bits or clock: those stay as the description it is fitted into has them.

The pairs are how the chip multiplies; a sweep explains part of it. So what cells of a column have in common is not set
again beside the columns' gains, and what cells and inputs do to a product comes off its noise and its gain, found by
doing the experiment on the chip with them and without. Where that is more than the pairs have, or a curve falls, the
sweeps show a chip before its own corrections, and their figures are kept beside the settings, not in them.
"""

import dataclasses
import math
from typing import Any

import jax
import numpy as np

from photonsim.chip import Chip, Quoted, Source, override
from photonsim.converters import full_scale_code
from photonsim.converters.nonlinearity import POWERS, rises
from photonsim.errors import PhotonsimError
from photonsim.evaluate.measurement import Measurement, kurtosis, regenerate
from photonsim.evaluate.transfer import (
    InputSweep,
    InputTransfer,
    WeightSweep,
    WeightTransfer,
    fit_inputs,
    fit_weights,
)
from photonsim.tiles import Crossbar

ROUNDING_VARIANCE = 1 / 12  # of a code, part of every residual
SIGNIFICANT = 4  # standard errors of a bend that is taken for one
FEWEST_VECTORS, FEWEST_COLUMNS = 8, 2
MOST_REGENERATED = 512  # vectors and columns of the experiment by which noise is shared out


@dataclasses.dataclass(frozen=True)
class DieFit:
    """Columns of a measured die, in ADC codes: each one's gain, offset and residual, and statistics of them.

    - `gain`, `offset`, `residual`: (columns,), the residual as a standard deviation, rounding and common mode in it.
    - `gain_spread`, `offset_spread`: over columns, the scatter of the estimates taken off.
    - `noise_median`, `noise_log_spread`: the columns' own noise, common mode, rounding and bend taken off, and the
      spread of its logarithm by its outer deciles, which a few broken columns do not move.
    - `cubic`: share c of a cube in the transfer, `g c v₀³ / V²` beside the fitted line, V the largest expected code;
      0 for a straight transfer, negative for one that saturates. `cubic_scatter`: its standard error.
    - `largest_expected`: V. `cube_in_line`: the part λ of `v₀³ / V²` that the lines have taken up as a gain.
    - `kurtosis`: of the residuals, each column scaled to its own spread: 3 for normal noise.
    """

    gain: np.ndarray
    offset: np.ndarray
    residual: np.ndarray
    gain_spread: float
    offset_spread: float
    noise_median: float
    noise_log_spread: float
    common_mode: float
    cubic: float
    cubic_scatter: float
    largest_expected: float
    cube_in_line: float
    kurtosis: float

    @property
    def is_bent(self) -> bool:
        """Whether the cube stands out of the noise, and bends a line without turning it round."""
        slope = 1.0 - self.cubic * self.cube_in_line
        return abs(self.cubic) > SIGNIFICANT * self.cubic_scatter and slope > 0 and rises((0.0, self.cubic / slope))

    @property
    def gain_at_zero(self) -> float:
        """Gain of small sums over that of the fitted lines: `1 − c λ`."""
        return 1.0 - self.cubic * self.cube_in_line if self.is_bent else 1.0

    @property
    def gain_mean(self) -> float:
        """Mean gain of the columns."""
        return float(self.gain.mean())

    @property
    def offset_mean(self) -> float:
        """Mean offset of the columns, codes."""
        return float(self.offset.mean())

    def enob(self, full_scale_code: int) -> float:
        """Effective bits of a full-scale sine under the columns' noise, common mode and rounding together."""
        variance = self.noise_median**2 + self.common_mode**2 + ROUNDING_VARIANCE
        return (10 * math.log10(full_scale_code**2 / 2 / variance) - 10 * math.log10(1.5)) / (20 * math.log10(2))


@dataclasses.dataclass(frozen=True)
class ChipFit:
    """All that was fitted; `inputs` and `weights` are `None` where no sweep was given.

    `sweeps_in_settings`: whether what they show is in the chip's settings too, see the module's header.
    """

    die: DieFit
    full_scale_code: int
    inputs: InputTransfer | None = None
    weights: WeightTransfer | None = None
    sweeps_in_settings: bool = False

    @property
    def enob(self) -> float:
        """Effective bits of a full-scale sine."""
        return self.die.enob(self.full_scale_code)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: every statistic, and the columns one by one."""
        record: dict[str, Any] = {"enob": self.enob, "full_scale_code": self.full_scale_code, "die": _plain(self.die)}
        record["sweeps_in_settings"] = self.sweeps_in_settings
        record["die"] |= {"gain_mean": self.die.gain_mean, "offset_mean": self.die.offset_mean}
        if self.inputs is not None:
            record["inputs"] = _plain(self.inputs) | {"inl_rms": self.inputs.inl_rms, "inl_max": self.inputs.inl_max}
        if self.weights is not None:
            names = ("dead_share", "inl_median", "inl_p95")
            record["weights"] = _plain(self.weights) | {name: getattr(self.weights, name) for name in names}
        return record


def fit_die(measurement: Measurement) -> DieFit:
    """Fit every column by least squares; what the estimates themselves scatter by is taken off their spreads."""
    _check(measurement)
    gain, offset = measurement.lines
    vectors = len(measurement.expected)
    residual = measurement.column_residual * math.sqrt(vectors / (vectors - 2))  # two parameters were fitted
    common = measurement.common_mode
    cubic, cubic_scatter, cube_in_line, bend_variance = _cubic(measurement, gain)
    bend_variance = bend_variance if abs(cubic) > SIGNIFICANT * cubic_scatter else 0.0
    own = np.sqrt(np.maximum(residual**2 - bend_variance - common**2 - ROUNDING_VARIANCE, 1e-6))
    gain_scatter = np.mean(residual**2 / (vectors * measurement.expected.var(0)))
    offset_scatter = np.mean(residual**2 / vectors)
    return DieFit(
        gain=gain,
        offset=offset,
        residual=residual,
        gain_spread=math.sqrt(max(gain.var() - gain_scatter, 0.0)),
        offset_spread=math.sqrt(max(offset.var() - offset_scatter, 0.0)),
        noise_median=float(np.median(own)),
        noise_log_spread=math.sqrt(max(_decile_spread(np.log(own)) ** 2 - 1 / (2 * vectors), 0.0)),
        common_mode=common,
        cubic=cubic,
        cubic_scatter=cubic_scatter,
        largest_expected=float(np.abs(measurement.expected).max()),
        cube_in_line=cube_in_line,
        kurtosis=kurtosis(measurement.residual / np.maximum(measurement.column_residual, 1e-9)),
    )


def fit_chip(
    chip: Chip,
    measurement: Measurement,
    where: str,
    input_sweep: InputSweep | None = None,
    weight_sweep: WeightSweep | None = None,
) -> tuple[Chip, ChipFit]:
    """`chip` with the die of a measurement, `where` of which becomes the source of every fitted number."""
    tile = crossbar_of(chip)
    full_scale = tile.adc.full_scale_code
    die = fit_die(measurement)
    if np.abs(measurement.observed).max() > full_scale + 1:
        raise PhotonsimError(
            f"A code of {np.abs(measurement.observed).max():g} was observed, but the ADC of {chip.name} ends at "
            f"±{full_scale}: give codes, not volts, or the chip that was measured."
        )
    fit = ChipFit(
        die,
        full_scale,
        None if input_sweep is None else fit_inputs(input_sweep),
        None if weight_sweep is None else fit_weights(weight_sweep),
    )
    source = f"fit to {where}"
    fitted = _settings(fit)
    shown = _sweep_settings(fit, tile.input_dac.bits)
    if shown:
        also = _beside(override(chip, fitted), shown, measurement)
        if also is not None:
            fitted |= shown | also
            fit = dataclasses.replace(fit, sweeps_in_settings=True)
    changed = override(chip, fitted)
    sources = dict(changed.sources) | {name: Source(source) for name in fitted}
    quoted = (*chip.quoted, *(Quoted(*figure, source=source) for figure in _figures(fit)))
    about = {"title": f"{chip.title}, {source}", "status": "measured"}
    return dataclasses.replace(changed, **about, sources=tuple(sources.items()), quoted=quoted), fit


def crossbar_of(chip: Chip) -> Crossbar:
    """The tile of a chip that a die can be fitted into; raises for any other."""
    if not isinstance(chip.tile, Crossbar) or chip.tile.adc.bits is None:
        raise PhotonsimError(f"{chip.name} has no crossbar with an ADC of known bits: a die cannot be fitted into it.")
    return chip.tile


def _settings(fit: ChipFit) -> dict[str, float]:
    """Settings of the chip by their path; a bend that stands out of the noise is the output's, over what was seen."""
    die, full_scale = fit.die, fit.full_scale_code
    settings = {
        "tile.adc.noise_rms": die.noise_median / full_scale,
        "tile.die.gain_mean": die.gain_mean * die.gain_at_zero,
        "tile.die.gain_spread": die.gain_spread * die.gain_at_zero,
        "tile.die.offset_mean": die.offset_mean / full_scale,
        "tile.die.offset_spread": die.offset_spread / full_scale,
        "tile.die.noise_spread": die.noise_log_spread,
        "tile.die.common_mode_rms": die.common_mode / full_scale,
    }
    if die.is_bent:
        span = die.largest_expected * die.gain_mean * die.gain_at_zero / full_scale
        settings |= {"tile.adc.bend.cubic": die.cubic / die.gain_at_zero, "tile.adc.bend.span": span}
    return settings


def _sweep_settings(fit: ChipFit, input_bits: int | None) -> dict[str, float]:
    """What the sweeps show as settings: the inputs' bend and unequal steps, and what cells differ by within a column.

    The polynomial is the bend, its constant and its slope left to the columns. What it leaves is for the steps: a
    converter of N steps whose widths spread by σ is off by `σ √(N / 6)` in root mean square (`Nonlinearity`).
    """
    settings = {}
    if fit.inputs is not None and input_bits is not None and input_bits > 1:
        limit, largest = full_scale_code(input_bits), float(np.abs(fit.inputs.codes).max())
        left = float(np.sqrt(np.mean((fit.inputs.inl - fit.inputs.bend) ** 2)))
        settings["tile.input_dnl_rms"] = left / largest * math.sqrt(3 * limit)
        slope = 1 + fit.inputs.polynomial[1]
        bend = {power: c / slope for power, c in zip(POWERS, fit.inputs.polynomial[2:], strict=True)}
        settings |= {f"tile.input_bend.{name}": value for name, value in bend.items()}
        settings["tile.input_bend.span"] = min(largest / limit, 1.0)
    if fit.weights is not None:
        own = fit.weights.variation * math.sqrt(1 - fit.weights.column_share)
        settings |= {"tile.cell_errors.gain_spread": own, "tile.cell_errors.dead_share": fit.weights.dead_share}
    return settings


def _beside(chip: Chip, shown: dict[str, float], measurement: Measurement) -> dict[str, float] | None:
    """What else is to be set where the sweeps' settings act on readings too; `None` if they scatter them by more.

    The same experiment on the chip with these settings and without: by what the square of the median residual grows,
    the columns' own noise is less; by what the gain grows, that of the columns is.
    """
    vectors, columns = (min(size, MOST_REGENERATED) for size in measurement.expected.shape)
    spread = float(np.sqrt(measurement.expected.var(0).mean()))
    curve = [shown.get(f"tile.input_bend.{power}", 0.0) for power in POWERS]
    if not rises(curve):
        return None
    without, beside = (
        regenerate(each, spread, vectors, columns, jax.random.key(0)) for each in (chip, override(chip, shown))
    )
    tile = crossbar_of(chip)
    growth = float(np.median(beside.column_residual) ** 2 - np.median(without.column_residual) ** 2)
    left = tile.adc.noise_rms**2 - growth / tile.adc.full_scale_code**2
    if left <= 0:
        return None
    gained = float(beside.lines[0].mean() / without.lines[0].mean())
    gains = {f"tile.die.{name}": getattr(tile.die, name) / gained for name in ("gain_mean", "gain_spread")}
    return {"tile.adc.noise_rms": math.sqrt(left)} | gains


def _figures(fit: ChipFit) -> list[tuple[str, float, str, str]]:
    """Fitted figures that are no setting: quantity, value, unit, boundary."""
    figures = [("effective bits at full scale", fit.enob, "bits", "outputs; noise, common mode and rounding")]
    if fit.inputs is not None:
        figures.append(("nonlinearity of the inputs, rms", fit.inputs.inl_rms, "steps", "mean over inputs"))
    if fit.weights is not None:
        figures.append(("gain of a weight cell", fit.weights.slope_mean, "codes per step", "mean over cells"))
        figures.append(("variation of the cells' gains", fit.weights.variation, "1", "standard deviation over mean"))
        figures.append(("share of it that columns have in common", fit.weights.column_share, "1", "of the variance"))
        figures.append(("nonlinearity of a cell, rms", fit.weights.inl_median, "steps", "median over cells"))
    return figures


def _plain(fitted: Any) -> dict[str, Any]:
    """Fields of a fit with arrays as lists, and what is no number (a dead cell's slope) as `None`."""
    return {field.name: _listed(getattr(fitted, field.name)) for field in dataclasses.fields(fitted)}


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray | tuple):
        return [_listed(each) for each in value]
    return None if np.isnan(value) else float(value)


def _check(measurement: Measurement) -> None:
    expected, observed = measurement.expected, measurement.observed
    if expected.ndim != 2 or expected.shape != observed.shape:
        raise PhotonsimError(
            f"expected {expected.shape} and observed {observed.shape} must be equal (vectors, columns)."
        )
    if len(expected) < FEWEST_VECTORS or expected.shape[1] < FEWEST_COLUMNS:
        raise PhotonsimError(
            f"{len(expected)} vectors of {expected.shape[1]} columns are too few: a fit takes at least "
            f"{FEWEST_VECTORS} of {FEWEST_COLUMNS}."
        )
    if not (np.isfinite(expected).all() and np.isfinite(observed).all()):
        raise PhotonsimError("The measurement holds a NaN or an infinity: leave these readings out.")
    if (expected.std(0) == 0).any():
        raise PhotonsimError("A column has one expected value only: its gain cannot be told from its offset.")
    if (measurement.column_residual <= 1e-9 * expected.std(0)).all():
        raise PhotonsimError("Every column is a line without any noise: these are no readings of a chip.")


def _decile_spread(values: np.ndarray) -> float:
    """Standard deviation of the normal law with the same distance between the 10th and the 90th percentile."""
    low, high = np.percentile(values, [10, 90])
    return float(high - low) / (2 * 1.2816)


def _cubic(measurement: Measurement, gain: np.ndarray) -> tuple[float, float, float, np.ndarray]:
    """Least squares of the residuals on what of `v₀³ / V²` is orthogonal to a line.

    Mean over columns, its standard error, the mean slope of what is along the line, and what the bend adds to the
    columns' residuals, as variances.
    """
    largest = np.abs(measurement.expected).max()
    cube = measurement.expected**3 / largest**2
    line = measurement.expected - measurement.expected.mean(0)
    along = (line * cube).sum(0) / (line**2).sum(0)
    rest = cube - cube.mean(0) - line * along
    weight = (rest**2 * gain).sum()
    if not (rest**2).sum() > 0:
        return 0.0, 0.0, 0.0, np.zeros_like(gain)  # expected codes of two values, through which any curve is a line
    slope = (rest * measurement.residual).sum() / weight
    scatter = math.sqrt((rest**2 * measurement.column_residual**2).sum()) / abs(weight)
    return float(slope), scatter, float(along.mean()), (slope * gain) ** 2 * (rest**2).mean(0)
