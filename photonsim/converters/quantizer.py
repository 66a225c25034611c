"""The one definition of "b bits".

A signed b-bit converter has the integer codes `-L … L` with `L = 2^(b-1) - 1` (the two's-complement code `-2^(b-1)`
is left unused, so that the scale is symmetric and zero is a code). One bit is the sign: codes -1 and +1. `bits=None`
is the ideal converter: unlimited resolution *and* unlimited range.

    bits      2   3   4    8    10     16
    L         1   3   7  127   511  32767
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float


def full_scale_code(bits: int | None) -> int:
    """The largest code `L`; 1 for an ideal converter, whose codes are the normalised values themselves."""
    if bits is None:
        return 1
    return max(2 ** (bits - 1) - 1, 1)


def bits_in_words(bits: int | None) -> str:
    """`8 bits`, or `ideal`."""
    return "ideal" if bits is None else f"{bits} bits"


@jax.custom_jvp
def straight_through(value: Float[Array, "..."], rounded: Float[Array, "..."]) -> Float[Array, "..."]:
    """`rounded` forwards, the gradient of `value` backwards (the straight-through estimator, Bengio et al. 2013)."""
    return rounded


@straight_through.defjvp
def _(primals, tangents):
    value, rounded = primals
    return straight_through(value, rounded), tangents[0]


def quantize(codes: Float[Array, "..."], bits: int | None) -> Float[Array, "..."]:
    """Nearest code of a value already expressed in codes; ties to even; clipped to ±L. Still floating point.

    Idempotent and monotone. The gradient passes straight through the rounding and is zero where the value is clipped.
    """
    if bits is None:
        return codes
    if bits == 1:
        return straight_through(jnp.clip(codes, -1.0, 1.0), jnp.where(codes >= 0, 1.0, -1.0).astype(codes.dtype))
    limit = full_scale_code(bits)
    clipped = jnp.clip(codes, -limit, limit)
    return straight_through(clipped, jnp.rint(clipped))
