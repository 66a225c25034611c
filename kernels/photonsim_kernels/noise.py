"""The noise stream: words of `generators.py` mapped to deviates. The same numbers as `photonsim.tiles.noise` explains.

`emit_deviates` writes generator and map as vector code into whichever kernel needs deviates. One call of it per 16
columns takes about 0.7 ns per deviate and core (`kernels/README.md`).
"""

import numpy as np
from numba import types, uint32
from numba.core import cgutils

from photonsim_kernels import simd
from photonsim_kernels.compiled import compiled, emitted
from photonsim_kernels.generators import HASHES, emit_keys, emit_philox

GROUP = 2 * simd.LANES  # columns that share 4 hashes
GROUPS = 4  # of columns whose deviates are computed in alternation; 1 took half as long again
OWN, COMMON_MODE, INTENSITY = 0, 1, 2  # domains of counters

LOG_POLYNOMIAL = (
    -1.9999996423721313,
    0.9999975562095642,
    -0.6667597889900208,
    0.5002407431602478,
    -0.39590024948120117,
    0.32681238651275635,
    -0.34222662448883057,
    0.31548750400543213,
)
SINE_POLYNOMIAL = (
    1.5707963705062866,
    -0.6459637880325317,
    0.07968992739915848,
    -0.004674157593399286,
    0.00015167852689046413,
)
COSINE_POLYNOMIAL = (
    0.9999999403953552,
    -1.2336982488632202,
    0.2536507546901703,
    -0.020810628309845924,
    0.0008581905858591199,
)
TWO_THIRDS = 0x3F2AAAAB
TWO_LN2_FIXED_POINT = 23258160


def emit_signed_radius(builder, words):
    """±sqrt(-2 ln u), u from the upper 31 bits and the sign from the lowest; see `photonsim.tiles.noise`."""
    numbers = [builder.sitofp(builder.lshr(w, simd.ints(1)), simd.FLOATS) for w in words]
    u = [simd.multiply_add(builder, n, simd.floats(2.0**-31), simd.floats(2.0**-32)) for n in numbers]
    bits = [builder.bitcast(v, simd.INTS) for v in u]
    exponents = [builder.ashr(builder.sub(b, simd.ints(TWO_THIRDS)), simd.ints(23)) for b in bits]
    mantissas = [builder.sub(b, builder.shl(e, simd.ints(23))) for b, e in zip(bits, exponents, strict=True)]
    f = [builder.fsub(builder.bitcast(m, simd.FLOATS), simd.floats(1.0)) for m in mantissas]
    log = simd.polynomial(builder, f, [c * 2.0**24 for c in LOG_POLYNOMIAL])
    powers = [builder.sitofp(builder.mul(e, simd.ints(-TWO_LN2_FIXED_POINT)), simd.FLOATS) for e in exponents]
    squares = [simd.multiply_add(builder, x, p, c) for x, p, c in zip(f, log, powers, strict=True)]
    radii = [builder.fmul(simd.square_root(builder, s), simd.floats(2.0**-12)) for s in squares]
    signs = [builder.shl(w, simd.ints(31)) for w in words]
    signed = [builder.xor(builder.bitcast(r, simd.INTS), s) for r, s in zip(radii, signs, strict=True)]
    return [builder.bitcast(s, simd.FLOATS) for s in signed]


def emit_half_turn(builder, words):
    """Cosines and sines of the angles π/2 · int32(word) / 2^31."""
    t = [builder.fmul(builder.sitofp(w, simd.FLOATS), simd.floats(2.0**-31)) for w in words]
    squares = [builder.fmul(v, v) for v in t]
    cosines = simd.polynomial(builder, squares, COSINE_POLYNOMIAL)
    sines = simd.polynomial(builder, squares, SINE_POLYNOMIAL)
    return cosines, [builder.fmul(v, s) for v, s in zip(t, sines, strict=True)]


def emit_deviates(builder, keys, rows, lanes, domain):
    """Deviates of the counters: those of the cosine branch, and those of the sine branch."""
    word0, word1 = emit_philox(builder, keys, rows, lanes, domain)
    radii = emit_signed_radius(builder, word0)
    cosines, sines = emit_half_turn(builder, word1)
    return tuple([builder.fmul(r, v) for r, v in zip(radii, values, strict=True)] for values in (cosines, sines))


