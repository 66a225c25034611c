"""Four ways for a sign to travel: the same answer, and each its own noise, time, conversions and light."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.chip import Chip, describe, load_chip, override, save_chip
from photonsim.errors import PhotonsimError
from photonsim.tiles import Crossbar
from photonsim.tiles.encodings import ENCODINGS

ROWS, COLUMNS, READINGS = 16, 16, 2000
IDEAL = override(load_chip("ideal"), {"tile.rows": ROWS, "tile.columns": COLUMNS, "laser.power_w": 1e-3})
NOISY = {"receiver.shot_noise": True, "receiver.responsivity_a_per_w": 1.0}
each_encoding = pytest.mark.parametrize("encoding", sorted(ENCODINGS))


def crossbar(chip: Chip) -> Crossbar:
    """The chip's tile, known to be a crossbar."""
    assert isinstance(chip.tile, Crossbar)
    return chip.tile


def encoded(encoding, **changes):
    return override(IDEAL, {"tile.encoding": encoding, **changes})


def product(chip, x, w, seed=0, engine="jax"):
    programmed = chip.program(jnp.asarray(w, jnp.float32))
    answer = chip.matmul(jnp.asarray(x, jnp.float32), programmed, jax.random.key(seed), engine)
    return np.asarray(answer, dtype=np.float64)


def pinned(seed=1):
    """One input vector and a matrix with scales of exactly 1, both signs in each."""
    rng = np.random.default_rng(seed)
    x, w = rng.uniform(-1, 1, ROWS), rng.uniform(-1, 1, (ROWS, COLUMNS))
    x[:2], w[0] = (1.0, -1.0), 1.0
    return x.astype(np.float32), w.astype(np.float32)


@each_encoding
@settings(max_examples=5)
@given(seed=st.integers(0, 2**31))
def test_every_encoding_multiplies_exactly_when_nothing_disturbs_it(encoding, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(5, 40)).astype(np.float32), rng.normal(size=(40, 20)).astype(np.float32)
    # float32 sums of k products; raised weights are read as sums of up to 3 max |w| Σ |x|, of which most cancels
    bound = (40 + 8) * 2.0**-23 * 4 * np.abs(w).max() * np.abs(x).sum(1, keepdims=True)
    assert (np.abs(product(encoded(encoding), x, w) - x.astype(np.float64) @ w) <= bound).all()


@each_encoding
def test_levels_and_codes_are_the_same_numbers_in_every_encoding(encoding):
    """10-bit inputs and 7-bit weights: products of the same integers, so the same answer, on either engine."""
    rng = np.random.default_rng(0)
    x, w = rng.uniform(-2, 2, (6, 40)), rng.normal(size=(40, 20))
    x[:, ::ROWS], x[:, 1::ROWS] = 3.0, -3.0  # both signs have one block scale
    bits = {"input_dac.bits": 10, "cell.bits": 7}
    expected = product(encoded("differential", **bits), x, w)
    np.testing.assert_allclose(product(encoded(encoding, **bits), x, w), expected, atol=2e-4)
    chip = encoded(encoding, **bits)
    stored = chip.compact(chip.program(jnp.asarray(w, jnp.float32)))
    fast = chip.matmul(jnp.asarray(x, jnp.float32), stored, jax.random.key(0), "numba")
    np.testing.assert_allclose(fast, expected, atol=2e-4)


def shot_law(encoding, x, w, chip):
    """Variance of each output, from the light on its diodes: the table of `encodings.py`."""
    n = float(crossbar(chip).photons_per_mac * crossbar(chip).laser.photon_energy_j) / 1.602176634e-19
    size = np.abs(x)
    if encoding == "offset":
        return (2 * size @ (1 + w) + size.sum()) / n
    return np.full(COLUMNS, ROWS / (4 * 0.5) / n) if encoding == "coherent" else size @ np.abs(w) / n


@each_encoding
def test_shot_noise_is_that_of_the_light_each_encoding_needs(encoding):
    x, w = pinned()
    chip = encoded(encoding, **NOISY, **{"laser.power_w": 2e-5})
    y = product(chip, np.tile(x, (READINGS, 1)), w)
    law = shot_law(encoding, x, w, chip)
    # READINGS × COLUMNS draws, but the reference that all columns share is drawn READINGS times only
    error = np.sqrt(2 / READINGS) * (0.35 if encoding == "offset" else 1 / np.sqrt(COLUMNS))
    assert (y.var(0) / law).mean() == pytest.approx(1, abs=5 * error)
    assert np.abs(y.var(0) / law - 1).max() < 5 * np.sqrt(2 / READINGS)
    assert (np.abs(y.mean(0) - x @ w) < 5 * np.sqrt(law / READINGS)).all()


def test_homodyne_noise_does_not_depend_on_the_signal_and_falls_with_the_lights_share():
    x, w = pinned()
    spreads = []
    for share, scale in ((0.5, 1.0), (0.5, 0.1), (0.8, 1.0)):
        chip = override(
            encoded("coherent", **NOISY), {"tile.encoding": {"kind": "coherent", "local_oscillator_share": share}}
        )
        dim = x * scale
        dim[:2] = 1.0, -1.0  # the scale of the block stays 1
        spreads.append(product(chip, np.tile(dim, (READINGS, 1)), w).var(0).mean())
    error = 5 * np.sqrt(2 / READINGS / COLUMNS) * np.sqrt(2)
    assert spreads[0] / spreads[1] == pytest.approx(1, abs=error)
    assert spreads[2] / spreads[0] == pytest.approx(0.5 / 0.2, rel=error)  # 1 / (1 − a): less light for the inputs


