"""Integral and differential nonlinearity: steps of converters are not of equal height, nor are their lines straight.

Each step is too wide or too narrow by its differential nonlinearity (DNL); the sum of all below a code is that code's
integral nonlinearity (INL). Unlike noise it stays: averaging does not help, calibration does. With independent steps of
spread σ and ends that are trimmed to their places, the INL is a random walk tied down at both ends (a Brownian bridge):

    Var[INL_i] = σ² i (N - i) / N         largest in the middle, σ √N / 2         for N steps

so eight bits with 5 % steps bend by 0.4 LSB at mid-scale, and every bit more makes it √2 times as many LSBs. In root
mean square over the codes the bridge is `σ √(N / 6)` LSB.

A bridge is a sum of sines with independent amplitudes (Karhunen–Loève), each wave finer and smaller than the last:

    INL(t) = σ √N Σ_j √2 / (j π) z_j sin(j π t)         t from 0 to 1 over the range

Where thousands of columns each have a converter (`bridge`), the first 16 waves stand for the curve: 96 % of its mean
square. What amplifiers and modulators bend is smooth, and alike in all of them (`Bend`).
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from photonsim.converters.quantizer import full_scale_code, straight_through
from photonsim.errors import PhotonsimError, check_bits, check_number

WAVES = 16  # of a bridge
SMALLEST_STEP = 1e-3  # LSB: a step cannot be narrower than nothing; such a code is missing


class Nonlinearity(eqx.Module):
    """The static transfer curve of one converter of `bits`, drawn from a seed.

    Monotone always (a step has no negative width), codes may be missing; the two end codes are at their places.

    - `bits`: resolution, sign included.
    - `dnl_rms`: spread of the steps' widths, LSB.
    - `seed`: the die.
    """

    bits: int = eqx.field(static=True)
    dnl_rms: float
    seed: int = 0

    def __check_init__(self):
        check_bits("nonlinearity.bits", self.bits)
        if self.bits is None or self.bits < 2:
            raise PhotonsimError(f"Nonlinearity(bits={self.bits!r}): a curve has at least 2 bits.")
        check_number("nonlinearity.dnl_rms", self.dnl_rms, at_least=0.0)

    @property
    def levels(self) -> Float[Array, " codes"]:
        """Input, in LSB, at the middle of each code from -L to L."""
        limit = full_scale_code(self.bits)
        deviates = jax.random.normal(jax.random.key(self.seed), (2 * limit,), jnp.float32)
        steps = jnp.maximum(1.0 + self.dnl_rms * deviates, SMALLEST_STEP)
        walk = jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)])
        return walk * (2 * limit / walk[-1]) - limit

    @property
    def inl(self) -> Float[Array, " codes"]:
        """Integral nonlinearity of each code, LSB: where it sits less where it should."""
        limit = full_scale_code(self.bits)
        return self.levels - jnp.arange(-limit, limit + 1, dtype=jnp.float32)

    @property
    def dnl(self) -> Float[Array, " steps"]:
        """Differential nonlinearity of each step, LSB."""
        return jnp.diff(self.levels) - 1.0

    def quantize(self, codes: Float[Array, "..."]) -> Float[Array, "..."]:
        """The code this converter gives for a value expressed in codes: the one whose level is nearest.

        With `dnl_rms` of 0 this is `quantizer.quantize`, save for ties. Gradients pass straight through.
        """
        limit = full_scale_code(self.bits)
        levels = self.levels
        thresholds = 0.5 * (levels[1:] + levels[:-1])
        clipped = jnp.clip(codes, -limit, limit)
        found = jnp.searchsorted(thresholds, clipped).astype(clipped.dtype) - limit
        return straight_through(clipped, found)


class Bend(eqx.Module):
    """A smooth transfer curve: what is added to a straight line, as a polynomial of its value.

        v ↦ v + s (c₂ u² + c₃ u³ + c₄ u⁴ + c₅ u⁵)        u = v / s, held at ±1 beyond

    Slope and offset at zero are those of the line. A negative cube saturates; even powers bend one way.

    - `quadratic`, `cubic`, `quartic`, `quintic`: c₂ to c₅; at u = 1, the parts of s by which the curve is off.
    - `span`: s, the part of full scale that the polynomial was measured over.
    """

    quadratic: float = 0.0
    cubic: float = 0.0
    quartic: float = 0.0
    quintic: float = 0.0
    span: float = 1.0

    def __check_init__(self):
        for name in POWERS:
            check_number(f"bend.{name}", getattr(self, name))
        check_number("bend.span", self.span, above=0.0)
        coefficients = [getattr(self, name) for name in POWERS]
        if all(isinstance(value, int | float) for value in coefficients) and not rises(coefficients):
            raise PhotonsimError(
                f"bend = {', '.join(f'{value:g}' for value in coefficients)} (powers 2 to 5) turns a rising signal "
                "into a falling one: give smaller coefficients."
            )

    @property
    def is_off(self) -> bool:
        """Whether the line is known to be straight."""
        values = [getattr(self, name) for name in POWERS]
        return all(isinstance(value, int | float) and value == 0 for value in values)

    def added(self, values: Float[Array, "..."]) -> Float[Array, "..."]:
        """What the curve adds to values that are parts of full scale, in the same unit."""
        u = jnp.clip(values / self.span, -1.0, 1.0)
        sum_of_powers = self.quadratic + u * (self.cubic + u * (self.quartic + u * self.quintic))
        return self.span * u**2 * sum_of_powers


def rises(coefficients: Sequence[float]) -> bool:
    """Whether `u + c₂ u² + c₃ u³ + …` rises all the way from −1 to 1."""
    slope = np.polynomial.Polynomial([0.0, 1.0, *coefficients]).deriv()
    return bool(slope(np.linspace(-1, 1, 201)).min() > 0)


POWERS = ("quadratic", "cubic", "quartic", "quintic")


def bridge(values: Float[Array, "..."], waves: Float[Array, "... j"]) -> Float[Array, "..."]:
    """The bridge with amplitudes `waves` at values that are parts of full scale; 0 at ±1 and beyond."""
    angle = 0.5 * jnp.pi * (1.0 + jnp.clip(values, -1.0, 1.0))
    double_cosine, before, wave = 2.0 * jnp.cos(angle), jnp.zeros_like(angle), jnp.sin(angle)
    total = jnp.zeros_like(angle)
    for j in range(waves.shape[-1]):
        total = total + waves[..., j] * wave
        before, wave = wave, double_cosine * wave - before  # sin (j + 1)θ = 2 cos θ sin jθ − sin (j − 1)θ
    return total


def draw_bridges(key: PRNGKeyArray, shape: tuple[int, ...], rms) -> Float[Array, "... j"]:
    """Amplitudes of the waves of bridges whose root mean square, over all of them and their ranges, is `rms`."""
    orders = np.arange(1, WAVES + 1)
    size = 1.0 / orders / math.sqrt(float(np.mean(1.0 / orders**2)) * WAVES / 2)  # half of its square is each wave's
    return rms * jnp.asarray(size, jnp.float32) * jax.random.normal(key, (*shape, WAVES), jnp.float32)
