"""Lightmatter's Envise, as measured: the statistics of 262,144 dot products, regenerated from the preset's die.

The published figure data hold the ADC codes that were expected and observed: 512 vectors against 512 columns, four
cores of 128. We program the preset with random weights, drive it with random inputs of the same spread of codes, read
the codes before any correction, and look at them as one would at the measured ones. Our die is another die of the same
process: what is one number in the data (a maximum, a spread of 512 columns) is one draw here; the tolerances say so.
"""

import functools
from dataclasses import dataclass

import jax
import numpy as np
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.converters import full_scale_code
from photonsim.evaluate.reproduce.row import Row
from photonsim.tiles import Crossbar

VECTORS, ROWS_PER_TILE, COLUMNS = 512, 128, 512
EXPECTED_SPREAD_CODES = 8.08  # standard deviation of the expected codes in the figure data
SOURCE = "Nature 640:368 (2025), figure data (lightmatter-ai/upaia-paper-2025)"


@dataclass(frozen=True)
class Measurement:
    """Codes of (vector, column) pairs: what the sum should have read, and what was read."""

    expected: np.ndarray
    observed: np.ndarray

    @property
    def error(self) -> np.ndarray:
        """Expected less observed, the sign of the figure data."""
        return self.expected - self.observed

    @functools.cached_property
    def lines(self) -> tuple[np.ndarray, np.ndarray]:
        """Gain and offset of every column, by least squares."""
        centred = self.expected - self.expected.mean(0)
        gain = (centred * self.observed).sum(0) / (centred**2).sum(0)
        return gain, self.observed.mean(0) - gain * self.expected.mean(0)

    @functools.cached_property
    def residual(self) -> np.ndarray:
        """What the columns' lines leave."""
        gain, offset = self.lines
        return self.observed - (gain * self.expected + offset)

    @functools.cached_property
    def column_residual(self) -> np.ndarray:
        """Standard deviation of each column's residual."""
        return self.residual.std(0)

    @functools.cached_property
    def line(self) -> tuple[float, float]:
        """Slope and intercept of all the codes together."""
        slope, intercept = np.polyfit(self.expected.ravel(), self.observed.ravel(), 1)
        return float(slope), float(intercept)

    @property
    def common_mode(self) -> float:
        """Standard deviation of what the columns of a tile share, from the covariance of their residuals."""
        tiles = self.residual.reshape(VECTORS, -1, 128)
        total = tiles.sum(-1).var(0) - tiles.var(0).sum(-1)  # sums of covariances of pairs
        return float(np.sqrt(total.mean() / (128 * 127)))

    @property
    def flatness(self) -> tuple[float, float]:
        """Smallest and largest residual spread over five bins of |expected|."""
        size = np.abs(self.expected)
        edges = np.quantile(size, np.linspace(0, 1, 6)[1:-1])
        where = np.digitize(size, edges)
        spreads = [self.residual[where == n].std() for n in range(5)]
        return float(min(spreads)), float(max(spreads))


@functools.cache
def measure() -> Measurement:
    """The experiment on the preset's die.

    Two rows are given up to pin the scales of all blocks to 1: x₀ = 1 meets weights of 0, and w₁ = 1 meets inputs of 0.
    """
    chip = override(load_chip("lightmatter-envise-2025"), {"die.correction": "none"})
    tile = chip.tile
    assert isinstance(tile, Crossbar)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(VECTORS, ROWS_PER_TILE)).astype(np.float32)
    w = generator.normal(size=(ROWS_PER_TILE, COLUMNS)).astype(np.float32)
    codes_per_product = tile.adc.full_scale_code * tile.adc.gain / ROWS_PER_TILE
    spread = np.sqrt(EXPECTED_SPREAD_CODES / codes_per_product / np.sqrt(ROWS_PER_TILE - 2))
    x, w = np.clip(spread * x, -1, 1), np.clip(spread * w, -1, 1)
    x[:, 0], w[0], x[:, 1], w[1] = 1.0, 0.0, 0.0, 1.0
    programmed = chip.program(jnp.asarray(w))
    answer = chip.matmul(jnp.asarray(x), programmed, jax.random.key(0), "jax")
    observed = np.rint(np.asarray(answer) * codes_per_product)
    q = np.rint(x * full_scale_code(tile.input_dac.bits)) / full_scale_code(tile.input_dac.bits)
    levels = np.rint(w * full_scale_code(tile.cell.bits)) / full_scale_code(tile.cell.bits)
    return Measurement(codes_per_product * (q @ levels), observed)


def kurtosis(values: np.ndarray) -> float:
    """Fourth moment over the squared variance: 3 for a normal variable."""
    centred = values - values.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2)


