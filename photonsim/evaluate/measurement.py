"""Pairs of expected and observed codes, from a chip or from a simulated one, and what they say of its columns.

A product whose true value is known is read by the chip: v codes where v₀ were expected. Column by column, least squares
gives the line `v = g v₀ + o`; what the lines leave is noise, and what of the noise all columns of a tile share, at one
reading, is the common mode: it shows as a covariance between columns that are otherwise independent.
"""

import functools
from dataclasses import dataclass

import numpy as np
from jax import numpy as jnp
from jaxtyping import PRNGKeyArray

from photonsim.chip import Chip, override
from photonsim.converters import full_scale_code
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar


@dataclass(frozen=True)
class Measurement:
    """Codes of (vector, column) pairs: what the sum should have read, and what was read."""

    expected: np.ndarray  # (vectors, columns)
    observed: np.ndarray
    tile_columns: int = 128

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
        covariances, pairs = 0.0, 0
        for left in range(0, self.residual.shape[1], self.tile_columns):
            tile = self.residual[:, left : left + self.tile_columns]
            covariances += tile.sum(1).var() - tile.var(0).sum()  # twice the sum over pairs
            pairs += tile.shape[1] * (tile.shape[1] - 1)
        return float(np.sqrt(max(covariances, 0.0) / max(pairs, 1)))

    @property
    def flatness(self) -> tuple[float, float]:
        """Smallest and largest residual spread over five bins of |expected|."""
        size = np.abs(self.expected)
        edges = np.quantile(size, np.linspace(0, 1, 6)[1:-1])
        where = np.digitize(size, edges)
        spreads = [self.residual[where == n].std() for n in range(5)]
        return float(min(spreads)), float(max(spreads))


def regenerate(
    chip: Chip, spread_codes: float, vectors: int, columns: int, key: PRNGKeyArray, seed: int = 0
) -> Measurement:
    """The experiment on a simulated crossbar: normal data, expected codes of a standard deviation `spread_codes`.

    One block of the tile's rows; codes are read before any correction. Two rows are given up to pin the scales of all
    blocks to 1: x₀ = 1 meets weights of 0, and w₁ = 1 meets inputs of 0.
    """
    tile = chip.tile
    if not isinstance(tile, Crossbar) or tile.adc.range_policy != "gain" or tile.adc.bits is None:
        raise PhotonsimError(
            f'{chip.name}: a measurement needs a crossbar whose ADC has bits and range_policy = "gain".'
        )
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(vectors, tile.rows)).astype(np.float32)
    w = generator.normal(size=(tile.rows, columns)).astype(np.float32)
    codes_per_product = tile.adc.full_scale_code * tile.adc.gain / tile.rows
    spread = np.sqrt(spread_codes / codes_per_product / np.sqrt(tile.rows - 2))
    x, w = np.clip(spread * x, -1, 1), np.clip(spread * w, -1, 1)
    x[:, 0], w[0], x[:, 1], w[1] = 1.0, 0.0, 0.0, 1.0
    bare = override(chip, {"die.correction": "none"})
    answer = bare.matmul(jnp.asarray(x), bare.program(jnp.asarray(w)), key, "jax")
    observed = np.rint(np.asarray(answer, np.float64) * codes_per_product)
    expected = codes_per_product * (_rounded(x, tile.input_dac.bits) @ _rounded(w, tile.cell.bits))
    return Measurement(expected, observed, tile.columns)


def _rounded(values: np.ndarray, bits: int | None) -> np.ndarray:
    """Values in [-1, 1] as a converter of `bits` holds them."""
    if bits is None:
        return values
    return np.rint(values * full_scale_code(bits)) / full_scale_code(bits)


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
