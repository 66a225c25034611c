"""The noise stream is Philox4x32 and standard normal, and both engines draw the same bits."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from photonsim_kernels import noise as kernel
from photonsim_kernels.generators import tile_key
from scipy import special

from photonsim.tiles import noise

# Random123's kat_vectors of philox4x32: rounds, counter, key, words
PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)
KNOWN_ANSWERS = [
    (7, (0,) * 4, (0,) * 2, (0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48)),
    (7, (0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662)),
    (7, PI[:4], PI[4:], (0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A)),
    (10, (0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (10, (0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (10, PI[:4], PI[4:], (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]
NORMAL_MOMENTS = (0, 1, 0, 3, 0, 15)
NORMAL_MOMENT_VARIANCES = (1, 2, 15, 96, 945, 10170)  # of z^p: (2p - 1)!! - ((p - 1)!!)² for even p

jax_deviates = jax.jit(noise.gaussian_deviates, static_argnums=(1, 2))


@pytest.mark.parametrize(("rounds", "counter", "key", "words"), KNOWN_ANSWERS)
def test_the_generator_gives_the_published_answers(rounds, counter, key, words):
    key, counter = [tuple(jnp.uint32(word) for word in given) for given in (key, counter)]
    assert tuple(int(word) for word in noise.philox4x32(key, counter, rounds)) == words


def test_tile_keys_are_jax_fold_in_on_both_sides(key):
    in_jax = np.asarray(noise.tile_keys(key, 80))
    for t in (0, 1, 77):
        expected = jax.random.key_data(jax.random.fold_in(jax.random.wrap_key_data(key), t))
        assert (in_jax[t] == np.asarray(expected)).all()
        assert tile_key(*np.asarray(key), np.uint32(t)) == tuple(in_jax[t])


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 16), (257, 131), (64, 1000), (0, 5), (5, 0)])
@pytest.mark.parametrize("row_offset", [0, 12345, 2**32 - 2])
def test_both_engines_draw_the_same_bits(key, rows, columns, row_offset):
    drawn = kernel.gaussian_deviates(np.asarray(key), rows, columns, row_offset)
    assert drawn.dtype == np.float32
    assert (np.asarray(jax_deviates(key, rows, columns, jnp.uint32(row_offset))) == drawn).all()


@pytest.mark.parametrize("domain", [noise.COMMON_MODE, noise.INTENSITY])
@pytest.mark.parametrize("tile_columns", [1, 7, 64, 1000])
def test_both_engines_draw_the_same_shared_deviates_once_per_tile(key, tile_columns, domain):
    draw = functools.partial(noise.shared_deviates, domain=domain)
    expected = jax.jit(draw, static_argnums=(1, 2, 3))(key, 21, 133, tile_columns, 3)
    drawn = kernel.shared_deviates(np.asarray(key), 21, 133, tile_columns, 3, domain)
    assert (np.asarray(expected) == drawn).all()
    tiles = -(-133 // tile_columns)
    assert len(np.unique(drawn)) == 21 * tiles


def test_rows_and_columns_keep_their_deviates_whatever_is_drawn_with_them(key):
    whole = kernel.gaussian_deviates(np.asarray(key), 40, 100)
    assert (kernel.gaussian_deviates(np.asarray(key), 10, 50, 30) == whole[30:, :50]).all()


def test_what_columns_share_is_standard_normal_and_independent_of_all_else(key):
    """Common mode, light and the columns' own noise come from three domains of counters."""
    key, size = np.asarray(key), 2**17
    common, light = [
        kernel.shared_deviates(key, size, 1, 1, 0, domain)[:, 0].astype(np.float64)
        for domain in (noise.COMMON_MODE, noise.INTENSITY)
    ]
    own = kernel.gaussian_deviates(key, size, 1)[:, 0].astype(np.float64)
    for z in (common, light):
        _check_moments(z, 4)
        assert _kolmogorov_smirnov(_counts(z)) < 1.95
    for a, b in ((common, light), (common, own), (light, own), (light[1:], light[:-1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(size)


def _check_moments(z, standard_errors):
    """Raw moments to order 6 within their own standard errors."""
    for mean, expected, variance in zip(_moments(z), NORMAL_MOMENTS, NORMAL_MOMENT_VARIANCES, strict=True):
        assert abs(mean - expected) < standard_errors * np.sqrt(variance / z.size)


def _moments(z):
    """Means of z … z^6."""
    square = z * z
    cube = square * z
    sums = z.sum(), square.sum(), cube.sum(), np.dot(square, square), np.dot(square, cube), np.dot(cube, cube)
    return np.array(sums) / z.size


def _check_tails(z, levels):
    """As many deviates beyond each level as a normal distribution has, to 5 Poisson standard deviations."""
    magnitudes = np.abs(z)
    for level in levels:
        expected = z.size * special.erfc(level / np.sqrt(2))
        assert abs(np.count_nonzero(magnitudes > level) - expected) < 5 * np.sqrt(expected) + 1


def _counts(z):
    """Values in each of 2^16 intervals of equal probability."""
    return np.bincount((special.ndtr(z) * 2**16).astype(np.int64), minlength=2**16)


def _distribution_error(counts):
    """Empirical distribution less the normal one, where the normal one is P = 1/2^16 … 1 - 1/2^16; and these P."""
    p = np.arange(1, 2**16) / 2**16
    return np.cumsum(counts)[: 2**16 - 1] / counts.sum() - p, p


def _kolmogorov_smirnov(counts):
    """Greatest distance of the empirical distribution, sqrt(n) D; above 1.95 once in 1000."""
    return np.abs(_distribution_error(counts)[0]).max() * np.sqrt(counts.sum())


def _anderson_darling(counts):
    """A² = n ∫ (F - P)² / (P (1 - P)) dP, as a sum over 2^16 steps: F's error weighted by its own variance, so that
    the tails count as much as the middle. Above 5.97 once in 1000."""
    error, p = _distribution_error(counts)
    return counts.sum() * (np.square(error) / (p * (1 - p))).mean()


def test_anderson_darling_tells_a_normal_distribution_from_a_slightly_wider_one():
    z = np.random.default_rng(0).standard_normal(200_000)
    assert _anderson_darling(_counts(z)) < 5.97
    assert _anderson_darling(_counts(1.01 * z)) > 5.97


def test_deviates_are_standard_normal(key):
    z = kernel.gaussian_deviates(np.asarray(key), 1024, 1024).astype(np.float64).ravel()
    _check_moments(z, 4)
    _check_tails(z, (1, 2, 3, 4))
    counts = _counts(z)
    assert _kolmogorov_smirnov(counts) < 1.95
    assert _anderson_darling(counts) < 5.97


@pytest.mark.slow
def test_a_hundred_million_deviates_are_standard_normal_to_five_and_a_half_sigma(key):
    z = kernel.gaussian_deviates(np.asarray(key), 10_000, 10_000).ravel()
    parts = (part.astype(np.float64) for part in np.split(z, 100))
    moments, counts = zip(*[(_moments(part), _counts(part)) for part in parts], strict=True)
    for mean, expected, variance in zip(np.mean(moments, axis=0), NORMAL_MOMENTS, NORMAL_MOMENT_VARIANCES, strict=True):
        assert abs(mean - expected) < 4 * np.sqrt(variance / z.size)
    _check_tails(z, (1, 2, 3, 4, 5, 5.5))
    counts = np.sum(counts, axis=0)
    assert _kolmogorov_smirnov(counts) < 1.95
    assert _anderson_darling(counts) < 5.97


def test_neighbours_are_independent(key):
    """Rows, columns, the words of a hash, tiles and neighbouring keys: neither values nor squares are correlated."""
    key = np.asarray(key)
    z = kernel.gaussian_deviates(key, 1024, 1024)
    next_tile = kernel.gaussian_deviates(np.asarray(noise.tile_keys(jnp.asarray(key), 2)[1]), 1024, 1024)
    next_key = kernel.gaussian_deviates(key + np.array([0, 1], np.uint32), 1024, 1024)
    halves = z.reshape(1024, 64, 2, 8)
    pairs = [
        (z[1:], z[:-1]),
        (z[:, 1:], z[:, :-1]),
        (halves[:, :, 0], halves[:, :, 1]),
        (z[:, ::2], z[:, 1::2]),
        (z, next_tile),
        (z, next_key),
        (z, z.T),
    ]
    for a, b in pairs:
        for f in (lambda v: v, np.square, np.abs):
            correlation = np.corrcoef(f(a).ravel().astype(np.float64), f(b).ravel().astype(np.float64))[0, 1]
            assert abs(correlation) < 5 / np.sqrt(a.size)


@pytest.mark.parametrize("flipped", range(6))
def test_each_bit_of_key_and_counter_flips_half_of_the_words(flipped):
    """Avalanche of the 7-round generator: 128 output bits, each flipped with probability 1/2."""
    random = np.random.default_rng(flipped)
    words = random.integers(0, 2**32, (6, 2000), dtype=np.uint32)
    hashed = noise.philox4x32(tuple(words[4:]), tuple(words[:4]))
    for bit in range(32):
        changed = words.copy()
        changed[flipped] ^= np.uint32(1 << bit)
        other = noise.philox4x32(tuple(changed[4:]), tuple(changed[:4]))
        flips = sum(int(np.bitwise_count(np.asarray(a ^ b)).sum()) for a, b in zip(hashed, other, strict=True))
        draws = 2000 * 128
        assert abs(flips / draws - 0.5) < 5 * 0.5 / np.sqrt(draws)
