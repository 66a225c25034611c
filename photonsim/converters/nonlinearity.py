"""Integral and differential nonlinearity: the steps of a real converter are not of equal height.

Each step is too wide or too narrow by its differential nonlinearity (DNL); the sum of all below a code is that code's
integral nonlinearity (INL). Unlike noise it stays: averaging does not help, calibration does. With independent steps of
spread σ and ends that are trimmed to their places, the INL is a random walk tied down at both ends (a Brownian bridge):

    Var[INL_i] = σ² i (N - i) / N         largest in the middle, σ √N / 2         for N steps

so eight bits with 5 % steps bend by 0.4 LSB at mid-scale, and every bit more makes it √2 times as many LSBs.
"""

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters.quantizer import full_scale_code, straight_through
from photonsim.errors import PhotonsimError, check_bits, check_number

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
