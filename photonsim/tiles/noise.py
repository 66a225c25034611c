"""Where the noise comes from: a counter-based generator and the map from its words to standard normal deviates.

A counter-based generator has no state. The random word of an event is a keyed hash of the event's own number, so it
does not matter who draws first, on how many threads, or in how many batches: the deviate of (key, tile, row, column)
is one fixed number, and every engine that evaluates the same formula gets the same bits. The hash is Philox4x32
(Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC'11), with 7 rounds, the fewest with which
it passed all tests of its authors; here it passes the statistical checks of `tests/kernels`. The two words of a JAX key
are its key, and the key of a tile is `jax.random.fold_in` of the site's key. Its counter is (row, 0, lane, domain).

One hash gives four words, and by the Box-Muller transform, two pairs of deviates: of the words (1, 3), and of (0, 2),
called `word0` and `word1` here:

    u = (word0 >> 1) / 2^31 + 2^-32  in (0, 1]        radius  r = sqrt(-2 ln u) <= 6.66
    φ = π/2 · int32(word1) / 2^31    in [-π/2, π/2)   z = ± r cos φ and z' = ± r sin φ, the sign from bit 0 of word 0

(half a turn and a sign make a whole turn). Columns go in groups of 16: the first 8 are the cosines of 4 hashes, the
last 8 their sines. So a processor that multiplies four words at once into 64 bits, a word and its neighbour side by
side, fills 16 neighbouring columns without moving data between lanes.

The logarithm, sine and cosine are our own polynomials, since a library's would differ between engines. They use only
integer operations, IEEE multiplication, square root, and additions of which exactly one operand is a product, so that
there is one way only to contract them into fused multiply-adds: engines that contract agree bit for bit. Errors: 2e-7
relative in r², 5e-8 in sine and cosine.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Float32, Int32, UInt32

ROUNDS = 7
MULTIPLIERS, WEYL = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)
GROUP, HASHES = 16, 4  # columns that are drawn together, and by how many hashes
# Domains of counters: deviates of single readings, what the columns of a tile share, and the light's intensity
OWN, COMMON_MODE, INTENSITY = 0, 1, 2

# -2 ln(1 + f) / f on [-1/3, 1/3]: minimax, then rounded to float32
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
# sin(t π/2) / t and cos(t π/2) in t² on [0, 1]
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
TWO_THIRDS = 0x3F2AAAAB  # the bits of 2/3 as float32
TWO_LN2_FIXED_POINT = 23258160  # 2 ln 2 · 2^24


Words = tuple[UInt32[Array, "..."], UInt32[Array, "..."]]


def philox4x32(key: Words, counter: tuple[UInt32[Array, "..."], ...], rounds: int = ROUNDS) -> tuple[Array, ...]:
    """Four random words for a four-word counter under a two-word key; the arrays broadcast against each other."""
    a, b, c, d = counter
    for done in range(rounds):
        key0, key1 = (word + jnp.uint32(done * weyl & 0xFFFFFFFF) for word, weyl in zip(key, WEYL, strict=True))
        (high0, low0), (high1, low1) = _product(a, MULTIPLIERS[0]), _product(c, MULTIPLIERS[1])
        a, b, c, d = high1 ^ (b ^ key0), low1, high0 ^ (d ^ key1), low0
    return a, b, c, d


def _product(word: UInt32[Array, "..."], multiplier: int) -> Words:
    """Upper and lower 32 bits of a product. (`jax.lax.mulhi` does not compile for several devices, in JAX 0.10.2.)"""
    with jax.enable_x64(True):
        product = word.astype(jnp.uint64) * jnp.uint64(multiplier)
        return (product >> jnp.uint64(32)).astype(jnp.uint32), product.astype(jnp.uint32)


def tile_keys(key_data: UInt32[Array, "2"], blocks: int) -> UInt32[Array, "{blocks} 2"]:
    """The keys of tile blocks 0 … blocks - 1: block t has the words of `jax.random.fold_in(key, t)`.

    JAX's own generator, and all at once: XLA would fuse an unrolled one into every element that uses the key, and take
    minutes to compile it.
    """
    key = jax.random.wrap_key_data(key_data, impl="threefry2x32")
    return jax.random.key_data(jax.vmap(lambda t: jax.random.fold_in(key, t))(jnp.arange(blocks, dtype=jnp.uint32)))


def gaussian_deviates(
    key_data: UInt32[Array, "2"], rows: int, columns: int, row_offset: UInt32[Array, ""] | int
) -> Float32[Array, "{rows} {columns}"]:
    """Standard normal deviates of the rows numbered from `row_offset` and of the columns 0 … columns - 1."""
    groups = -(-columns // GROUP)
    key, numbers = (key_data[0], key_data[1]), _row_numbers(rows, row_offset)
    pair = pair_of_deviates(key, numbers[:, None, None], jnp.arange(groups, dtype=jnp.uint32)[None, :, None])
    return jnp.stack(pair, axis=2).reshape(rows, groups * GROUP)[:, :columns]


def pair_of_deviates(
    key: Words, rows: UInt32[Array, "*b 1"], groups: UInt32[Array, "*b 1"]
) -> tuple[Float32[Array, "*b 8"], Float32[Array, "*b 8"]]:
    """The deviates of the first and of the second half of groups of columns."""
    lanes = groups * jnp.uint32(HASHES) + jnp.arange(HASHES, dtype=jnp.uint32)
    words = philox4x32(key, (rows, jnp.uint32(0), lanes, jnp.uint32(OWN)))
    pairs = [jnp.stack([words[odd], words[odd - 1]], axis=-1) for odd in (1, 3)]
    word0, word1 = (pair.reshape(*pair.shape[:-2], GROUP // 2) for pair in pairs)
    radius, (cosine, sine) = _signed_radius(word0), _half_turn(word1)
    return radius * cosine, radius * sine


def shared_deviates(
    key_data: UInt32[Array, "2"],
    rows: int,
    columns: int,
    tile_columns: int,
    row_offset: UInt32[Array, ""] | int,
    standard_deviation: Float[Array, ""] | float = 1.0,
    domain: int = COMMON_MODE,
) -> Float32[Array, "{rows} {columns}"]:
    """One normal deviate per row and tile of `tile_columns` columns, repeated over the tile's columns.

    `domain`: the counters it is drawn from, `COMMON_MODE` or `INTENSITY`.
    """
    key, numbers = (key_data[0], key_data[1]), _row_numbers(rows, row_offset)
    tiles = jnp.arange(-(-columns // tile_columns), dtype=jnp.uint32)
    deviates = shared_deviate(key, numbers[:, None], tiles[None, :], standard_deviation, domain)
    return jnp.repeat(deviates, tile_columns, axis=1)[:, :columns]


def shared_deviate(
    key: Words,
    rows: UInt32[Array, "..."],
    tiles: UInt32[Array, "..."],
    standard_deviation: Float[Array, ""] | float,
    domain: int,
) -> Float32[Array, "..."]:
    """The normal deviate of a row and a tile, by their numbers, times a standard deviation.

    Which is multiplied in before the sign is chosen. A compiler that shares the product between the columns cannot fuse
    it into the addition that follows, one that does not could; this way neither can.
    """
    _, word0, _, word1 = philox4x32(key, (rows, jnp.uint32(0), tiles, jnp.uint32(domain)))
    magnitudes = standard_deviation * (jnp.abs(_signed_radius(word0)) * _half_turn(word1)[0])
    return jnp.where(word0 & 1, -magnitudes, magnitudes)


def _row_numbers(rows: int, row_offset: UInt32[Array, ""] | int) -> UInt32[Array, "{rows}"]:
    return jnp.arange(rows, dtype=jnp.uint32) + jnp.asarray(row_offset, jnp.uint32)


def _signed_radius(word: UInt32[Array, "..."]) -> Float32[Array, "..."]:
    """±sqrt(-2 ln u): u from the upper 31 bits, the sign from the lowest.

    u = 2^e (1 + f) with f in [-1/3, 1/3]; then -2 ln u = -2 ln(1 + f) - e · 2 ln 2. The second term is computed in
    fixed point, so that the sum has one product only; hence everything is scaled by 2^24 until after the root.
    """
    u = (word >> 1).astype(jnp.int32).astype(jnp.float32) * jnp.float32(2.0**-31) + jnp.float32(2.0**-32)
    bits = _bits(u)
    exponent = (bits - TWO_THIRDS) >> 23
    f = jax.lax.bitcast_convert_type(bits - (exponent << 23), jnp.float32) - jnp.float32(1)
    scaled_log = horner(f, [c * 2.0**24 for c in LOG_POLYNOMIAL])
    square = f * scaled_log + (exponent * -TWO_LN2_FIXED_POINT).astype(jnp.float32)
    radius = jnp.sqrt(square) * jnp.float32(2.0**-12)
    return jax.lax.bitcast_convert_type(_bits(radius) ^ (word << 31).astype(jnp.int32), jnp.float32)


def _half_turn(word: UInt32[Array, "..."]) -> tuple[Float32[Array, "..."], Float32[Array, "..."]]:
    """Cosine and sine of the angle π/2 · int32(word) / 2^31."""
    t = word.astype(jnp.int32).astype(jnp.float32) * jnp.float32(2.0**-31)
    square = t * t
    return horner(square, COSINE_POLYNOMIAL), t * horner(square, SINE_POLYNOMIAL)


def horner(x: Float[Array, "..."], coefficients: tuple[float, ...] | list[float]) -> Float[Array, "..."]:
    """Σ_i coefficients[i] · x^i: one product in each addition."""
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + jnp.float32(coefficient)
    return value


def _bits(value: Float32[Array, "..."]) -> Int32[Array, "..."]:
    return jax.lax.bitcast_convert_type(value, jnp.int32)