@emitted
def _store_deviates(typing_context, out, key0, key1, row, row_step, lane, lane_step, domain):
    """16 deviates at the address `out`: 8 cosines, 8 sines, of four counters (row, lane) and so many steps on."""

    def codegen(context, builder, signature, arguments):
        out, key0, key1, row, row_step, lane, lane_step, domain = arguments
        keys, domain = emit_keys(builder, key0, key1), builder.zext(domain, simd.LONG)
        rows, lanes = _counters(builder, row, row_step), _counters(builder, lane, lane_step)
        for half, values in enumerate(emit_deviates(builder, keys, [rows], [lanes], domain)):
            simd.store(builder, values[0], out, half * 4 * simd.LANES)
        return context.get_dummy_value()

    return types.void(types.intp, *[types.uint32] * 7), codegen


def _counters(builder, first, step):
    """Numbers a step from one another, from the first on, in 64 bits: a vector of them."""
    first, step = (simd.splat(builder, builder.zext(number, simd.LONG)) for number in (first, step))
    return builder.add(first, builder.mul(step, simd.LONGS(list(range(HASHES)))))


def _deviates_of_rows(groups):
    """`fill(out, rows, key0, key1, row, lane)`: deviates (rows, 4, 16), or the first of the 4 groups of columns."""

    @emitted
    def fill(typing_context, out, rows, key0, key1, row, lane):
        def codegen(context, builder, signature, arguments):
            out, rows, key0, key1, row, lane = arguments
            keys, one = emit_keys(builder, key0, key1), simd.INT(1)
            lanes = [_counters(builder, builder.add(lane, simd.INT(HASHES * p)), one) for p in range(groups)]
            with cgutils.for_range(builder, rows, intp=simd.LONG) as loop:
                number = builder.zext(builder.add(row, builder.trunc(loop.index, simd.INT)), simd.LONG)
                start = builder.add(out, builder.mul(loop.index, simd.LONG(4 * GROUP * GROUPS)))
                halves = emit_deviates(builder, keys, [number] * groups, lanes, simd.LONG(OWN))
                for half, deviates in enumerate(halves):
                    for p, values in enumerate(deviates):
                        simd.store(builder, values, start, 4 * GROUP * p + 4 * simd.LANES * half)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, *[types.uint32] * 4), codegen

    return fill


fill_rows, fill_rows_of_a_group = _deviates_of_rows(GROUPS), _deviates_of_rows(1)


@compiled
def _fill_deviates(out, key0, key1, row_offset):
    rows, columns = out.shape
    group = np.empty(GROUP, np.float32)
    zero, one = uint32(0), uint32(1)
    for m in range(rows):
        row = uint32(row_offset + uint32(m))
        for start in range(0, columns, GROUP):
            lane = uint32(start // GROUP * HASHES)
            _store_deviates(group.ctypes.data, key0, key1, row, zero, lane, one, uint32(OWN))
            for n in range(min(GROUP, columns - start)):
                out[m, start + n] = group[n]


@compiled
def fill_shared(out, key0, key1, domain, row, column, tile_columns):
    """`out[i, j]` = the deviate of row `row + i` and of the tile that column `column + j` belongs to, from the counters
    of a domain."""
    rows, columns = out.shape
    group = np.empty(GROUP, np.float32)
    start = 0
    while start < columns:
        tile = (column + start) // tile_columns
        stop = min(columns, (tile + 1) * tile_columns - column)
        for m in range(0, rows, HASHES):
            first = uint32(row + uint32(m))
            _store_deviates(group.ctypes.data, key0, key1, first, uint32(1), uint32(tile), uint32(0), uint32(domain))
            for i in range(min(HASHES, rows - m)):
                for n in range(start, stop):
                    out[m + i, n] = group[2 * i]
        start = stop


def gaussian_deviates(key, rows: int, columns: int, row_offset: int = 0):
    """Standard normal deviates (rows, columns) in float32 under a key of two uint32 words."""
    out = np.empty((rows, columns), np.float32)
    _fill_deviates(out, np.uint32(key[0]), np.uint32(key[1]), np.uint32(row_offset))
    return out


def shared_deviates(key, rows: int, columns: int, tile_columns: int, row_offset: int = 0, domain: int = COMMON_MODE):
    """One standard normal deviate per row and tile, repeated over the tile's columns: (rows, columns) in float32."""
    out = np.empty((rows, columns), np.float32)
    fill_shared(out, np.uint32(key[0]), np.uint32(key[1]), domain, np.uint32(row_offset), 0, tile_columns)
    return out
