"""Each compiled kernel beside its twin, the JAX function that defines it: the table that drives tests and benchmarks.

A kernel may differ from its twin by a number of float32 roundings of the sum of the magnitudes of all terms, and the
table says where the number comes from. Zero means every bit. That holds while the integer sums of a tile are below
2^24, where every order of summation gives the same float32.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from photonsim_kernels import crossbar
from photonsim_kernels import noise as kernel_noise

from photonsim.tiles import noise
from photonsim.tiles.partial_sums import Programmed, Readout, Shared, analog_matmul

# Detector noise, shot noise, a disturbance that the columns of a tile share, one of the light that they share, and the
# noise of each weight at each reading (or, the same to the kernel, the shot noise of two live operands).
MODES = {
    "quantised": (False, False, False, False, False),
    "gaussian": (True, False, False, False, False),
    "shot": (True, True, False, False, False),
    "common": (True, True, True, False, False),
    "intensity": (False, False, False, True, False),
    "weight-noise": (True, False, False, False, True),
    "all": (True, True, True, True, True),
}
SHARED = np.array([0.7, 0.02], np.float32)  # common mode in codes, fluctuation of the light


class Twin(NamedTuple):
    """A kernel and its definition, called with the same `arguments()`; `roundings` that their answers may differ by."""

    kernel: Callable
    definition: Callable
    arguments: Callable[[], tuple[Any, ...]]
    roundings: int
    why: str


def draw_operands(m: int, k: int, n: int, tile: int, mode: str, bits: int | None = 8) -> list[np.ndarray]:
    """A random product in one of `MODES`, 8-bit weights, as `crossbar_matmul` takes it; the ADC's range is filled."""
    random = np.random.default_rng(0)
    blocks = -(-k // tile)
    levels = random.integers(-127, 128, (blocks, tile, n)).astype(np.int8)
    levels.reshape(-1, n)[k:] = 0
    columns = [random.uniform(0.5, 1.5, (blocks, n)).astype(np.float32) for _ in range(6)]
    columns[0] *= 127 / (127 * 127 * np.sqrt(tile))
    columns[3] /= 127 * 127 * tile
    columns[5] /= 127 * 127 * tile
    x = random.standard_normal((m, k)).astype(np.float32)
    values = crossbar.settings(bits, bits, tile, *MODES[mode])
    return [x, levels, *columns, np.array([1, 2], np.uint32), SHARED, values]


_compiled_definition = jax.jit(analog_matmul, static_argnums=2)


def define(*operands: np.ndarray) -> jax.Array:
    """`analog_matmul`, compiled, of the operands of `crossbar_matmul`."""
    x, levels, gain, offset, noise_variance, shot_variance, scale, square_variance, key, shared, values = operands
    input_bits, adc_bits, columns, *flags, row_offset = values.tolist()
    readout = Readout(input_bits or None, adc_bits or None, columns, *[bool(flag) for flag in flags])
    arrays = (levels, gain, offset, noise_variance, shot_variance, scale, square_variance)
    programmed = Programmed(*[jnp.asarray(array) for array in arrays])
    spreads = Shared(jnp.asarray(shared[0]), jnp.asarray(shared[1]))
    return _compiled_definition(jnp.asarray(x), programmed, readout, spreads, jnp.asarray(key), np.uint32(row_offset))


def _product(mode: str, bits: int | None = 8, roundings: int = 0, why: str = "integer sums below 2^24") -> Twin:
    arguments = functools.partial(draw_operands, 9, 70, 83, 32, mode, bits)
    return Twin(crossbar.crossbar_matmul, define, lambda: tuple(arguments()), roundings, why)


def _tile_keys(key: np.ndarray, blocks: int) -> np.ndarray:
    return np.array([kernel_noise.tile_key(*key, np.uint32(t)) for t in range(blocks)])


KEY = np.array([3, 2**31 + 5], np.uint32)
TWINS = {
    "tile_key": Twin(_tile_keys, noise.tile_keys, lambda: (KEY, 9), 0, "integers"),
    "gaussian_deviates": Twin(
        kernel_noise.gaussian_deviates,
        jax.jit(noise.gaussian_deviates, static_argnums=(1, 2)),
        lambda: (KEY, 21, 133, 7),
        0,
        "one product in each addition, so one way to fuse it",
    ),
    **{
        f"shared_deviates, {name}": Twin(
            functools.partial(kernel_noise.shared_deviates, domain=domain),
            jax.jit(functools.partial(noise.shared_deviates, domain=domain), static_argnums=(1, 2, 3)),
            lambda: (KEY, 21, 133, 64, 7),
            0,
            "one product in each addition, so one way to fuse it",
        )
        for name, domain in (("common mode", noise.COMMON_MODE), ("intensity", noise.INTENSITY))
    },
    **{f"crossbar_matmul, {mode}": _product(mode) for mode in MODES},
    "crossbar_matmul, ideal converters": _product(
        "quantised",
        None,
        2 * (32 + 3 + 4),
        "two float32 sums of R = 32 terms and T = 3 tiles, in an order that XLA chooses",
    ),
}
