"""Two stand-ins for a chip: one that multiplies exactly, one that adds noise. They keep to `AbstractMatmulUnit`."""

import jax
from jax import numpy as jnp


class ExactUnit:
    """`program` is the identity, `matmul` the float32 product."""

    name = "exact"

    def program(self, w):
        assert w.dtype == jnp.float32
        assert w.ndim in (2, 3)
        return {"levels": w}

    def compact(self, programmed):
        return programmed

    def matmul(self, x, programmed, key, engine="auto", row_offset=0):
        w = programmed["levels"]
        assert x.dtype == jnp.float32
        assert x.ndim == w.ndim
        assert key.shape == x.shape[:-2]
        return jnp.matmul(x, w, precision=jax.lax.Precision.HIGHEST)


class NoisyUnit(ExactUnit):
    """The exact product plus standard normal noise of 1 % drawn from the key."""

    name = "noisy"

    def matmul(self, x, programmed, key, engine="auto", row_offset=0):
        exact = super().matmul(x, programmed, key)
        normal = jax.random.normal if key.ndim == 0 else jax.vmap(jax.random.normal, in_axes=(0, None))
        return exact + 0.01 * normal(key, exact.shape[-2:])


class CountingUnit(ExactUnit):
    """Exact, and counts the matrices it is asked to program while it is traced or run."""

    name = "counting"

    def __init__(self):
        self.shapes = []

    def program(self, w):
        self.shapes.append(w.shape)
        return super().program(w)
