"""The product that the targets for a GPU are about: M = 4096, 4096 → 4096, 8 bits, and its readings in three modes."""

import sys
import types
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

try:
    version("photonsim")
except PackageNotFoundError:  # a checkout: products need its tiles only, and not what the whole package imports
    package = types.ModuleType("photonsim")
    package.__path__ = [str(Path(__file__).parents[1] / "photonsim")]
    sys.modules["photonsim"] = package

import jax
import numpy as np
from jax import numpy as jnp

from photonsim.tiles.gpu_product import analog_matmul_on_gpu
from photonsim.tiles.partial_sums import Programmed, Readout, Shared, analog_matmul

M = K = N = 4096
TILES = (128, 64, 256)
MODES = {"quantised": (False, False), "gaussian": (True, False), "shot": (True, True)}  # noise, shot noise
ENGINES = {"pallas": analog_matmul_on_gpu, "jax": analog_matmul}


def product(engine: str, tile: int, mode: str):
    """The product as a function of inputs, tiles, key and the number of the first row."""
    noise, shot_noise = MODES[mode]
    readout = Readout(8, 8, tile, noise, shot_noise, common_mode=False)
    still = Shared(0.0, 0.0)

    def multiply(x, tiles, key, row_offset):
        return ENGINES[engine](x, tiles, readout, still, key, row_offset)

    return jax.jit(multiply)


def shapes(tile: int) -> tuple:
    """Shapes and types of the operands."""
    blocks = K // tile
    columns = [jax.ShapeDtypeStruct((blocks, N), jnp.float32)] * 5
    tiles = Programmed(jax.ShapeDtypeStruct((blocks, tile, N), jnp.int8), *columns)
    words = jax.ShapeDtypeStruct((2,), jnp.uint32)
    return jax.ShapeDtypeStruct((M, K), jnp.float32), tiles, words, jax.ShapeDtypeStruct((), jnp.uint32)


def operands(tile: int) -> tuple:
    """Random operands; the partial sums fill the ADC's range, and the noise is of one code."""
    random = np.random.default_rng(0)
    x, tiles, *_ = shapes(tile)
    levels = random.integers(-127, 128, tiles.levels.shape, dtype=np.int8)
    columns = [random.uniform(0.5, 1.5, tiles.gain.shape).astype(np.float32) for _ in range(5)]
    columns[0] *= np.float32(1 / (127 * np.sqrt(tile)))
    columns[3] /= np.float32(127 * 127 * tile)
    inputs = random.standard_normal(x.shape, dtype=np.float32)
    return inputs, Programmed(levels, *columns), np.array([1, 2], np.uint32), np.uint32(0)
