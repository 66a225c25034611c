"""The tiles of `partial_sums.py` on a GPU, as one kernel: no partial sum ever leaves the chip.

A program of the grid has a block of the result in registers and goes through the T blocks of the inner length in order.
Of each it encodes the inputs, multiplies them by the levels, reads the sums as the definition does, by the definition's
own functions, and adds the readings to its totals. Nothing as large as the result or the inputs is written in between.

Codes and levels of up to 8 bits are multiplied as int8 and added as int32, which is exact and what tensor cores are
fastest at. All else is float32 at full precision (never TF32): exact where the definition is, below 2^24.

Columns are cut in halves: the first 8 of each group of 16, and the last 8. They share a hash (`noise.py`), and in the
layout of the tensor cores' results both are in the same thread, so that the whole reading works on two arrays (rows,
groups, 8) and no number moves. How each operation rounds: `gpu_arithmetic.py`.
"""

import dataclasses
import functools
from typing import Any

import jax
from jax import numpy as jnp
from jax.experimental import pallas
from jax.experimental.pallas import triton
from jaxtyping import Array, Float, UInt32

from photonsim.tiles.gpu_arithmetic import COMPILED, INTERPRETED, Arithmetic
from photonsim.tiles.noise import COMMON_MODE, GROUP, INTENSITY, pair_of_deviates, shared_deviate, tile_keys
from photonsim.tiles.partial_sums import (
    Draws,
    Programmed,
    Readout,
    Shared,
    Sums,
    block_scales,
    convert,
    disturbed,
    dot,
    encode,
    split_blocks,
)

HALF = GROUP // 2


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is fixed when a product is compiled: inputs (m, k), levels (blocks, rows, n), and how they are cut.

    `exact`: whether sums are integers. `cut`: rows and columns of the result for one program, powers of two. `warps`:
    its groups of 32 threads.
    """

    readout: Readout
    m: int
    k: int
    blocks: int
    rows: int
    n: int
    exact: bool
    arithmetic: Arithmetic
    cut: tuple[int, int]
    warps: int

    @property
    def depth(self) -> int:
        """Rows of a tile that are multiplied at a time: a power of two, all if they fit in shared memory."""
        fewest, most = (32, 128) if self.exact else (16, 64)
        return min(max(pallas.next_power_of_2(self.rows), fewest), most)

    @property
    def constant_noise(self) -> bool:
        """Whether the noise of a column is the same for all readings of a block, so that its root is taken but once."""
        return self.readout.noise and not (self.readout.shot_noise or self.readout.square_noise)

    @property
    def columns_used(self) -> list[str]:
        """Which numbers of a tile's columns are read."""
        readout = self.readout
        used = {"noise_variance": readout.noisy, "shot_variance": readout.shot_noise}
        used["square_variance"] = readout.square_noise
        return ["gain", "offset", "scale", *[name for name, on in used.items() if on]]


def plan_of(x: Any, levels: Any, readout: Readout, interpret: bool) -> Plan:
    """Blocks as large as fit in the registers, and not larger than a small product."""
    exact = levels.dtype == jnp.int8 and readout.input_bits is not None and readout.input_bits <= 8
    (m, k), (blocks, rows, n) = x.shape, levels.shape
    largest, warps = LARGEST_CUTS[exact, readout.shot_noise]
    cut = [min(most, max(pallas.next_power_of_2(length), GROUP)) for most, length in zip(largest, (m, n), strict=True)]
    arithmetic = INTERPRETED if interpret else COMPILED
    return Plan(readout, m, k, blocks, rows, n, exact, arithmetic, (cut[0], cut[1]), warps)


# By what compiles without (or with the fewest) registers spilled to memory; never measured on a GPU.
LARGEST_CUTS = {
    (True, False): ((64, 128), 4),
    (True, True): ((128, 64), 8),
    (False, False): ((32, 64), 4),
    (False, True): ((32, 64), 4),
}


