"""Angles in steps of a modulus: the field that carries one, and the one that a pair of readings shows.

Like the noise (`noise.py`), they are polynomials of our own that use only IEEE operations and additions of which one
operand at most is a product, so that the compiled kernel finds the same bits. That is why the sine is taken as a cosine
too: it ends with an addition, to which a noise can be added, where t · P(t²) would end with a product.

Errors: 3e-7 of a field (of an angle within a turn); 5e-8 turns of an angle.
"""

from jax import numpy as jnp
from jaxtyping import Array, Float32

from photonsim.tiles.noise import COSINE_POLYNOMIAL, horner

# atan(r) / (2π r) in r² on [0, 1]: minimax for the product with r, then rounded to float32
TURN_POLYNOMIAL = (
    0.15915483236312866,
    -0.05304612219333649,
    0.03174594044685364,
    -0.022136256098747253,
    0.01534599345177412,
    -0.008898669853806496,
    0.0034795610699802637,
    -0.0006452944362536073,
)
SMALLEST = 2.0**-126  # so that nothing is divided by 0


def fields_of_steps(steps: Float32[Array, "..."], modulus: Float32[Array, "..."]):
    """`cos` and `sin` of 2π steps / modulus. A sine is the cosine of what is left to a quarter turn, and both have the
    sign of the quarters that the angle lies in."""
    away = less_turns(steps, modulus)
    short = modulus / 4 - jnp.abs(away)  # of a quarter turn; negative beyond it
    t = short * (4 / modulus)  # −1 … 1
    cosine = horner(jnp.square(1 - jnp.abs(t)), COSINE_POLYNOMIAL)
    sine = horner(t * t, COSINE_POLYNOMIAL)
    return jnp.where(short < 0, -cosine, cosine), jnp.where(away < 0, -sine, sine)


def less_turns(steps: Float32[Array, "..."], modulus: Float32[Array, "..."]) -> Float32[Array, "..."]:
    """Steps of some turns less the nearest whole ones: within ±modulus / 2."""
    return steps - modulus * jnp.rint(steps * (1 / modulus))


def turns_of(cosine: Float32[Array, "..."], sine: Float32[Array, "..."]) -> Float32[Array, "..."]:
    """`atan2(sine, cosine) / 2π`, from −1/2 to 1/2; 0 where both are 0."""
    across, up = jnp.abs(cosine), jnp.abs(sine)
    ratio = jnp.minimum(across, up) / jnp.maximum(jnp.maximum(across, up), SMALLEST)
    steep = up > across  # atan(1/r) is a quarter turn less atan(r)
    turns = jnp.where(steep, -ratio, ratio) * horner(ratio * ratio, TURN_POLYNOMIAL) + jnp.where(steep, 0.25, 0.0)
    turns = jnp.where(cosine < 0, 0.5 - turns, turns)
    return jnp.copysign(turns, sine)
