"""Matrix products in one form: `(batch, m, k) @ (batch, k, n)`, the programmed operand on the right.

A product is read from its equation. `size` says how large it is, `obstacle` why a chip cannot take it, `matrix` brings
the programmed operand into the form above, and `multiply` does the product with whatever multiplies matrices.
"""

import abc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from photonsim.swap.site import batch_keys
from photonsim.tiles.patches import Window, patch_rows

Multiply = Callable[..., Array]  # (inputs, tiles, key or keys, number of the first row = 0) -> outputs
STRIP = 1032  # rows of a convolution at once: four of the kernel's tasks, 2 MB of inputs for a window of 512 numbers


@dataclass(frozen=True)
class Size:
    """`batch` products `(m, k) @ (k, n)`; `ragged_rows` where the rows are shared out at run time."""

    batch: int
    m: int
    k: int
    n: int
    ragged_rows: int | None = None


class AbstractProduct(abc.ABC):
    """A matrix product of an equation, with operand number `tile_operand` programmed into the tiles."""

    def __init__(self, eqn: Any, tile_operand: int = 1):
        self.eqn = eqn
        self.tile_operand = tile_operand
        self.shapes = [operand.aval.shape for operand in eqn.invars[:2]]

    @property
    @abc.abstractmethod
    def size(self) -> Size:
        """How large the product is."""

    @property
    def obstacle(self) -> str | None:
        """Why a chip cannot take the product, or `None`."""
        for operand in self.eqn.invars[:2]:
            if not jnp.issubdtype(operand.aval.dtype, jnp.floating):
                return f"{operand.aval.dtype} operand: a chip multiplies real floating-point numbers"
        return None

    @abc.abstractmethod
    def matrix(self, operand: Array) -> Float[Array, "*b k n"]:
        """The programmed operand as float32 matrices, batched only where the product is."""

    @abc.abstractmethod
    def multiply(self, operands: Sequence[Array], tiles: Any, multiply: Multiply, key: PRNGKeyArray) -> Array:
        """The product of the equation, in its own shape and dtype. `operands` are all inputs of the equation."""

    def finish(self, result: Array) -> Array:
        """Cast to what the equation returned."""
        return result.astype(self.eqn.outvars[0].aval.dtype)


class DotGeneral(AbstractProduct):
    """`lax.dot_general` with any contracting and batch dimensions; the result is ordered (batch, left, right)."""

    @cached_property
    def _dims(self) -> list[tuple[list[int], list[int], list[int]]]:
        """(batch, contracting, free) dimensions of either operand."""
        contracting, batch = self.eqn.params["dimension_numbers"]
        return [
            (list(b), list(c), [i for i in range(len(shape)) if i not in (*b, *c)])
            for shape, c, b in zip(self.shapes, contracting, batch, strict=True)
        ]

    def _extent(self, operand: int, group: int) -> list[int]:
        return [self.shapes[operand][i] for i in self._dims[operand][group]]

    @property
    def size(self) -> Size:
        rows, columns = (math.prod(self._extent(operand, 2)) for operand in (1 - self.tile_operand, self.tile_operand))
        return Size(math.prod(self._extent(0, 0)), rows, math.prod(self._extent(0, 1)), columns)

    def _arrange(self, operand: int, array: Array, free_first: bool) -> Array:
        batch, contracting, free = self._dims[operand]
        order = (*batch, *free, *contracting) if free_first else (*batch, *contracting, *free)
        inner, outer = math.prod(self._extent(operand, 1)), math.prod(self._extent(operand, 2))
        matrix = (outer, inner) if free_first else (inner, outer)
        leading = [self.size.batch] if batch else []
        return array.transpose(order).reshape(*leading, *matrix).astype(jnp.float32)

    def matrix(self, operand: Array) -> Float[Array, "*b k n"]:
        return self._arrange(self.tile_operand, operand, free_first=False)

    def multiply(self, operands: Sequence[Array], tiles: Any, multiply: Multiply, key: PRNGKeyArray) -> Array:
        other = 1 - self.tile_operand
        inputs = self._arrange(other, operands[other], free_first=True)
        result = multiply(inputs, tiles, batch_keys(key, self.size.batch) if self._dims[0][0] else key)
        if self.tile_operand == 0:
            result = result.swapaxes(-1, -2)
        return self.finish(result.reshape(*self._extent(0, 0), *self._extent(0, 2), *self._extent(1, 2)))