def analog_matmul_on_gpu(
    x: Float[Array, "m k"],
    programmed: Programmed,
    readout: Readout,
    shared: Shared,
    key_data: UInt32[Array, "2"],
    row_offset: UInt32[Array, ""] | int = 0,
    interpret: bool = False,
) -> Float[Array, "m n"]:
    """`analog_matmul` of straight lines by the kernel, in float32; `interpret`: by JAX, anywhere, to check it."""
    blocks, rows, columns = programmed.levels.shape
    if not (x.size and programmed.levels.size):
        return jnp.zeros((x.shape[0], columns), jnp.float32)
    plan = plan_of(x, programmed.levels, readout, interpret)
    scales = block_scales(split_blocks(x, rows, axis=-1), axis=-1)[..., 0]  # (m, t)
    tile = {name: getattr(programmed, name) for name in plan.columns_used}
    if plan.constant_noise:
        tile["noise_variance"] = _roots(tile["noise_variance"], plan.arithmetic)
    spreads = jnp.stack([jnp.asarray(each, jnp.float32) for each in (shared.common_mode_codes, shared.intensity_rms)])
    offset = jnp.asarray(row_offset, jnp.uint32)[None]
    operands = (x, scales, programmed.levels, tile, tile_keys(key_data, blocks), spreads, offset)
    down, across = plan.cut
    of_rows, of_columns = (lambda j, i: (i, 0)), (lambda j, i: (0, j))
    in_specs = [
        pallas.BlockSpec((down, plan.k), of_rows),
        pallas.BlockSpec((down, blocks), of_rows),
        pallas.BlockSpec((blocks, rows, across), lambda j, i: (0, 0, j)),
        {name: pallas.BlockSpec((blocks, across), of_columns) for name in tile},
        pallas.BlockSpec((blocks, 2), lambda j, i: (0, 0)),
        pallas.BlockSpec((2,), lambda j, i: (0,)),
        pallas.BlockSpec((1,), lambda j, i: (0,)),
    ]
    return pallas.pallas_call(
        functools.partial(_program, plan),
        grid=(pallas.cdiv(columns, across), pallas.cdiv(plan.m, down)),
        in_specs=in_specs,
        out_specs=pallas.BlockSpec(plan.cut, lambda j, i: (i, j)),
        out_shape=jax.ShapeDtypeStruct((plan.m, columns), jnp.float32),
        compiler_params=triton.CompilerParams(num_warps=plan.warps, num_stages=2),
        interpret=interpret,
        name="analog_matmul",
    )(*operands)


def _roots(variances: Float[Array, "t n"], arithmetic: Arithmetic) -> Float[Array, "t n"]:
    """Standard deviations; by a kernel of their own, since XLA's roots on a GPU are approximate."""
    flat, size = variances.reshape(-1), 1024

    def take(variances, roots):
        inside = pallas.program_id(0) * size + jnp.arange(size) < flat.size
        found = arithmetic.alike(arithmetic.root)(triton.load(variances, mask=inside, other=0.0))
        triton.store(roots, found, mask=inside)

    return pallas.pallas_call(
        take,
        grid=(pallas.cdiv(flat.size, size),),
        in_specs=[pallas.BlockSpec((size,), lambda i: (i,))],
        out_specs=pallas.BlockSpec((size,), lambda i: (i,)),
        out_shape=jax.ShapeDtypeStruct(flat.shape, jnp.float32),
        compiler_params=triton.CompilerParams(num_warps=4),
        interpret=arithmetic is INTERPRETED,
        name="roots",
    )(flat).reshape(variances.shape)


