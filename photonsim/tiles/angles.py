"""Angles in steps of a modulus: the field that carries one, and the one that a pair of readings shows.

Like the noise (`noise.py`), they are polynomials of our own that use only IEEE operations and additions of which one
operand at most is a product, so that the compiled kernel finds the same bits. That is why the sine is taken as a cosine
a quarter turn on: it ends with an addition, to which a noise can be added, where t · P(t²) would end with a product.

Errors: 1e-7 of a field (of an angle within a turn); 3e-8 turns of an angle.
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


def cosine_of_steps(steps: Float32[Array, "..."], modulus: Float32[Array, "..."]) -> Float32[Array, "..."]:
    """`cos(2π steps / modulus)`: beyond a quarter turn, that of half a turn less the angle, with its sign changed."""
    away = jnp.abs(steps - modulus * jnp.rint(steps * (1 / modulus)))  # of the nearest whole turn; 0 … modulus / 2
    beyond = away > modulus / 4
    t = jnp.where(beyond, modulus / 2 - away, away) * (4 / modulus)
    cosine = horner(t * t, COSINE_POLYNOMIAL)
    return jnp.where(beyond, -cosine, cosine)


def turns_of(cosine: Float32[Array, "..."], sine: Float32[Array, "..."]) -> Float32[Array, "..."]:
    """`atan2(sine, cosine) / 2π`, from −1/2 to 1/2; 0 where both are 0."""
    across, up = jnp.abs(cosine), jnp.abs(sine)
    largest = jnp.maximum(across, up)
    ratio = jnp.minimum(across, up) / jnp.where(largest > 0, largest, 1.0)
    steep = up > across  # atan(1/r) is a quarter turn less atan(r)
    turns = jnp.where(steep, -ratio, ratio) * horner(ratio * ratio, TURN_POLYNOMIAL) + jnp.where(steep, 0.25, 0.0)
    turns = jnp.where(cosine < 0, 0.5 - turns, turns)
    return jnp.where(sine < 0, -turns, turns)