def test_two_passes_read_every_other_noise_twice():
    x, w = pinned()
    noise = {"adc.noise_rms": 1e-2}
    once, twice = (
        product(encoded(each, **noise), np.tile(x, (READINGS, 1)), w).var(0).mean()
        for each in ("differential", "two-pass")
    )
    assert twice / once == pytest.approx(2, rel=5 * np.sqrt(2 / READINGS / COLUMNS) * np.sqrt(2))


def test_what_the_raised_weights_add_is_taken_off_with_the_light_of_the_same_moment():
    """The laser's tremor multiplies cells and reference alike: the answer trembles, what was raised does not."""
    x, w = pinned()
    y = product(encoded("offset", **{"laser.rin_db_per_hz": -120.0}), np.tile(x, (200, 1)), w)
    relative = y / (x @ w)
    np.testing.assert_allclose(relative, np.tile(relative[:, :1], COLUMNS), atol=1e-3)
    bandwidth_hz = float(IDEAL.clock_hz) / 2
    assert relative[:, 0].std() == pytest.approx(np.sqrt(1e-12 * bandwidth_hz), rel=5 / np.sqrt(2 * 200))


def test_a_common_mode_disturbance_of_the_reference_leaves_half_of_that_of_the_doubled_reading():
    """2 (v + c) − (r + c) = y + c, with one c for all columns of the tile."""
    x, w = pinned()
    chip = encoded("offset", **{"die.common_mode_rms": 1e-2})
    error = product(chip, np.tile(x, (400, 1)), w) - x @ w
    np.testing.assert_allclose(error, np.tile(error[:, :1], COLUMNS), atol=1e-4)
    assert error[:, 0].std() == pytest.approx(1e-2 * ROWS, rel=5 / np.sqrt(2 * 400))


@pytest.mark.parametrize(("m", "k", "n"), [(7, 16, 16), (7, 40, 50), (1, 5, 3)])
def test_each_encoding_pays_for_what_it_does(m, k, n):
    down, across = -(-k // ROWS), -(-n // COLUMNS)
    base, offset, passes, coherent = (
        encoded(each).events(2, m, k, n) for each in ("differential", "offset", "two-pass", "coherent")
    )
    assert coherent == base
    assert offset.tile_cycles == base.tile_cycles
    assert offset.output_conversions - base.output_conversions == 2 * m * down * across
    assert offset.weight_writes - base.weight_writes == 2 * k * across
    assert offset.accumulations == 2 * base.accumulations
    for count in ("tile_cycles", "input_conversions", "output_conversions", "accumulations"):
        assert getattr(passes, count) == 2 * getattr(base, count)
    assert passes.weight_writes == base.weight_writes
    assert passes.macs == offset.macs == base.macs


def test_a_reference_column_takes_its_share_of_the_light_and_two_passes_halve_the_rate():
    light = {each: float(crossbar(encoded(each)).photons_per_mac) for each in ENCODINGS}
    assert light["offset"] / light["differential"] == pytest.approx(COLUMNS / (COLUMNS + 1), rel=1e-5)
    assert light["coherent"] == light["two-pass"] == light["differential"]
    assert encoded("two-pass").macs_per_cycle == encoded("differential").macs_per_cycle / 2
    currents = [float(crossbar(encoded(each)).current_per_mac_a) for each in ("coherent", "differential")]
    assert currents[0] == pytest.approx(currents[1], rel=1e-6)  # half the light in the oscillators: 2 √(1/2 · 1/2) = 1


def test_a_batch_has_a_reference_for_each_of_its_products():
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in [(3, 4, 20), (3, 20, 18)])
    keys = jax.random.split(jax.random.key(0), 3)
    chip = encoded("offset", **NOISY)
    batched = chip.matmul(x, chip.program(w), keys, "jax")
    alone = chip.matmul(x[1], chip.program(w[1]), keys[1], "jax")
    np.testing.assert_allclose(batched[1], alone, rtol=1e-4, atol=1e-5)


@each_encoding
def test_an_encoding_is_a_word_in_a_chip_file(encoding, tmp_path):
    chip = encoded(encoding)
    save_chip(chip, tmp_path / "chip.toml")
    assert describe(load_chip(tmp_path / "chip.toml")) == describe(chip)
    back = override(chip, {"tile.encoding": "differential"})
    assert describe(back)["tile"]["encoding"] == "differential"


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("ternary", "tile.encoding.kind = 'ternary' is unknown. Known: coherent"),
        ({"kind": "coherent", "local_oscillator_share": 1.0}, "leaves no light"),
        ({"kind": "offset", "share": 1.0}, "tile.encoding.share does not exist"),
    ],
)
def test_an_encoding_that_cannot_be_is_refused(encoding, message):
    with pytest.raises(PhotonsimError, match=message):
        override(IDEAL, {"tile.encoding": encoding})


def test_a_coherent_tile_takes_no_intensity_modulator():
    modulator = {"kind": "linear", "energy_j": 0.0, "insertion_loss_db": 1.0, "extinction_ratio_db": 20.0}
    with pytest.raises(PhotonsimError, match="writes fields"):
        override(encoded("coherent"), {"tile.modulator": modulator})