def logistic_scale(values: np.ndarray) -> float:
    """Scale of a logistic distribution fitted by maximum likelihood: Newton on `mean(z tanh(z/2)) = 1`."""
    centred = np.abs(values - np.median(values))
    scale = values.std() * np.sqrt(3) / np.pi
    for _ in range(50):
        z = centred / scale
        scale *= float(np.mean(z * np.tanh(z / 2)))
    return float(scale)


DOUBLE_COUNT = (
    "The preset takes the published residual of a column, 1.62 codes, as the column's own noise and adds common mode "
    "(0.67) and rounding (0.29) that this residual already holds: 1.78. Its own noise would be 1.45 codes."
)
TAILS = "A column's noise is drawn log-normal, which gives less of the tail that the measured die has."


def _row(name, what, unit, ours, published, tolerance, reason, note="", known="") -> Row:
    return Row(f"envise/{name}", what, unit, ours, published, tolerance, reason, SOURCE, note, known)


def _percentile(percent: float) -> float:
    return float(np.percentile(measure().column_residual, percent))


ROWS: tuple[Row, ...] = (
    _row(
        "error-mean",
        "mean error",
        "code",
        lambda: measure().error.mean(),
        -0.224,
        0.3,
        "3 standard errors of 512 offsets of spread 0.5, 0.066 codes",
    ),
    _row(
        "error-std",
        "standard deviation of the error",
        "code",
        lambda: measure().error.std(),
        2.294,
        0.03,
        "3 standard errors of the noise of 512 columns",
        known=DOUBLE_COUNT,
    ),
    _row(
        "error-kurtosis",
        "kurtosis of the error",
        "1",
        lambda: kurtosis(measure().error),
        4.08,
        0.15,
        "fourth moments of 512 columns' spreads",
        known=TAILS,
    ),
    _row(
        "logistic-scale",
        "logistic scale of the error",
        "code",
        lambda: logistic_scale(measure().error),
        1.274,
        0.03,
        "as the standard deviation",
        known=DOUBLE_COUNT,
    ),
    _row(
        "slope",
        "observed over expected, slope",
        "1",
        lambda: measure().line[0],
        0.834,
        0.006,
        "3 standard errors of 512 gains of spread 0.037",
    ),
    _row(
        "intercept",
        "intercept",
        "code",
        lambda: measure().line[1],
        0.223,
        0.3,
        "3 standard errors of 512 offsets of spread 0.5, 0.066 codes",
    ),
    _row(
        "gain-spread",
        "spread of the columns' gains",
        "1",
        lambda: measure().lines[0].std(),
        0.037,
        0.1,
        "3 standard errors of a spread of 512",
    ),
    _row(
        "offset-spread",
        "spread of the columns' offsets",
        "code",
        lambda: measure().lines[1].std(),
        0.499,
        0.1,
        "3 standard errors of a spread of 512",
    ),
    _row(
        "residual-min",
        "smallest residual of a column",
        "code",
        lambda: _percentile(0),
        0.855,
        0.2,
        "an extreme of 512 draws",
        known=DOUBLE_COUNT,
    ),
    _row(
        "residual-p10",
        "10th percentile",
        "code",
        lambda: _percentile(10),
        1.11,
        0.06,
        "3 standard errors of a decile of 512 columns",
        known=DOUBLE_COUNT,
    ),
    _row(
        "residual-median",
        "median",
        "code",
        lambda: _percentile(50),
        1.62,
        0.045,
        "3 standard errors of a median of 512 columns",
        known=DOUBLE_COUNT,
    ),
    _row(
        "residual-p90",
        "90th percentile",
        "code",
        lambda: _percentile(90),
        2.21,
        0.06,
        "3 standard errors of a decile of 512 columns",
        known=DOUBLE_COUNT,
    ),
    _row(
        "residual-max", "largest", "code", lambda: _percentile(100), 4.28, 0.2, "an extreme of 512 draws", known=TAILS
    ),
    _row(
        "additive-low",
        "residual spread, quietest fifth of |signal|",
        "code",
        lambda: measure().flatness[0],
        1.76,
        0.05,
        "3 standard errors of the noise of 512 columns",
        known=DOUBLE_COUNT,
    ),
    _row(
        "kurtosis-scaled",
        "kurtosis after scaling by column",
        "1",
        lambda: kurtosis(measure().residual / measure().column_residual),
        3.10,
        0.04,
        "a normal variable has 3: the measured excess is 0.1",
    ),
    _row(
        "common-mode",
        "what the columns of a tile share",
        "code",
        lambda: measure().common_mode,
        0.67,
        0.1,
        "3 standard errors of 4 × 512 readings",
    ),
)
