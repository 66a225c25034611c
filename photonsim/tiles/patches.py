"""A convolution as a matrix product without its matrix: rows of patches, gathered from the images a few at a time.

Im2col writes every pixel as often as the window has places, 9 times for one of 3 × 3. Rows of a product do not know
each other, so some hundred of them at a time are gathered, multiplied and forgotten. The noise of a row goes by its
number, so the answer is that of the whole matrix, to the bit.

On a CPU a compiled kernel gathers them: copies, the same in every engine.
"""

import functools
import math
from dataclasses import dataclass

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, Int

from photonsim.tiles import ffi

TARGET = "photonsim_patches"


@dataclass(frozen=True)
class Window:
    """Where a window stands and what it sees, in each spatial dimension: as in `jax.lax.conv_general_dilated`.

    `positions`: how many of them; `shape`: places of the window; `before`: pixels of padding before the first.
    """

    positions: tuple[int, ...]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    before: tuple[int, ...]
    image_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]

    def sources(self, size: int, dimension: int) -> Int[np.ndarray, "positions places"]:
        """The pixel of a dimension of `size` that each place sees at each position; −1 for none."""
        d = dimension
        corner = np.arange(self.positions[d])[:, None] * self.strides[d] - self.before[d]
        place = corner + np.arange(self.shape[d]) * self.window_dilation[d]
        pixel, between = np.divmod(place, self.image_dilation[d])
        return np.where((between == 0) & (pixel >= 0) & (pixel < size), pixel, -1).astype(np.int32)

    def rows(self, images: int) -> int:
        """Rows of the whole matrix of patches."""
        return images * math.prod(self.positions)


def patch_rows(window: Window, images: Float[Array, "b c ..."], first, count: int) -> Float[Array, "{count} k"]:
    """Rows number `first` to `first + count - 1` of the patches, channels slowest; zeros after the last.

    Rows go by image, then position. By the kernel where there is one: three spatial dimensions at most, float32, a CPU.
    """
    kernel = images.ndim <= 5 and images.dtype == jnp.float32 and jax.default_backend() == "cpu"
    run = _gather_by_kernel if kernel else gather_patches
    return run(window, count, images, jnp.asarray(first, jnp.int32))


def patch_rows_host(window: Window, images: np.ndarray, first: int, count: int) -> Float[np.ndarray, "{count} k"]:
    """`patch_rows` from NumPy to NumPy, without XLA, of at most three spatial dimensions, in float32."""
    from photonsim_kernels.patch_rows import patch_rows

    extents, (planes, lines, columns) = in_three_dimensions(window, images.shape[2:])
    return patch_rows(images.reshape(*images.shape[:2], *extents), planes, lines, columns, first, count)


def gather_patches(window: Window, count: int, images: Float[Array, "b c ..."], first) -> Float[Array, "{count} k"]:
    """The definition: each number of the rows looked up by its index."""
    batch, channels, *sizes = images.shape
    rows = first + jnp.arange(count)
    image, *position = jnp.unravel_index(rows, (max(batch, 1), *window.positions))
    inside, index = rows < window.rows(batch), image[:, None] * channels + jnp.arange(channels)
    inside = jnp.broadcast_to(inside[:, None], index.shape)
    for d, size in enumerate(sizes):
        source = jnp.asarray(window.sources(size, d))[position[d]]  # (count, places)
        source = source.reshape(count, *[1] * (index.ndim - 1), -1)
        inside, index = inside[..., None] & (source >= 0), index[..., None] * size + source
    flat = images.reshape(-1)
    return jnp.where(inside, flat[jnp.where(inside, index, 0)], 0).reshape(count, -1)


@functools.lru_cache(maxsize=64)  # a host asks for every strip
def in_three_dimensions(
    window: Window, sizes: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[Int[np.ndarray, "positions places"], ...]]:
    """The extents of an image, and its window's sources, with dimensions of one pixel before those that there are."""
    missing = 3 - len(sizes)
    sources = [window.sources(size, dimension) for dimension, size in enumerate(sizes)]
    return (*[1] * missing, *sizes), (*[np.zeros((1, 1), np.int32)] * missing, *sources)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _gather_by_kernel(window: Window, count: int, images, first):
    spatial, sources = in_three_dimensions(window, images.shape[2:])
    result = jax.ShapeDtypeStruct((count, images.shape[1] * math.prod(window.shape)), jnp.float32)
    operands = (images.reshape(*images.shape[:2], *spatial), *map(jnp.asarray, sources), first.reshape(1))
    return ffi.call(TARGET, functools.partial(_for_numpy, count), result, operands, vmap_method="sequential")


def _for_numpy(count: int):
    from photonsim_kernels.patch_rows import patch_rows

    return functools.partial(patch_rows, count=count)


def _forward(window, count, images, first):
    return _gather_by_kernel(window, count, images, first), (images, first)


def _backward(window, count, operands, cotangent):
    return jax.vjp(functools.partial(gather_patches, window, count), *operands)[1](cotangent)


_gather_by_kernel.defvjp(_forward, _backward)
