"""A chip that is given tensors in host memory, and gives tensors back.

Door 1 compiles a whole model, chip included. Here shapes come as they come: during `generate` the keys and values grow
by a row with every token, and XLA would compile anew for each length. So a product goes to the compiled kernel as it
is, and a matrix is filled up with zeros to whole tiles before XLA programs it: the zeros change nothing, as every tile
column has a scale of its own, and a matrix that has grown within its last tile needs no new compilation. Nothing is
copied on the way into the kernel but what PyTorch does not hold as contiguous float32.

A unit of another kind, such as a tile without a kernel or a chip with its outliers taken out, goes through XLA whole.
"""

import abc
import functools
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import torch
from jax import numpy as jnp

from photonsim.chip import Chip, disturbances_on
from photonsim.swap.site import AbstractMatmulUnit
from photonsim.tiles import Crossbar, fast_engine_available
from photonsim.tiles.fast import analog_matmul_host
from photonsim.tiles.readout import shared_disturbances


class AbstractHostUnit(abc.ABC):
    """What an eager run asks of a chip. Batched operands have one leading axis."""

    exact = False  # whether it multiplies as any digital unit does

    @abc.abstractmethod
    def program(self, matrix: torch.Tensor) -> Any:
        """Write a (k, n) matrix, or a batch of them, into tiles."""

    @abc.abstractmethod
    def multiply(self, inputs: torch.Tensor, tiles: Any, words: np.ndarray, row: int) -> torch.Tensor:
        """`inputs @ matrix` in float32; `words` are those of a noise key, one for each element of a batch."""

    def one_of(self, tiles: Any, number: int) -> Any:
        """The tiles of one matrix of a batch."""
        return jax.tree.map(lambda leaf: leaf[number], tiles)


class KernelUnit(AbstractHostUnit):
    """A chip of crossbars, through the compiled kernel."""

    def __init__(self, chip: Chip, tile: Crossbar):
        self.tile = tile
        self.readout = tile.readout
        self.shared = shared_disturbances(tile.laser, tile.adc, tile.die, tile.clock_hz / 2)
        self._write = jax.jit(lambda matrix: chip.compact(chip.program(matrix)))

    def program(self, matrix: torch.Tensor) -> Any:
        numbers = host_array(matrix)
        *batch, k, n = numbers.shape
        room = [1 << (count - 1).bit_length() for count in batch]  # a power of two, for the same reason as whole tiles
        sizes = (*room, _whole(k, self.tile.rows), _whole(n, self.tile.columns))
        if sizes != numbers.shape:
            numbers = np.pad(numbers, [(0, size - own) for size, own in zip(sizes, numbers.shape, strict=True)])
        tiles = jax.tree.map(functools.partial(_cut, batch=batch, columns=n), self._write(numbers))
        if k >= self.tile.rows:
            return tiles
        return replace(tiles, levels=np.ascontiguousarray(tiles.levels[..., :k, :]))  # dark rows add nothing

    def multiply(self, inputs: torch.Tensor, tiles: Any, words: np.ndarray, row: int) -> torch.Tensor:
        result = analog_matmul_host(host_array(inputs), tiles, self.readout, self.shared, words, row)
        return torch.from_numpy(result).to(inputs.device)


class XlaUnit(AbstractHostUnit):
    """Any unit, through XLA: compiled for each shape."""

    def __init__(self, unit: AbstractMatmulUnit, engine: str):
        self._write = jax.jit(lambda matrix: unit.compact(unit.program(matrix)))
        self._multiply = jax.jit(
            lambda x, tiles, words, row: unit.matmul(
                x, tiles, jax.random.wrap_key_data(words, impl="threefry2x32"), engine=engine, row_offset=row
            )
        )

    def program(self, matrix: torch.Tensor) -> Any:
        return self._write(host_array(matrix))

    def multiply(self, inputs: torch.Tensor, tiles: Any, words: np.ndarray, row: int) -> torch.Tensor:
        result = self._multiply(host_array(inputs), tiles, words, jnp.uint32(row))
        return torch.from_numpy(np.array(result)).to(inputs.device)


class ExactUnit(AbstractHostUnit):
    """A chip that nothing disturbs: PyTorch's own products are its answers."""

    exact = True

    def program(self, matrix: torch.Tensor) -> Any:
        raise AssertionError("an exact unit is never programmed")

    def multiply(self, inputs: torch.Tensor, tiles: Any, words: np.ndarray, row: int) -> torch.Tensor:
        raise AssertionError("an exact unit is never asked")


def host_unit(unit: AbstractMatmulUnit, engine: str) -> AbstractHostUnit:
    """A unit for host memory. `engine` `"auto"` takes the quickest that is right, the others what they say."""
    try:
        return _known_unit(unit, engine)
    except TypeError:  # a unit that cannot be hashed, such as a chip with arrays in it
        return _new_unit(unit, engine)


def _new_unit(unit: AbstractMatmulUnit, engine: str) -> AbstractHostUnit:
    if isinstance(unit, Chip) and engine in ("auto", "numba"):
        if engine == "auto" and not disturbances_on(unit):
            return ExactUnit()
        if type(unit.tile) is Crossbar and fast_engine_available()[0]:
            return KernelUnit(unit, unit.tile)
    return XlaUnit(unit, engine)


_known_unit = functools.lru_cache(maxsize=32)(_new_unit)  # what XLA compiled for a chip serves every model on it


def host_array(tensor: torch.Tensor) -> np.ndarray:
    """A tensor's numbers as contiguous float32, copied only if they are not that already."""
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()


def _whole(length: int, step: int) -> int:
    return -(-length // step) * step


def _cut(leaf: Any, batch: list[int], columns: int) -> np.ndarray:
    """What of a filled-up batch of matrices belongs to its own."""
    own = np.asarray(leaf)[tuple(slice(count) for count in batch)]
    return np.ascontiguousarray(own[..., :columns])