def _program(plan: Plan, x, scales, levels, tile, keys, spreads, offset, out) -> None:
    """One program of the grid; all but the plan are references to memory."""
    (down, across), rows = plan.cut, plan.rows
    j, i = pallas.program_id(0), pallas.program_id(1)
    row_numbers, inner = i * down + jnp.arange(down), jnp.arange(plan.depth)
    in_rows = row_numbers < plan.m if plan.m % down else None
    in_columns = j * across + jnp.arange(across) < plan.n if plan.n % across else None
    first_column = jnp.broadcast_to((j * across).astype(jnp.uint32), (1, 1, 1))
    place = (row_numbers.astype(jnp.uint32) + offset[0])[:, None, None], first_column
    shared = Shared(spreads[0], spreads[1])
    multiply, read = (plan.arithmetic.alike(functools.partial(each, plan)) for each in (_multiply, _read))

    def sums_of(t, s_x, first):
        """Of as many rows of block t as are multiplied at a time."""
        own = first + inner
        in_tile = own < rows if rows % plan.depth else None
        filled = (own < rows) & (t * rows + own < plan.k) if in_tile is not None or plan.k % rows else None
        inputs = _load(x.at[:, pallas.ds(t * rows + first, plan.depth)], in_rows, filled)
        weights = _load(levels.at[t, pallas.ds(first, plan.depth)], in_tile, in_columns)
        return multiply(inputs, filled, s_x, weights)

    def add_block(t, totals):
        s_x = _load(scales.at[:, pallas.ds(t, 1)], in_rows, None)
        sums = sums_of(t, s_x, 0)
        if rows > plan.depth:
            sums = jax.lax.fori_loop(
                1, pallas.cdiv(rows, plan.depth),
                lambda part, sums: jax.tree.map(jnp.add, sums, sums_of(t, s_x, part * plan.depth)), sums,
            )  # fmt: skip
        columns = {name: _load(numbers.at[pallas.ds(t, 1)], None, in_columns) for name, numbers in tile.items()}
        return read(sums, s_x, columns, (keys[t, 0], keys[t, 1]), place, shared, totals)

    zero = jnp.zeros((down, across // GROUP, HALF), jnp.float32)
    halves = jax.lax.fori_loop(0, plan.blocks, add_block, (zero, zero))
    totals = jnp.stack(halves, axis=-1).swapaxes(-1, -2).reshape(plan.cut)
    triton.store(out, totals, mask=_mask(plan.cut, in_rows, in_columns))


def _mask(shape: tuple[int, ...], rows: Array | None, columns: Array | None) -> Array | None:
    """Which places of a matrix there are; `None` for all."""
    parts = [part for part in (None if rows is None else rows[:, None], columns) if part is not None]
    masks = [jnp.broadcast_to(part, shape) for part in parts]
    return functools.reduce(jnp.logical_and, masks) if masks else None


def _load(reference: Any, rows: Array | None, columns: Array | None) -> Array:
    """What a matrix in memory holds, and zero beyond it."""
    mask = _mask(reference.shape, rows, columns)
    return triton.load(reference, mask=mask, other=None if mask is None else 0)


def _multiply(plan: Plan, inputs: Float[Array, "m r"], filled: Any, s_x: Float[Array, "m 1"], levels: Array) -> Sums:
    """What the light of some rows of a block adds up to; integers, if they are exact."""
    readout = plan.readout
    codes = encode(inputs, s_x, readout.input_bits)
    if readout.input_bits == 1 and filled is not None:
        codes = codes * filled.astype(jnp.float32)
    if plan.exact:
        product = functools.partial(jnp.dot, preferred_element_type=jnp.int32)
        operands, magnitudes = (codes.astype(jnp.int8), levels), plan.arithmetic.negative_magnitudes
    else:
        product, operands, magnitudes = dot, (codes, levels.astype(jnp.float32)), jnp.abs
    light = product(*[magnitudes(each) for each in operands]) if readout.shot_noise else None
    squares = jnp.sum(codes * codes, axis=-1, keepdims=True) if readout.square_noise else None
    return Sums(product(*operands), light, squares)


def _read(plan: Plan, sums: Sums, s_x, columns, key, place, shared: Shared, totals):
    """The totals of a program, with the readings of one block added."""
    signals, lights = [
        (None, None) if each is None else _halves(each.astype(jnp.float32)) for each in (sums.signal, sums.light)
    ]
    squares = None if sums.squares is None else sums.squares[:, None]
    per_half = {name: _halves(values) for name, values in columns.items()}
    draws = _draw(plan, key, place, shared)
    root = (lambda deviation: deviation) if plan.constant_noise else plan.arithmetic.root
    unused: dict[str, Any] = dict.fromkeys(("levels", "noise_variance", "shot_variance"))

    def read(half):
        tile = Programmed(**(unused | {name: values[half] for name, values in per_half.items()}))
        value = disturbed(Sums(signals[half], lights[half], squares), draws[half], tile, root)
        return (convert(value, tile, plan.readout, shared) * tile.scale) * s_x[:, None] + totals[half]

    return read(0), read(1)


def _halves(values: Array) -> Any:
    """The first and the second half of each group of columns: (m, n) to twice (m, groups, 8)."""
    grouped = values.reshape(values.shape[0], -1, GROUP)
    return jax.lax.split(grouped, (HALF, HALF), axis=2)


def _draw(plan: Plan, key: Any, place: Any, shared: Shared) -> list[Draws]:
    """What is drawn for the readings of either half; `place`: numbers of the rows, and of the first column."""
    readout, (rows, first_column) = plan.readout, place
    groups = jnp.arange(plan.cut[1] // GROUP, dtype=jnp.uint32)[None, :, None]
    pair = pair_of_deviates(key, rows, first_column // GROUP + groups) if readout.noisy else (None, None)

    def draw(half):
        columns = first_column
        if readout.columns % plan.cut[1]:
            columns = columns + groups * GROUP
        if readout.columns % GROUP:
            columns = columns + half * HALF + jnp.arange(HALF, dtype=jnp.uint32)
        of_tiles = functools.partial(shared_deviate, key, rows, columns // readout.columns)
        factor = 1 + of_tiles(shared.intensity_rms, INTENSITY) if readout.intensity_noise else None
        common = of_tiles(shared.common_mode_codes, COMMON_MODE) if readout.common_mode else None
        return Draws(pair[half], factor, common)

    return [draw(0), draw(1)]
