"""A chip's die from a measurement: what its columns do, read off pairs of expected and observed codes.

The measurement tells of gain, offset, noise and common mode, and how far the transfer is from a line. It tells nothing
of power, bits or clock: those stay as the description it is fitted into has them.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from photonsim.chip import Chip, Source, override
from photonsim.errors import PhotonsimError
from photonsim.evaluate.measurement import Measurement, kurtosis
from photonsim.tiles import Crossbar

ROUNDING_VARIANCE = 1 / 12  # of a code, part of every residual
FEWEST_VECTORS, FEWEST_COLUMNS = 8, 2


@dataclasses.dataclass(frozen=True)
class DieFit:
    """Statistics of a measured die, in ADC codes.

    - `noise_median`, `noise_log_spread`: the columns' own noise, common mode and rounding taken off, and spread of its
      logarithm.
    - `cubic`: share c of a cube in the transfer, `g c v₀³ / V²` beside the fitted line, V the largest expected code;
      0 for a straight transfer, negative for one that saturates.
    - `kurtosis`: of the residuals, each column scaled to its own spread: 3 for normal noise.
    """

    gain_mean: float
    gain_spread: float
    offset_mean: float
    offset_spread: float
    noise_median: float
    noise_log_spread: float
    common_mode: float
    cubic: float
    kurtosis: float

    def enob(self, full_scale_code: int) -> float:
        """Effective bits of a full-scale sine under the columns' noise, common mode and rounding together."""
        variance = self.noise_median**2 + self.common_mode**2 + ROUNDING_VARIANCE
        return (10 * math.log10(full_scale_code**2 / 2 / variance) - 10 * math.log10(1.5)) / (20 * math.log10(2))


def fit_die(measurement: Measurement) -> DieFit:
    """Fit every column by least squares; what the estimates themselves scatter by is taken off their spreads."""
    _check(measurement)
    gain, offset = measurement.lines
    vectors = len(measurement.expected)
    residual = measurement.column_residual * math.sqrt(vectors / (vectors - 2))  # two parameters were fitted
    common = measurement.common_mode
    own = np.sqrt(np.maximum(residual**2 - common**2 - ROUNDING_VARIANCE, 1e-6))
    gain_scatter = np.mean(residual**2 / (vectors * measurement.expected.var(0)))
    offset_scatter = np.mean(residual**2 / vectors)
    return DieFit(
        gain_mean=float(gain.mean()),
        gain_spread=math.sqrt(max(gain.var() - gain_scatter, 0.0)),
        offset_mean=float(offset.mean()),
        offset_spread=math.sqrt(max(offset.var() - offset_scatter, 0.0)),
        noise_median=float(np.median(own)),
        noise_log_spread=math.sqrt(max(np.log(own).var() - 1 / (2 * vectors), 0.0)),
        common_mode=common,
        cubic=_cubic(measurement, gain),
        kurtosis=kurtosis(measurement.residual / np.maximum(measurement.column_residual, 1e-9)),
    )


def fit_chip(chip: Chip, measurement: Measurement, where: str) -> tuple[Chip, DieFit]:
    """`chip` with the die of a measurement, `where` of which becomes the source of every fitted number."""
    if not isinstance(chip.tile, Crossbar) or chip.tile.adc.bits is None:
        raise PhotonsimError(f"{chip.name} has no crossbar with an ADC of known bits: a die cannot be fitted into it.")
    die, full_scale = fit_die(measurement), chip.tile.adc.full_scale_code
    fitted = {
        "tile.adc.noise_rms": die.noise_median / full_scale,
        "tile.die.gain_mean": die.gain_mean,
        "tile.die.gain_spread": die.gain_spread,
        "tile.die.offset_mean": die.offset_mean / full_scale,
        "tile.die.offset_spread": die.offset_spread / full_scale,
        "tile.die.noise_spread": die.noise_log_spread,
        "tile.die.common_mode_rms": die.common_mode / full_scale,
    }
    sources = dict(chip.sources) | {name: Source(f"fit to {where}") for name in fitted}
    changed = override(chip, fitted)
    return dataclasses.replace(changed, status="measured", sources=tuple(sources.items())), die


def read_measurement(path: Path, tile_columns: int) -> Measurement:
    """Expected and observed codes from an `.npz` with arrays of these names, (vectors, columns), or from a `.csv`.

    A CSV has a header and the columns `column`, `expected`, `observed`; every column of the chip as many lines.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                pairs = [np.asarray(arrays[name], float) for name in ("expected", "observed")]
        elif path.suffix == ".csv":
            pairs = _read_csv(path)
        else:
            raise PhotonsimError(f"{path}: a measurement is an .npz or a .csv file.")
    except OSError as error:
        raise PhotonsimError(f"{path} cannot be read: {error.strerror or error}.") from None
    except PhotonsimError:
        raise
    except (KeyError, ValueError):
        raise PhotonsimError(
            f"{path} holds no measurement: it needs `expected` and `observed`, arrays (vectors, columns) in an .npz, "
            "or columns of a .csv with `column` beside them."
        ) from None
    return Measurement(pairs[0], pairs[1], tile_columns)


def _read_csv(path: Path) -> list[np.ndarray]:
    table = np.genfromtxt(path, delimiter=",", names=True)
    order = np.argsort(table["column"], kind="stable")
    columns, counts = np.unique(table["column"], return_counts=True)
    if len(set(counts)) != 1:
        raise PhotonsimError(f"{path}: columns have from {counts.min()} to {counts.max()} lines; each needs as many.")
    return [table[name][order].reshape(len(columns), -1).T for name in ("expected", "observed")]


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


def _cubic(measurement: Measurement, gain: np.ndarray) -> float:
    """Least squares of the residuals on what of v₀³ is orthogonal to a line, column by column, and its mean."""
    largest = np.abs(measurement.expected).max()
    cube = measurement.expected**3 / largest**2
    line = measurement.expected - measurement.expected.mean(0)
    rest = cube - cube.mean(0) - line * (line * cube).sum(0) / (line**2).sum(0)
    slope = (rest * measurement.residual).sum() / (rest**2 * gain).sum()
    return float(slope)
