"""Two stand-ins for a chip: one that multiplies exactly, one that adds noise. They keep to `AbstractMatmulUnit`."""

import jax
import pytest
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
    """The exact product plus up to 1 % that differs from element to element and key to key; cheap to compile."""

    name = "noisy"

    def matmul(self, x, programmed, key, engine="auto", row_offset=0):
        exact = super().matmul(x, programmed, key)
        phase = (jax.random.key_data(key)[..., 1] % 1024).astype(jnp.float32)
        element = jnp.arange(exact.shape[-2] * exact.shape[-1], dtype=jnp.float32).reshape(exact.shape[-2:])
        return exact + 0.01 * jnp.sin(phase[..., None, None] + element)


class NumberingUnit(ExactUnit):
    """The exact product plus a thousand times the number of the row, by which a chip draws its noise."""

    name = "numbering"

    def matmul(self, x, programmed, key, engine="auto", row_offset=0):
        rows = row_offset + jnp.arange(x.shape[-2])
        return super().matmul(x, programmed, key) + 1000.0 * rows[:, None].astype(jnp.float32)


class CountingUnit(ExactUnit):
    """Exact, and counts the matrices it is asked to program while it is traced or run."""

    name = "counting"

    def __init__(self):
        self.shapes = []

    def program(self, w):
        self.shapes.append(w.shape)
        return super().program(w)


@pytest.fixture(scope="session")
def numbering():
    """A unit whose answers tell the numbers of their rows."""
    return NumberingUnit()


@pytest.fixture(scope="session")
def exact():
    """A unit that multiplies exactly."""
    return ExactUnit()


@pytest.fixture(scope="session")
def noisy():
    """A unit that adds noise."""
    return NoisyUnit()


@pytest.fixture
def counting():
    """A unit that remembers what it was asked to program."""
    return CountingUnit()
