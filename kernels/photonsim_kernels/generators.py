"""Random words by their number: Threefry2x32 for the keys of tiles, Philox4x32 for what is drawn under them.

Both are keyed hashes of counters (Salmon, Moraes, Dror, Shaw, SC'11); `photonsim.tiles.noise` says of what. The first
is JAX's own and runs on plain numbers. The second is written into whichever kernel needs words.
"""

import numpy as np
from llvmlite import ir
from numba import uint32

from photonsim_kernels import simd
from photonsim_kernels.compiled import compiled

KEY_ROUNDS = 20  # of Threefry: equal to jax.random.fold_in
PARITY = 0x1BD11BDA
ROTATIONS = np.array([13, 15, 26, 6, 17, 29, 16, 24], np.uint32)

ROUNDS = 7  # of Philox
MULTIPLIERS, WEYL = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)
HASHES = simd.LONGS.count  # of a vector
TOGETHER = 2  # vectors that are hashed in alternation: eight words and what they need fit in 16 registers


@compiled
def tile_key(key0, key1, t):
    """The key of tile block `t`: the words of `jax.random.fold_in`, which hashes (0, t)."""
    words = (uint32(key0), uint32(key1), uint32(key0 ^ key1 ^ uint32(PARITY)))
    a, b = words[0], uint32(t + words[1])
    for done in range(1, KEY_ROUNDS + 1):
        a = uint32(a + b)
        bits = ROTATIONS[(done - 1) % 8]
        b = uint32(uint32(uint32(b << bits) | uint32(b >> uint32(uint32(32) - bits))) ^ a)
        if done % 4 == 0:
            injection = done // 4
            a = uint32(a + words[injection % 3])
            b = uint32(b + uint32(words[(injection + 1) % 3] + uint32(injection)))
    return a, b


def emit_keys(builder, key0, key1):
    """The two words of the key of each round of Philox, in 64 bits: each as one number, and as a vector."""
    words = [builder.zext(key, simd.LONG) for key in (key0, key1)]
    kinds = [(word, simd.splat(builder, word)) for word in words]

    def bumped(times):
        numbers = [times * weyl & 0xFFFFFFFF for weyl in WEYL]
        return [[builder.add(w, _like(w, n)) for w in kind] for kind, n in zip(kinds, numbers, strict=True)]

    return [bumped(times) for times in range(ROUNDS)]


def emit_philox(builder, keys, rows, lanes, domain):
    """Words (word0s, word1s) of the counters (row, 0, lane, domain), vectors of eight: see `photonsim.tiles.noise`.

    Counters are lower halves of 64 bits: vectors of four, or one number where all are the same. So little of the first
    two rounds is done four times, and what goes by the lane alone but once for all rows that are drawn in a loop.
    """
    word0, word1 = [], []
    for first in range(0, len(rows), TOGETHER):
        some = slice(first, first + TOGETHER)
        states = [(row, simd.LONG(0), lane, domain) for row, lane in zip(rows[some], lanes[some], strict=True)]
        for key0, key1 in keys[:-1]:
            states = [_round(builder, key0, key1, state) for state in states]
        key0, key1 = keys[-1]
        pairs = [_last_round(builder, key0, key1, state) for state in states]
        held = simd.in_step(builder, [word for pair in pairs for word in pair])
        word0, word1 = word0 + held[::2], word1 + held[1::2]
    return word0, word1


def _round(builder, key0, key1, state):
    """The four words after a round, in the lower halves: what is above does not matter."""
    a, b, c, d = state
    products = _times(builder, a, MULTIPLIERS[0]), _times(builder, c, MULTIPLIERS[1])
    upper = [builder.lshr(product, _like(product, 32)) for product in products]
    first = _xor(builder, _with_key(builder, b, key0), upper[1])
    third = _xor(builder, _with_key(builder, d, key1), upper[0])
    return first, products[1], third, products[0]


def _last_round(builder, key0, key1, state):
    """The words after the last round, two side by side: the second and the first, the fourth and the third."""
    a, b, c, d = state
    words = []
    for word, other, key, multiplier in ((c, b, key0, MULTIPLIERS[1]), (a, d, key1, MULTIPLIERS[0])):
        mask = _with_key(builder, other, key)
        words.append(_xor(builder, _times(builder, word, multiplier), builder.shl(mask, _like(mask, 32))))
    return [builder.bitcast(word, simd.INTS) for word in words]


def _times(builder, word, multiplier):
    """Products of the lower halves and a number."""
    return builder.mul(builder.and_(word, _like(word, 0xFFFFFFFF)), _like(word, multiplier))


def _with_key(builder, word, key):
    number, vector = key
    return builder.xor(word, vector if _is_vector(word) else number)


def _xor(builder, a, b):
    """Of a number and a vector, or of two of a kind."""
    if _is_vector(a) or _is_vector(b):
        a, b = [word if _is_vector(word) else simd.splat(builder, word) for word in (a, b)]
    return builder.xor(a, b)


def _like(word, number):
    """A constant of the type of a word."""
    return word.type([number] * word.type.count) if _is_vector(word) else word.type(number)


def _is_vector(word):
    return isinstance(word.type, ir.VectorType)
