"""The kernels beyond the crossbar's plain product, for `kernels.py`: each against a plain product of the same M, K, N.

- `mesh`: light through a mesh of N = K modes, against the dense complex product;
- `residue`: residue numbers, Mirage's groups of 16 with noise that each of the three moduli has;
- `rings`: crosstalk of all banks of a K → N matrix, each of `tile` rings, against one product with that matrix;
- `sliced`: digits of two places on either side, four passes in one call, detector noise;
- `dynamic`: both operands quantised in every call, through JAX: homodyne detectors with shot noise;
- `convolution`: 3 × 3 windows on images of 56 × 56 pixels, strip by strip, against the product of all patches, which is
  given them for nothing;
- `programming`: a K × N matrix into Envise's tiles (scales, codes, columns, bytes), against one pass over the matrix,
  which reads it and writes as much. Done once for a matrix, by XLA in either engine.
"""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
from jax import numpy as jnp

from photonsim.chip import load_chip
from photonsim.tiles.patches import Window, patch_rows_host
from photonsim.tiles.twins import (
    READINGS,
    TILES,
    TWINS,
    draw_banks,
    draw_matrices,
    draw_mesh,
    draw_operands,
    draw_residues,
    multiply_on_tile,
)

STRIP = 1032  # as in photonsim.swap
WINDOW = Window((56, 56), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
CASES = (  # mode, M, K, N, tile
    ("mesh", 512, 64, 64, 64),
    ("mesh", 512, 256, 256, 256),
    ("residue", 512, 768, 768, 16),
    ("rings", 512, 768, 768, 16),
    ("sliced", 512, 768, 768, 128),
    ("sliced", 1, 768, 3072, 128),
    ("dynamic", 512, 768, 768, 128),
    ("convolution", 3136, 576, 64, 64),
    ("programming", 1, 2048, 8192, 128),
)


def _twin(name: str, arguments: tuple, engine: str) -> Callable:
    twin = TWINS[name]
    function = twin.kernel if engine == "numba" else twin.definition
    return lambda: jax.block_until_ready(function(*arguments))


def _convolution(m: int, k: int, n: int, tile: int, engine: str) -> Callable:
    images = np.random.default_rng(0).standard_normal((1, k // 9, 56, 56)).astype(np.float32)
    rest = draw_operands(1, k, n, tile, "gaussian")[1:]
    twin = TWINS["crossbar_matmul, gaussian"]
    product = twin.kernel if engine == "numba" else twin.definition

    def strips():
        for first in range(0, m, STRIP):
            settings = rest[-1].copy()
            settings[-1] = first
            rows = patch_rows_host(WINDOW, images, first, min(STRIP, m - first))
            jax.block_until_ready(product(rows, *rest[:-1], settings))

    return strips


def other_call(engine: str, mode: str, m: int, k: int, n: int, tile: int) -> Callable:
    """A function without arguments that computes a case once."""
    if mode == "mesh":
        return _twin("mesh_product.propagate", draw_mesh(k, m), engine)
    if mode == "residue":
        return _twin("residue_matmul, noise", draw_residues(m, k, n, tile, READINGS["noise"]), engine)
    if mode == "rings":
        return _twin("ring_banks.bank_drop", draw_banks(tile, k * n // tile), engine)
    if mode == "sliced":
        return _twin("crossbar_matmul, gaussian", tuple(draw_operands(2 * m, 2 * k, n, tile, "gaussian")), engine)
    if mode == "dynamic":
        live = dataclasses.replace(TILES["both operands live"], integration_steps=tile)
        run, operands = jax.jit(multiply_on_tile, static_argnums=(0, 1)), draw_matrices(m, k, n)
        return lambda: run(live, engine, *operands).block_until_ready()
    if mode == "programming":
        chip, matrix = load_chip("lightmatter-envise-2025"), jnp.asarray(draw_matrices(m, k, n)[1])
        return lambda: jax.block_until_ready(chip.compact(chip.program(matrix)))
    return _convolution(m, k, n, tile, engine)


def plain_call(mode: str, m: int, k: int, n: int) -> Callable:
    """The product without a chip: float32, or complex where light is; for programming, a pass over the matrix."""
    x, w = draw_matrices(m, k, n)
    if mode == "programming":
        matrix, doubled = jnp.asarray(w), jax.jit(lambda matrix: 2 * matrix)
        return lambda: doubled(matrix).block_until_ready()
    if mode == "mesh":
        x, w = x.astype(np.complex64), w.astype(np.complex64)
    return lambda: np.dot(x, w)
