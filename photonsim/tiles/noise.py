"""Where the noise comes from: a counter-based generator and the map from its words to standard normal deviates.

A counter-based generator has no state. The random word of an event is a keyed hash of the event's own number, so it
does not matter who draws first, on how many threads, or in how many batches: the deviate of (key, tile, row, column)
is one fixed number, and every engine that evaluates the same formula gets the same bits. The hash is Threefry2x32
(Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC'11), the generator of JAX itself; so the
two words of a JAX key are our key, and the key of a tile is `jax.random.fold_in` of the site's key. Keys are made with
the usual 20 rounds. Deviates use 13, the fewest for which Random123 publishes reference answers; they pass the
statistical checks of `tests/kernels` and cost a quarter less (`kernels/README.md`).

One hash gives two words and, by the Box-Muller transform, two deviates:

    u = (word0 >> 1) / 2^31 + 2^-32  in (0, 1]        radius  r = sqrt(-2 ln u) <= 6.66
    φ = π/2 · int32(word1) / 2^31    in [-π/2, π/2)   z = ± r cos φ and z' = ± r sin φ, the sign from bit 0 of word 0

(half a turn and a sign make a whole turn). Columns go in groups of 16: the first 8 are the cosines of 8 hashes, the
last 8 their sines, so that a processor with 8 lanes fills 16 neighbouring columns without moving data between lanes.

The logarithm, sine and cosine are our own polynomials, since a library's would differ between engines. They use only
integer operations, IEEE multiplication, square root, and additions of which exactly one operand is a product, so that
there is one way only to contract them into fused multiply-adds: engines that contract agree bit for bit. Errors: 2e-7
relative in r², 5e-8 in sine and cosine.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Float32, Int32, UInt32

KEY_ROUNDS = 20  # of a key: equal to jax.random.fold_in
DEVIATE_ROUNDS = 13  # of a deviate: Random123's shorter, crush-resistant variant
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
GROUP = 16  # columns that share 8 hashes
# The counters of what the columns of a tile share: a disturbance of their readings, and that of the light
COMMON_MODE, INTENSITY = 0x80000000, 0xC0000000

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


def threefry2x32(
    key: tuple[UInt32[Array, "..."], UInt32[Array, "..."]],
    counter: tuple[UInt32[Array, "..."], UInt32[Array, "..."]],
    rounds: int = KEY_ROUNDS,
) -> tuple[UInt32[Array, "..."], UInt32[Array, "..."]]:
    """Two random words for a two-word counter under a two-word key; the arrays broadcast against each other."""
    words = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(PARITY))
    a, b = counter[0] + words[0], counter[1] + words[1]
    for done in range(1, rounds + 1):
        a = a + b
        b = _rotate_left(b, ROTATIONS[(done - 1) // 4 % 2][(done - 1) % 4]) ^ a
        if done % 4 == 0:
            injection = done // 4
            a = a + words[injection % 3]
            b = b + (words[(injection + 1) % 3] + jnp.uint32(injection))
    return a, b


def _rotate_left(word: UInt32[Array, "..."], bits: int) -> UInt32[Array, "..."]:
    return (word << jnp.uint32(bits)) | (word >> jnp.uint32(32 - bits))


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
    lanes = jnp.arange(groups * (GROUP // 2), dtype=jnp.uint32)
    pair = pair_of_deviates((key_data[0], key_data[1]), _row_numbers(rows, row_offset)[:, None], lanes[None, :])
    parts = [part.reshape(rows, groups, GROUP // 2) for part in pair]
    return jnp.stack(parts, axis=2).reshape(rows, groups * GROUP)[:, :columns]


def pair_of_deviates(
    key: tuple[UInt32[Array, ""], UInt32[Array, ""]], rows: UInt32[Array, "..."], lanes: UInt32[Array, "..."]
) -> tuple[Float32[Array, "..."], Float32[Array, "..."]]:
    """The deviates of the first and of the second half of groups of columns: lane l is column l % 8 of group l // 8."""
    word0, word1 = threefry2x32(key, (rows, lanes), DEVIATE_ROUNDS)
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
    key: tuple[UInt32[Array, ""], UInt32[Array, ""]],
    rows: UInt32[Array, "..."],
    tiles: UInt32[Array, "..."],
    standard_deviation: Float[Array, ""] | float,
    domain: int,
) -> Float32[Array, "..."]:
    """The normal deviate of a row and a tile, by their numbers, times a standard deviation.

    Which is multiplied in before the sign is chosen. A compiler that shares the product between the columns cannot fuse
    it into the addition that follows, one that does not could; this way neither can.
    """
    word0, word1 = threefry2x32(key, (rows, jnp.uint32(domain) | tiles), DEVIATE_ROUNDS)
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
