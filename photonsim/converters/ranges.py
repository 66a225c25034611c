"""Where a converter's range comes from, when it is calibrated: rules on recorded partial sums.

A range too wide wastes codes on values that never come; one too narrow clips those that do. Let a calibration run
record the sums in normalised products (input and weight at full scale make 1), choose the range by one of these rules,
and hold it: `Adc(range_policy="calibrated", full_scale_products=…)`. For a normal variable of spread σ and b bits, the
mean squared error is `2 ∫_A^∞ (v - A)² p(v) dv` of clipping plus `(A / L)² / 12` of rounding, with the least at

    bits     2      3      4      6      8
    A / σ    1.24   1.97   2.48   3.27   3.92         (`gaussian_clip_sigmas`)

The absolute maximum of n normal draws lies near `σ √(2 ln n)`: 4.8 σ for 10⁵, and it grows with every batch looked at.
"""

import math

from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters.quantizer import full_scale_code
from photonsim.errors import check_bits, check_number


def absolute_max_range(sums: Float[Array, "..."]) -> Float[Array, ""]:
    """Half-span that clips nothing recorded: `max |v|`."""
    return jnp.abs(sums).max()


def percentile_range(sums: Float[Array, "..."], percentile: float = 99.9) -> Float[Array, ""]:
    """Half-span that holds `percentile` per cent of the recorded magnitudes."""
    check_number("percentile", percentile, above=0.0)
    check_number("100 - percentile", 100.0 - percentile, at_least=0.0)
    return jnp.percentile(jnp.abs(sums), jnp.asarray(percentile, sums.dtype))


def sigma_range(sums: Float[Array, "..."], sigmas: float = 4.0) -> Float[Array, ""]:
    """Half-span of k root mean squares: `k √mean(v²)`, since a converter's range is symmetric about zero."""
    check_number("sigmas", sigmas, above=0.0)
    return sigmas * jnp.sqrt(jnp.mean(sums**2))


def gaussian_clip_error(sigmas: float, bits: int) -> float:
    """Mean squared error over σ² of a normal variable in a converter of half-span `sigmas` σ and `bits` bits."""
    clipped = 2 * ((1 + sigmas**2) * _normal_tail(sigmas) - sigmas * _normal_density(sigmas))
    return clipped + (sigmas / full_scale_code(bits)) ** 2 / 12


def gaussian_clip_sigmas(bits: int) -> float:
    """The half-span, in σ, with the least such error: where clipping less no longer pays for coarser steps.

    The root of `A / (6 L²) = 4 (φ(A) - A Q(A))`, by bisection: the left side rises with A, the right side falls.
    """
    check_bits("bits", bits)
    low, high = 0.0, 10.0
    for _ in range(60):
        sigmas = (low + high) / 2
        rising = sigmas / (6 * full_scale_code(bits) ** 2)
        falling = 4 * (_normal_density(sigmas) - sigmas * _normal_tail(sigmas))
        low, high = (sigmas, high) if rising < falling else (low, sigmas)
    return (low + high) / 2


def _normal_density(x: float) -> float:
    return math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def _normal_tail(x: float) -> float:
    return math.erfc(x / math.sqrt(2)) / 2
