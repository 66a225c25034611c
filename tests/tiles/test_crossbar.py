"""The crossbar's laws: exact when ideal, and as noisy as its light and converters say."""

import dataclasses
import itertools

import equinox as eqx
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.chip import Chip, load_chip, override
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar

IDEAL = load_chip("ideal")
ENVISE = load_chip("lightmatter-envise-2025")
QUIET = {  # Envise with every disturbance off but its converters
    "adc.noise_rms": 0.0,
    "die.common_mode_rms": 0.0,
    "die.gain_spread": 0.0,
    "die.offset_spread": 0.0,
    "die.gain_mean": 1.0,
}


def crossbar(chip: Chip) -> Crossbar:
    """The chip's tile, known to be a crossbar."""
    assert isinstance(chip.tile, Crossbar)
    return chip.tile


def product(chip, x, w, seed=0, engine="jax", row_offset=0):
    return np.asarray(
        chip.matmul(jnp.asarray(x), chip.program(jnp.asarray(w)), jax.random.key(seed), engine, row_offset)
    )


def operands(m, k, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)


SHAPES = [  # m, k, n, rows of a tile of 16 columns: each is a compilation, so those at which something begins or ends
    (1, 1, 1, 1),
    (2, 5, 15, 8),
    (3, 32, 16, 32),
    (4, 64, 33, 32),
    (9, 70, 17, 33),
    (5, 40, 40, 1),
]


@settings(max_examples=30)
@given(st.sampled_from(SHAPES), st.integers(0, 2**31), st.floats(-20, 20))
def test_noise_free_chip_equals_matmul(shape, seed, exponent):
    m, k, n, rows = shape
    x, w = operands(m, k, n, seed)
    x = (x * 10**exponent).astype(np.float32)
    chip = override(IDEAL, {"tile.rows": rows, "tile.columns": 16})
    # float32 sums of k products, each scaled twice: error below (k + 8) ulp of the sum of magnitudes
    bound = (k + 8) * 2.0**-23 * (np.abs(x) @ np.abs(w))
    assert (np.abs(product(chip, x, w) - x.astype(np.float64) @ w) <= bound).all()


@pytest.mark.parametrize("gain", [1.0, 8.0])
def test_converter_error_adds_up_over_tiles_as_a_twelfth_of_a_code_each(gain):
    """The error of each partial sum is uniform over one code: Var[y] = Σ_t (s_x s_w LSB)² / 12, LSB = R / (gain L)."""
    x, w = operands(400, 512, 64)
    chip = override(ENVISE, QUIET | {"input_dac.bits": 16, "cell.bits": 16, "adc.bits": 9, "adc.gain": gain})
    error = product(chip, x, w) - x @ w
    lsb = 128 / gain / 255
    s_x = np.abs(x.reshape(400, 4, 128)).max(-1)
    s_w = np.abs(w.reshape(4, 128, 64)).max(1)
    expected = (s_x**2 @ s_w**2).mean() * lsb**2 / 12
    # 25,600 outputs: relative standard error sqrt(4/5/25600) = 0.6 %; scales are bfloat16 (0.4 %, mean near 0)
    assert (error**2).mean() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("photons", [0.25, 1.0, 4.0, 64.0])
@pytest.mark.parametrize("k", [128, 512])
def test_shot_noise_has_the_published_size_whatever_the_length(photons, k):
    """x ~ U[0,1], w ~ U[-1,1]: RMSE / √K = 0.25 / √n for n photons per MAC in the mean (PILOT-Q's twin check).

    Our photons are per full-scale MAC, and the mean |w x| is 1/4: n_full = 4 n. The ideal receiver turns every photon
    into an electron.
    """
    rng = np.random.default_rng(1)
    x, w = rng.uniform(0, 1, (200, k)).astype(np.float32), rng.uniform(-1, 1, (k, 128)).astype(np.float32)
    tile = crossbar(IDEAL)
    receiver = dataclasses.replace(tile.receiver, shot_noise=True, responsivity_a_per_w=1.2501635)
    tile = dataclasses.replace(tile, receiver=receiver, laser=dataclasses.replace(tile.laser, power_w=1.0))
    chip = dataclasses.replace(IDEAL, tile=tile.with_photons_per_mac(4 * photons))
    x[:, 0], w[0] = 1.0, 1.0  # pin the block scales to 1
    x[:, ::128], w[::128] = 1.0, 1.0
    rmse = np.sqrt(((product(chip, x, w) - x @ w) ** 2).mean() / k)
    # 25,600 outputs: relative standard error of the RMSE 1/√(2·25600) = 0.44 %; the pinned ones add 1 % of light
    assert rmse == pytest.approx(0.25 / np.sqrt(photons), rel=0.03)