def strip_rows(m: int) -> int:
    """Rows of each strip of m, all the same and `STRIP` at most."""
    return -(-m // max(-(-m // STRIP), 1))


class Convolution(AbstractProduct):
    """`lax.conv_general_dilated` as patches times kernels; each feature group is an element of the batch.

    Strips of rows one after another: the matrix of all patches never exists (`tiles/patches.py`).
    """

    @property
    def _kernel(self) -> tuple[int, int, tuple[int, ...]]:
        """(output features, input features per group, window)."""
        spec = self.eqn.params["dimension_numbers"].rhs_spec
        extent = [self.shapes[1][i] for i in spec]
        return extent[0], extent[1], tuple(extent[2:])

    @property
    def _groups(self) -> int:
        return self.eqn.params["feature_group_count"]

    @property
    def size(self) -> Size:
        features, channels, window = self._kernel
        positions = math.prod(self.eqn.outvars[0].aval.shape) // max(features, 1)
        return Size(self._groups, positions, channels * math.prod(window), features // self._groups)

    @property
    def obstacle(self) -> str | None:
        if self.eqn.params["batch_group_count"] != 1:
            return "convolution with batch groups, as in the gradient of a grouped one"
        return super().obstacle

    def matrix(self, operand: Array) -> Float[Array, "*b k n"]:
        size = self.size
        kernels = operand.transpose(self.eqn.params["dimension_numbers"].rhs_spec).astype(jnp.float32)
        if self._groups == 1:
            return kernels.reshape(size.n, size.k).T
        return kernels.reshape(size.batch, size.n, size.k).swapaxes(1, 2)

    @cached_property
    def _window(self) -> Window:
        params = self.eqn.params
        out = params["dimension_numbers"].out_spec[2:]
        return Window(
            positions=tuple(self.eqn.outvars[0].aval.shape[i] for i in out),
            shape=self._kernel[2],
            strides=tuple(params["window_strides"]),
            before=tuple(low for low, _ in params["padding"]),
            image_dilation=tuple(params["lhs_dilation"]),
            window_dilation=tuple(params["rhs_dilation"]),
        )

    def multiply(self, operands: Sequence[Array], tiles: Any, multiply: Multiply, key: PRNGKeyArray) -> Array:
        size, spec = self.size, self.eqn.params["dimension_numbers"]
        images = operands[0].transpose(spec.lhs_spec).astype(jnp.float32)
        keys = key if size.batch == 1 else batch_keys(key, size.batch)
        count = strip_rows(size.m)
        strips = max(-(-size.m // count), 1)

        def multiply_strip(first):
            rows = patch_rows(self._window, images, first, count)
            if size.batch > 1:
                rows = rows.reshape(count, size.batch, size.k).swapaxes(0, 1)
            result = multiply(rows, tiles, keys, first)
            return result if size.batch == 1 else result.swapaxes(0, 1).reshape(count, -1)

        starts = jnp.arange(strips) * count
        result = multiply_strip(0) if strips == 1 else jax.lax.map(multiply_strip, starts)
        result = result.reshape(strips * count, -1)[: size.m].reshape(-1, *self._window.positions, size.batch * size.n)
        batch, feature, *spatial = spec.out_spec
        return self.finish(jnp.moveaxis(result, range(result.ndim), (batch, *spatial, feature)))


class RaggedDot(AbstractProduct):
    """`lax.ragged_dot`: the rows of `x` in consecutive groups, each group times a matrix of its own (one expert).

    Every expert sees all rows and keeps its own, since group sizes are known only at run time: exact, in memory of one
    expert's result, at the price of `groups` times the arithmetic.
    """

    @property
    def size(self) -> Size:
        if self.obstacle:
            inner = math.prod(self.eqn.invars[0].aval.shape)
            return Size(1, 1, inner, self.eqn.outvars[0].aval.shape[-1] if self.eqn.outvars[0].aval.ndim else 1)
        (rows, k), (groups, _, n) = self.shapes
        return Size(groups, -(-rows // max(groups, 1)), k, n, ragged_rows=rows)

    @property
    def obstacle(self) -> str | None:
        numbers = self.eqn.params["ragged_dot_dimension_numbers"]
        contracting, batch = numbers.dot_dimension_numbers
        plain = (tuple(map(tuple, contracting)), tuple(map(tuple, batch))) == (((1,), (1,)), ((), ()))
        basic = tuple(numbers.lhs_ragged_dimensions) == (0,) and tuple(numbers.rhs_group_dimensions) == (0,)
        if not plain or not basic or self.eqn.params.get("group_offset") is not None or self.tile_operand != 1:
            return "ragged product other than rows in groups"
        return super().obstacle

    def matrix(self, operand: Array) -> Float[Array, "g k n"]:
        return operand.astype(jnp.float32)

    def multiply(self, operands: Sequence[Array], tiles: Any, multiply: Multiply, key: PRNGKeyArray) -> Array:
        inputs, group_sizes = operands[0].astype(jnp.float32), operands[2].astype(jnp.int32)
        ends = jnp.cumsum(group_sizes)
        rows = jnp.arange(inputs.shape[0])

        def add_group(total, group):
            expert, end, count, expert_tiles = group
            own = (rows >= end - count) & (rows < end)
            result = multiply(inputs, expert_tiles, jax.random.fold_in(key, expert))
            return total + jnp.where(own[:, None], result, 0.0), None

        groups = (jnp.arange(self.size.batch), ends, group_sizes, tiles)
        total, _ = jax.lax.scan(add_group, jnp.zeros((inputs.shape[0], self.size.n), jnp.float32), groups)
        return self.finish(total)


PRODUCTS: dict[str, type[AbstractProduct]] = {
    "dot_general": DotGeneral,
    "conv_general_dilated": Convolution,
    "ragged_dot_general": RaggedDot,
}
