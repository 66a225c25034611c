"""Columns that change: with temperature, at once and all of them; with time, each at random.

    g(t) = g₀ (1 + (α + σ_α d) ΔT + σ_g W(t))            o(t) = o₀ + (β + σ_β d') ΔT + σ_o W'(t)

d and d' are one standard normal draw per column and die, W and W' one Brownian path each: W(0) = 0, and W(t) − W(s) is
normal with variance t − s. Nothing pulls a walk back, so the error of a column that was right once grows as √t until it
is measured again. A calibration costs time and averages noise; between "always" and "never" lies a best interval.
"""

import functools

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from photonsim.errors import check_number

HORIZON_S = 2.0**32  # 136 years: a path begins there and is refined by halves
HALVINGS = 52  # down to a microsecond


class Drift(eqx.Module):
    """How far a die has drifted. Offsets are fractions of the ADC's full scale.

    - `temperature_offset_k`: ΔT, kelvins above the temperature at which the die was characterised.
    - `age_s`: t, seconds since then.
    - `gain_per_k`, `gain_spread_per_k`: α and σ_α, relative.
    - `offset_per_k`, `offset_spread_per_k`: β and σ_β.
    - `gain_walk_per_sqrt_s`, `offset_walk_per_sqrt_s`: σ_g, relative, and σ_o.
    """

    temperature_offset_k: float = 0.0
    age_s: float = 0.0
    gain_per_k: float = 0.0
    gain_spread_per_k: float = 0.0
    offset_per_k: float = 0.0
    offset_spread_per_k: float = 0.0
    gain_walk_per_sqrt_s: float = 0.0
    offset_walk_per_sqrt_s: float = 0.0

    def __check_init__(self):
        check_number("drift.age_s", self.age_s, at_least=0.0)
        for name in ("temperature_offset_k", "gain_per_k", "offset_per_k"):
            check_number(f"drift.{name}", getattr(self, name))
        for name in ("gain_spread_per_k", "offset_spread_per_k", "gain_walk_per_sqrt_s", "offset_walk_per_sqrt_s"):
            check_number(f"drift.{name}", getattr(self, name), at_least=0.0)

    @property
    def is_still(self) -> bool:
        """Whether the die is known to be as it was characterised."""
        return all(isinstance(value, int | float) and value == 0 for value in (self.temperature_offset_k, self.age_s))

    def relative_gain(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        """`g(t) / g₀` of columns of the given shape."""
        warmth, time = jax.random.split(key)
        slope = self.gain_per_k + self.gain_spread_per_k * jax.random.normal(warmth, shape, jnp.float32)
        walk = self.gain_walk_per_sqrt_s * brownian_path(time, self.age_s, shape)
        return 1.0 + slope * self.temperature_offset_k + walk

    def added_offset(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        """`o(t) − o₀` of columns of the given shape."""
        warmth, time = jax.random.split(key)
        slope = self.offset_per_k + self.offset_spread_per_k * jax.random.normal(warmth, shape, jnp.float32)
        return slope * self.temperature_offset_k + self.offset_walk_per_sqrt_s * brownian_path(time, self.age_s, shape)


@functools.partial(jax.jit, static_argnames="shape")
def brownian_path(key: PRNGKeyArray, time_s, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """W at a time from 0 to `HORIZON_S`: one fixed path per key and element.

    Lévy's construction: between two known points, the middle is their mean plus a normal of standard deviation
    `√width / 2`. The halves that hold the time are followed, each with a key of its own, so that any two times of one
    path agree on what they have in common.
    """
    time_s = jnp.asarray(time_s, jnp.float32)

    def halve(_, state):
        key, start, width, left, right = state
        middle = 0.5 * (left + right) + 0.5 * jnp.sqrt(width) * jax.random.normal(key, shape, jnp.float32)
        width = 0.5 * width
        late = time_s >= start + width
        left, right = jnp.where(late, middle, left), jnp.where(late, right, middle)
        key = jax.random.fold_in(key, late.astype(jnp.uint32))
        return key, jnp.where(late, start + width, start), width, left, right

    first, key = jax.random.split(key)
    end = HORIZON_S**0.5 * jax.random.normal(first, shape, jnp.float32)
    state = (key, jnp.float32(0.0), jnp.float32(HORIZON_S), jnp.zeros_like(end), end)
    _, start, width, left, right = jax.lax.fori_loop(0, HALVINGS, halve, state)
    return left + (right - left) * jnp.clip((time_s - start) / width, 0.0, 1.0)
