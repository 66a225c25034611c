"""The noise stream: Threefry2x32 and the Gaussian map. The same numbers as `photonsim.tiles.noise`, which explains.

`threefry2x32` is the generator on plain integers. `emit_deviates` writes the generator and the map as vector code into
whichever kernel needs deviates, so that they are used while they are still in registers. One call of it per 16 columns
takes about 1 ns per deviate and core (`kernels/README.md`).
"""

import numpy as np
from numba import types, uint32
from numba.core import cgutils

from photonsim_kernels import simd
from photonsim_kernels.compiled import compiled, emitted

KEY_ROUNDS = 20
DEVIATE_ROUNDS = 13
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
GROUP = 2 * simd.LANES  # columns that share 8 hashes
GROUPS = 4  # of columns whose deviates are computed in alternation; 1 took half as long again
COMMON_MODE, INTENSITY = 0x80000000, 0xC0000000

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

_ROTATIONS = np.array(ROTATIONS, np.uint32).ravel()


@compiled
def threefry2x32(key0, key1, counter0, counter1, rounds):
    """Two random words of a two-word counter under a two-word key."""
    words = (uint32(key0), uint32(key1), uint32(key0 ^ key1 ^ uint32(PARITY)))
    a, b = uint32(counter0 + words[0]), uint32(counter1 + words[1])
    for done in range(1, rounds + 1):
        a = uint32(a + b)
        bits = _ROTATIONS[(done - 1) % 8]
        b = uint32(uint32(uint32(b << bits) | uint32(b >> uint32(uint32(32) - bits))) ^ a)
        if done % 4 == 0:
            injection = done // 4
            a = uint32(a + words[injection % 3])
            b = uint32(b + uint32(words[(injection + 1) % 3] + uint32(injection)))
    return a, b


@compiled
def tile_key(key0, key1, t):
    """The key of tile block `t`: the words of `jax.random.fold_in`."""
    return threefry2x32(uint32(key0), uint32(key1), uint32(0), uint32(t), KEY_ROUNDS)


def emit_threefry(builder, keys, first, second):
    """Words (word0s, word1s) of the counters (first[i], second[i]); `keys` are three vectors, the third the parity."""
    a = [builder.add(v, keys[0]) for v in first]
    b = [builder.add(v, keys[1]) for v in second]
    for done in range(1, DEVIATE_ROUNDS + 1):
        a = [builder.add(u, v) for u, v in zip(a, b, strict=True)]
        bits = ROTATIONS[(done - 1) // 4 % 2][(done - 1) % 4]
        b = [builder.xor(simd.rotate_left(builder, v, bits), u) for u, v in zip(a, b, strict=True)]
        if done % 4 == 0:
            injection = done // 4
            added = builder.add(keys[(injection + 1) % 3], simd.ints(injection))
            a = [builder.add(u, keys[injection % 3]) for u in a]
            b = [builder.add(v, added) for v in b]
    return a, b


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


def emit_deviates(builder, keys, first, second):
    """Deviates of the counters: those of the cosine branch, and those of the sine branch."""
    word0, word1 = emit_threefry(builder, keys, first, second)
    radii = emit_signed_radius(builder, word0)
    cosines, sines = emit_half_turn(builder, word1)
    return tuple([builder.fmul(r, v) for r, v in zip(radii, values, strict=True)] for values in (cosines, sines))


def emit_keys(builder, key0, key1):
    """The three key vectors of `emit_threefry`."""
    parity = builder.xor(builder.xor(key0, key1), key0.type(PARITY))
    return [simd.splat(builder, word) for word in (key0, key1, parity)]


@emitted
def _store_deviates(typing_context, out, key0, key1, first, first_step, second, second_step):
    """16 deviates at the address `out`: 8 cosines, 8 sines, of the counters (first, second) + lane · (steps)."""
    signature = types.void(types.intp, *[types.uint32] * 6)

    def codegen(context, builder, signature, arguments):
        out, key0, key1, *counters = arguments
        first, first_step, second, second_step = (simd.splat(builder, counter) for counter in counters)
        rows = builder.add(first, builder.mul(first_step, simd.lane_numbers()))
        lanes = builder.add(second, builder.mul(second_step, simd.lane_numbers()))
        for half, values in enumerate(emit_deviates(builder, emit_keys(builder, key0, key1), [rows], [lanes])):
            simd.store(builder, values[0], out, half * 4 * simd.LANES)
        return context.get_dummy_value()

    return signature, codegen


def _deviates_of_rows(groups):
    """`fill(out, rows, key0, key1, row, lane)`: deviates (rows, 4, 16), or the first of the 4 groups of columns."""

    @emitted
    def fill(typing_context, out, rows, key0, key1, row, lane):
        def codegen(context, builder, signature, arguments):
            out, rows, key0, key1, row, lane = arguments
            keys = emit_keys(builder, key0, key1)
            first = builder.add(simd.splat(builder, lane), simd.lane_numbers())
            lanes = [builder.add(first, simd.ints(simd.LANES * p)) for p in range(groups)]
            with cgutils.for_range(builder, rows, intp=simd.LONG) as loop:
                number = builder.add(row, builder.trunc(loop.index, simd.INT))
                halves = emit_deviates(builder, keys, [simd.splat(builder, number)] * groups, lanes)
                start = builder.add(out, builder.mul(loop.index, simd.LONG(4 * GROUP * GROUPS)))
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
    for m in range(rows):
        row = uint32(row_offset + uint32(m))
        for start in range(0, columns, GROUP):
            _store_deviates(group.ctypes.data, key0, key1, row, uint32(0), uint32(start // 2), uint32(1))
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
        for m in range(0, rows, simd.LANES):
            counter = uint32(uint32(domain) | uint32(tile))
            _store_deviates(group.ctypes.data, key0, key1, uint32(row + uint32(m)), uint32(1), counter, uint32(0))
            for i in range(min(simd.LANES, rows - m)):
                for n in range(start, stop):
                    out[m + i, n] = group[i]
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