def test_shot_noise_of_each_output_follows_its_own_light():
    """Var[y_i] = a_i / n_e with a_i = Σ |w_ij x_j|: columns with more light are noisier in proportion."""
    k, copies = 128, 4000
    w = np.tile(np.linspace(0.05, 1, 16, dtype=np.float32), (k, 1)) * np.where(np.arange(k) % 2, 1, -1)[:, None]
    w[0] = 1.0
    x = np.ones((copies, k), np.float32)
    receiver = dataclasses.replace(crossbar(IDEAL).receiver, shot_noise=True)
    tile = dataclasses.replace(
        crossbar(IDEAL), receiver=receiver, laser=dataclasses.replace(crossbar(IDEAL).laser, power_w=1.0)
    )
    chip = dataclasses.replace(IDEAL, tile=tile.with_photons_per_mac(10.0))
    variance = product(chip, x, w).var(0)
    expected = np.abs(w).sum(0) / float(crossbar(chip).electrons_per_mac)
    # the variance of 4000 normal draws has a relative standard error sqrt(2/4000) = 2.2 %; 4.5 of them over 16 columns
    np.testing.assert_allclose(variance, expected, rtol=0.1)


def test_twice_the_laser_power_is_half_the_shot_variance():
    power = crossbar(override(IDEAL, {"laser.power_w": 0.02}))
    assert float(power.photons_per_mac) == pytest.approx(
        2 * float(crossbar(override(IDEAL, {"laser.power_w": 0.01})).photons_per_mac)
    )
    assert float(power.with_photons_per_mac(3.0).photons_per_mac) == pytest.approx(3.0, rel=1e-6)


def test_detected_photons_follow_from_power_loss_and_clock():
    """1 W · 10^-1 / 128² in 1 ns at 1550 nm: 6.1035e-15 J / 1.2816e-19 J = 47,625 photons."""
    chip = override(IDEAL, {"laser.power_w": 1.0, "tile.insertion_loss_db": 10.0})
    assert float(crossbar(chip).photons_per_mac) == pytest.approx(47_625, rel=1e-3)


def test_measured_noise_has_its_stated_size_at_the_converter():
    """Weights zero but for one unlit row leave noise alone: σ = noise_rms · full scale, over all columns."""
    chip = override(ENVISE, QUIET | {"adc.noise_rms": 5e-3, "die.noise_spread": 0.0, "adc.bits": "none"})
    w = np.zeros((128, 128), np.float32)
    w[0] = 1.0
    x = np.zeros((500, 128), np.float32)
    x[:, 1] = 1.0
    full_scale = 128 / float(crossbar(chip).adc.gain)
    # 64,000 draws: relative standard error 0.28 %
    assert product(chip, x, w).std() == pytest.approx(5e-3 * full_scale, rel=0.012)


def test_measured_noise_needs_no_light():
    """An ideal chip has no laser: noise stated at the converter is there all the same, and that of light is refused."""
    x, w = operands(500, 128, 64)
    chip = override(IDEAL, {"adc.noise_rms": 1e-3})
    error = (product(chip, x, w) - x @ w) / np.abs(x).max(1, keepdims=True) / np.abs(w).max(0)
    # one tile, whose converter spans ±128 products; 32,000 draws: relative standard error 0.4 %, scales bfloat16 0.2 %
    assert error.std() == pytest.approx(1e-3 * 128, rel=0.02)
    with pytest.raises(PhotonsimError, match=r"laser\.power_w = 0 leaves nothing to read"):
        override(IDEAL, {"receiver.tia_noise_a_per_sqrt_hz": 1e-12})


def test_common_mode_moves_the_columns_of_a_tile_together():
    chip = override(ENVISE, QUIET | {"die.common_mode_rms": 5e-3, "adc.bits": "none"})
    w = np.zeros((128, 256), np.float32)
    w[0] = 1.0
    x = np.zeros((400, 128), np.float32)
    x[:, 1] = 1.0
    y = product(chip, x, w)
    np.testing.assert_allclose(y[:, :128], np.tile(y[:, :1], 128), rtol=1e-5)
    assert abs(np.corrcoef(y[:, 0], y[:, 128])[0, 1]) < 0.25  # two tiles, two draws: 5 / √400


