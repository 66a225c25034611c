"""Lightmatter's Envise, as measured: the statistics of 262,144 dot products, regenerated from the preset's die.

The published figure data hold the ADC codes that were expected and observed: 512 vectors against 512 columns, four
cores of 128. We program the preset with random weights, drive it with random inputs of the same spread of codes, read
the codes before any correction, and look at them as one would at the measured ones. Our die is another die of the same
process: what is one number in the data (a maximum, a spread of 512 columns) is one draw here; the tolerances say so.
"""

import functools

import jax
import numpy as np

from photonsim.chip import load_chip
from photonsim.evaluate.measurement import Measurement, kurtosis, logistic_scale, regenerate
from photonsim.evaluate.reproduce.row import Row

VECTORS, COLUMNS = 512, 512
EXPECTED_SPREAD_CODES = 8.08  # standard deviation of the expected codes in the figure data
SOURCE = "Nature 640:368 (2025), figure data (lightmatter-ai/upaia-paper-2025)"


@functools.cache
def measure() -> Measurement:
    """The experiment on the preset's die."""
    chip = load_chip("lightmatter-envise-2025")
    return regenerate(chip, EXPECTED_SPREAD_CODES, VECTORS, COLUMNS, jax.random.key(0))


SHAPE = (
    "The columns' own noise is drawn log-normal, with the measured median and ratio of deciles. The measured law is "
    "lopsided (0.84, 1.45, 2.09 codes at 10, 50 and 90 %), so both deciles come out too high, by 6 and 8 %, and the "
    "error's standard deviation by 3 %."
)


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
        known=SHAPE,
    ),
    _row(
        "error-kurtosis",
        "kurtosis of the error",
        "1",
        lambda: kurtosis(measure().error),
        4.08,
        0.15,
        "fourth moments of 512 columns' spreads",
    ),
    _row(
        "logistic-scale",
        "logistic scale of the error",
        "code",
        lambda: logistic_scale(measure().error),
        1.274,
        0.03,
        "as the standard deviation",
        known=SHAPE,
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
    ),
    _row(
        "residual-p10",
        "10th percentile",
        "code",
        lambda: _percentile(10),
        1.11,
        0.06,
        "3 standard errors of a decile of 512 columns",
        known=SHAPE,
    ),
    _row(
        "residual-median",
        "median",
        "code",
        lambda: _percentile(50),
        1.62,
        0.045,
        "3 standard errors of a median of 512 columns",
    ),
    _row(
        "residual-p90",
        "90th percentile",
        "code",
        lambda: _percentile(90),
        2.21,
        0.06,
        "3 standard errors of a decile of 512 columns",
        known=SHAPE,
    ),
    _row("residual-max", "largest", "code", lambda: _percentile(100), 4.28, 0.2, "an extreme of 512 draws"),
    _row(
        "additive-low",
        "residual spread, quietest fifth of |signal|",
        "code",
        lambda: measure().flatness[0],
        1.76,
        0.05,
        "3 standard errors of the noise of 512 columns",
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
