"""The kernel for GPUs on a machine without one: what JAX interprets, and what Triton is handed."""

import functools
from types import SimpleNamespace
from typing import Any

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.errors import PhotonsimError
from photonsim.tiles import engine_here, fast, twins
from photonsim.tiles.engine import multiply
from photonsim.tiles.fast import analog_matmul_fast
from photonsim.tiles.gpu_product import analog_matmul_on_gpu
from photonsim.tiles.partial_sums import Programmed, Readout, Shared, analog_matmul

definition = jax.jit(analog_matmul, static_argnums=2)
interpreted = jax.jit(functools.partial(analog_matmul_fast, engine="pallas"), static_argnums=2)
SHARED = Shared(jnp.float32(0.7), jnp.float32(0.02))
ALL = dict.fromkeys(("noise", "shot_noise", "common_mode", "intensity_noise", "square_noise"), True)
# Of m, k, n, rows of a tile, type of levels, settings of the reading
PRODUCTS: dict[str, Any] = {
    "bytes, shapes that fit": (16, 64, 32, 32, np.int8, Readout(8, 8, 32, **ALL)),
    "bytes, primes": (5, 37, 19, 7, np.int8, Readout(3, 6, 5, **ALL)),
    "signs": (3, 21, 17, 5, np.int8, Readout(1, 1, 48, **ALL)),
    "many bits": (3, 29, 17, 8, np.int16, Readout(11, 12, 16, **ALL)),
    "deep tiles": (3, 301, 18, 150, np.int8, Readout(8, 9, 64, **ALL)),
    "one number": (1, 1, 1, 1, np.int8, Readout(8, None, 1, noise=True, shot_noise=False, common_mode=False)),
}


def draw(m, k, n, rows, kind, seed) -> tuple[Any, ...]:
    """Inputs and tiles of either sign, columns that differ, levels down to the -128 that has no magnitude."""
    random = np.random.default_rng(seed)
    blocks = -(-k // rows)
    largest = 128 if kind == np.int8 else 500
    levels: Any = random.integers(-largest, largest, (blocks * rows, n)).astype(kind)
    levels[k:] = 0
    columns: list[Any] = [random.uniform(0.5, 1.5, (blocks, n)).astype(np.float32) for _ in range(6)]
    for index in (0, 3, 5):
        columns[index] /= largest * np.sqrt(rows)
    x = random.standard_normal((m, k)).astype(np.float32)
    return x, Programmed(levels.reshape(blocks, rows, n), *columns), random.integers(0, 2**32, 2, dtype=np.uint32)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    st.sampled_from(list(PRODUCTS)), st.integers(0, 2**32 - 1), st.integers(-140, 100), st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, np.nan, np.inf, -np.inf]),
)  # fmt: skip
def test_every_bit_is_that_of_the_definition_and_what_is_not_finite_spoils_its_row(name, seed, exponent, offset, odd):
    """At any scale and place in the noise stream, with a zero or something worse among the inputs."""
    *shape, readout = PRODUCTS[name]
    x, tiles, key = draw(*shape, seed=seed)
    x = np.clip(x, -4, 4) * np.float32(2.0**exponent)
    row = seed % len(x)
    x[row, seed % x.shape[1]] = odd
    operands = x, tiles, readout, SHARED, key, np.uint32(offset)
    found, expected = np.asarray(interpreted(*operands)), np.asarray(definition(*operands))
    np.testing.assert_array_equal(found, expected)
    spoilt = np.isnan(found).any(axis=1)
    np.testing.assert_array_equal(spoilt, (np.arange(len(x)) == row) & (not np.isfinite(odd)))


@pytest.mark.parametrize("mode", ["quantised", "all"])
@pytest.mark.parametrize(("bits", "tile"), [(8, 48), (None, 48), (8, 128)])
def test_the_kernel_lowers_for_a_gpu_of_nvidia(mode, bits, tile):
    operands = twins.as_defined(*twins.draw_operands(70, 200, 83, tile, mode, bits))
    product = jax.jit(analog_matmul_on_gpu, static_argnums=2)
    lowered = product.trace(*operands).lower(lowering_platforms=("cuda",)).as_text()
    assert "xla.gpu.triton" in lowered


@pytest.mark.parametrize("shape", [(0, 5, 3), (4, 0, 3), (4, 5, 0)])
def test_a_product_of_nothing_is_zero(shape):
    m, k, n = shape
    x, tiles, key = draw(m, k, n, 4, np.int8, 0)
    readout = PRODUCTS["signs"][-1]
    np.testing.assert_array_equal(analog_matmul_on_gpu(x, tiles, readout, SHARED, key), np.zeros((m, n)))


def test_batches_maps_and_gradients_are_those_of_the_definition():
    """A product of each key, mapped and as a batch; gradients pass straight through the roundings."""
    *shape, _ = PRODUCTS["signs"]
    readout = Readout(4, 5, 48, noise=True, shot_noise=False, common_mode=False)
    x, tiles, key = jax.tree.map(jnp.asarray, draw(*shape, seed=1))
    keys = jnp.stack([key, key + 1])
    loop = np.stack([definition(x, tiles, readout, SHARED, each, np.uint32(7)) for each in keys])

    @jax.jit
    def products(x):
        mapped = jax.vmap(lambda key: analog_matmul_fast(x, tiles, readout, SHARED, key, 7, "pallas"))(keys)
        batch = jax.tree.map(lambda values: jnp.stack([values, values]), tiles)
        return mapped, analog_matmul_fast(jnp.stack([x, x]), batch, readout, SHARED, keys, 7, "pallas")

    for found in products(x):
        np.testing.assert_array_equal(found, loop)

    def power(x, engine):
        return jnp.sum(multiply(x, tiles, readout, SHARED, keys[0], 7, engine) ** 2)

    gradients = [jax.jit(jax.grad(power), static_argnums=1)(x, engine) for engine in ("pallas", "jax")]
    assert np.abs(gradients[0]).max() > 0
    np.testing.assert_array_equal(*gradients)


def test_a_gpu_of_nvidia_is_where_it_runs_by_itself(monkeypatch):
    """A machine with one, as far as JAX's answers go."""
    assert engine_here()[0] == "numba"
    device = SimpleNamespace(platform="gpu", device_kind="NVIDIA H200", compute_capability="9.0")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "devices", lambda platform=None: [device])
    assert engine_here() == ("pallas", "one Triton kernel on NVIDIA H200")
    assert fast._kernel_of("auto") is fast._call_gpu_kernel
    device.compute_capability = "7.0"
    assert engine_here() == ("jax", "NVIDIA H200 has compute capability 7.0, below 8.0")
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        assert engine_here()[0] == "numba"


def test_other_accelerators_are_refused(monkeypatch):
    x, tiles, key = draw(2, 3, 2, 4, np.int8, 0)
    readout = PRODUCTS["signs"][-1]
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    with pytest.raises(PhotonsimError, match='engine="pallas" needs a GPU of NVIDIA\'s, not tpu: use engine="auto"'):
        multiply(jnp.asarray(x), tiles, readout, SHARED, key, 0, "pallas")