def test_a_die_is_a_seed():
    x, w = operands(8, 128, 128)
    quiet = override(ENVISE, {"adc.noise_rms": 0.0, "die.common_mode_rms": 0.0})
    one, same, other = (product(override(quiet, {"die.seed": seed}), x, w) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.5


def test_the_columns_of_a_die_have_the_published_statistics():
    """Envise: gain 0.834 ± 0.037, offset 0.225 ± 0.499 codes of ±1023; 4 × 128 columns, so se = sd/√512."""
    columns = crossbar(ENVISE).die.draw(4, 128)
    assert float(columns.gain.mean()) == pytest.approx(0.834, abs=4 * 0.037 / np.sqrt(512))
    assert float(columns.gain.std()) == pytest.approx(0.037, rel=4 / np.sqrt(2 * 512))
    assert float(columns.offset.mean()) * 1023 == pytest.approx(0.225, abs=4 * 0.499 / np.sqrt(512))


def test_correcting_each_column_removes_what_fabrication_left():
    x, w = operands(64, 256, 200)
    rough = override(ENVISE, {"adc.noise_rms": 0.0, "die.common_mode_rms": 0.0})
    errors = [
        np.abs(product(override(rough, {"die.correction": how}), x, w) - x @ w).mean()
        for how in ("none", "mean", "column")
    ]
    assert errors[0] > 2 * errors[1] > 2 * errors[2]


@pytest.mark.parametrize("encoding", ["differential", "offset"])
def test_a_bent_output_line_bends_what_is_read(encoding):
    """A cube of −10 % of full scale: a sum y of the range V = 8 is read as `y − 0.1 y³ / V²`.

    Raised cells read `(y + X) / 2` and are doubled, the reference reads X, and both converters bend alike.
    """
    x = np.ones((1, 8), np.float32)
    w = np.linspace(-1, 1, 40, dtype=np.float32) * np.ones((8, 1), np.float32)
    w[0] = 1.0  # the scale of every column
    chip = override(IDEAL, {"tile.rows": 8, "tile.columns": 16, "tile.encoding": encoding, "adc.bend.cubic": -0.1})
    read = lambda y: y - 0.1 * y**3 / 8**2  # noqa: E731
    y = w.sum(0)
    expected = read(y) if encoding == "differential" else 2 * read((y + 8) / 2) - read(8.0)
    np.testing.assert_allclose(product(chip, x, w)[0], expected, atol=1e-5)


def test_each_column_has_a_line_of_its_own_which_averaging_does_not_straighten():
    x, w = np.ones((200, 8), np.float32), np.full((8, 32), 0.5, np.float32)
    w[0] = 1.0
    chip = override(IDEAL, {"tile.rows": 8, "tile.columns": 32, "die.inl_rms": 0.01, "adc.noise_rms": 1e-3})
    left = product(chip, x, w).mean(0) - 4.5
    # at 4.5/8 of the range: 8 · 0.01 · √(3/2 (1 − u²)) in the mean square over 32 columns; noise averages to 6e-4
    expected = 0.08 * np.sqrt(1.5 * (1 - (4.5 / 8) ** 2))
    assert left.std() == pytest.approx(expected, rel=4 / np.sqrt(64))


def test_bent_lines_run_by_the_definition_alone():
    x, w = operands(3, 20, 16)
    bent = override(ENVISE, {"die.inl_rms": 1e-3})
    np.testing.assert_array_equal(product(bent, x, w, engine="auto"), product(bent, x, w))
    for engine in ("numba", "pallas"):
        with pytest.raises(PhotonsimError, match=f"no {engine.title()} kernel"):
            product(bent, x, w, engine=engine)


def test_the_same_key_gives_the_same_bits_and_another_key_other_noise():
    x, w = operands(16, 200, 48)
    np.testing.assert_array_equal(product(ENVISE, x, w, seed=3), product(ENVISE, x, w, seed=3))
    assert (product(ENVISE, x, w, seed=3) != product(ENVISE, x, w, seed=4)).mean() > 0.9


def test_a_batch_cut_in_two_gives_the_same_rows():
    x, w = operands(10, 200, 48)
    whole = product(ENVISE, x, w)
    np.testing.assert_array_equal(
        np.vstack([product(ENVISE, x[:3], w), product(ENVISE, x[3:], w, row_offset=3)]), whole
    )


def test_rows_are_answered_one_by_one():
    """Permuting the rows of a noise-free product permutes the answer."""
    x, w = operands(12, 200, 48)
    chip = override(ENVISE, QUIET)
    order = np.random.default_rng(0).permutation(12)
    np.testing.assert_array_equal(product(chip, x[order], w), product(chip, x, w)[order])


def test_a_row_with_a_nan_or_an_infinity_is_nan_and_touches_no_other():
    x, w = operands(6, 200, 48)
    clean = product(ENVISE, x, w)
    x[1, 5], x[4, 150] = np.nan, np.inf
    y = product(ENVISE, x, w)
    assert np.isnan(y[[1, 4]]).all()
    np.testing.assert_array_equal(y[[0, 2, 3, 5]], clean[[0, 2, 3, 5]])


def test_empty_rows_and_columns_give_zero_whatever_the_noise():
    x, w = operands(4, 128, 32)
    x[2], w[:, 7] = 0.0, 0.0
    y = product(ENVISE, x, w)
    assert (y[2] == 0).all()
    assert (y[:, 7] == 0).all()


def test_more_bits_never_hurt_a_quiet_chip():
    x, w = operands(64, 256, 64)
    errors = [
        np.square(product(override(ENVISE, QUIET | {"adc.bits": bits, "adc.gain": 4.0}), x, w) - x @ w).mean()
        for bits in range(4, 13)
    ]
    assert all(worse > better * 0.99 for worse, better in itertools.pairwise(errors))
    assert errors[0] > 100 * errors[-1]


def test_batched_products_are_the_products_of_the_batch():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 5, 70)).astype(np.float32), rng.normal(size=(3, 70, 20)).astype(np.float32)
    keys = jax.random.split(jax.random.key(0), 3)
    batched = ENVISE.matmul(jnp.asarray(x), ENVISE.program(jnp.asarray(w)), keys, "jax")
    for b in range(3):
        alone = ENVISE.matmul(jnp.asarray(x[b]), ENVISE.program(jnp.asarray(w[b])), keys[b], "jax")
        np.testing.assert_array_equal(batched[b], alone)


def test_storing_levels_narrowly_changes_nothing():
    x, w = operands(7, 300, 40)
    programmed = ENVISE.program(jnp.asarray(w))
    stored = ENVISE.compact(programmed)
    assert stored.levels.dtype == jnp.int8
    key = jax.random.key(0)
    np.testing.assert_array_equal(
        ENVISE.matmul(jnp.asarray(x), programmed, key, "jax"), ENVISE.matmul(jnp.asarray(x), stored, key, "jax")
    )


def test_gradients_reach_inputs_weights_and_the_chip():
    """Straight through the rounding, the gradient of a quiet chip is that of the exact product."""
    x, w = operands(5, 130, 20)
    quiet = override(ENVISE, QUIET | {"adc.gain": 1.0})

    def loss(x, w, chip):
        return jnp.sum(chip.matmul(x, chip.program(w), jax.random.key(0), "jax") ** 2)

    exact_x, exact_w = 2 * (x @ w) @ w.T, 2 * x.T @ (x @ w)
    on_x, on_w = jax.jit(jax.grad(lambda x, w: loss(x, w, quiet), (0, 1)))(x, w)
    # the two differ by the chip's error in y, and by inputs clipped at a bfloat16 scale just below their largest
    for on, exact in ((on_x, exact_x), (on_w, exact_w)):
        assert np.linalg.norm(on - exact) < 0.15 * np.linalg.norm(exact)
    noisy = override(ENVISE, {"receiver.shot_noise": True})
    by_chip = eqx.filter_jit(eqx.filter_grad(lambda chip: loss(jnp.asarray(x), jnp.asarray(w), chip)))(
        jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32) if isinstance(leaf, float) else leaf, noisy)
    )
    assert np.isfinite(float(by_chip.tile.laser.power_w))
    assert float(by_chip.tile.laser.power_w) != 0


@given(st.integers(1, 3), st.integers(1, 300), st.integers(1, 500), st.integers(1, 400))
def test_event_counts_equal_a_walk_through_every_pass(batch, m, k, n):
    """Count by brute force: every tile that the matrix fills, every symbol it streams."""
    tile = crossbar(ENVISE)
    counts = ENVISE.events(batch, m, k, n)
    cycles = writes = cells = inputs = outputs = 0
    for _ in range(batch):
        for top in range(0, k, tile.rows):
            for left in range(0, n, tile.columns):
                used_rows, used_columns = min(tile.rows, k - top), min(tile.columns, n - left)
                writes += 1
                cells += used_rows * used_columns
                cycles += m
                inputs += m * used_rows
                outputs += m * used_columns
    assert (counts.tile_cycles, counts.tile_writes, counts.weight_writes) == (cycles, writes, cells)
    assert (counts.input_conversions, counts.output_conversions) == (inputs, outputs)
    assert counts.macs == batch * m * k * n


def test_twice_the_tile_is_a_quarter_of_the_passes():
    small, large = (
        override(ENVISE, {"tile.rows": size, "tile.columns": size}).events(1, 100, 1024, 1024) for size in (64, 128)
    )
    assert small.tile_cycles == 4 * large.tile_cycles


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile.rows": 0}, r"tile\.rows = 0 must be a whole number"),
        ({"laser.power_w": -1.0}, r"laser\.power_w = -1 must be at least 0"),
        ({"laser.wall_plug_efficiency": 1.3}, "cannot give out more"),
        ({"tile.clock_hz": float("nan")}, "finite number"),
        ({"adc.range_policy": "sigmas"}, "Did you mean sigma"),
        ({"die.correction": "magic"}, "unknown"),
    ],
)
def test_impossible_physics_is_refused(change, message):
    with pytest.raises(PhotonsimError, match=message):
        override(ENVISE, change)


def test_an_unknown_engine_is_refused():
    with pytest.raises(PhotonsimError, match="engine"):
        product(IDEAL, *operands(2, 3, 4), engine="fpga")
