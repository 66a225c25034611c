"""A matrix in a mesh: what its splitters, shifters and light make of it, and what it counts."""

import dataclasses

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.converters import Adc, Dac
from photonsim.devices import Laser, Modulator, Receiver
from photonsim.devices.phase_shifter import PhaseShifter
from photonsim.tiles import Die, Mesh

SHIFTER = PhaseShifter(pi_power_w=30e-3, response_time_s=10e-6)
MESH = Mesh(
    rows=8,
    columns=8,
    clock_hz=1e9,
    insertion_loss_db=3.0,
    cell_loss_db=0.2,
    laser=Laser(power_w=1e-3, wall_plug_efficiency=0.2, wavelength_m=1550e-9),
    input_dac=Dac(None, 0.0),
    modulator=Modulator(0.0),
    phase_shifter=SHIFTER,
    receiver=Receiver(responsivity_a_per_w=1.2501635, energy_j=0.0, shot_noise=False),
    adc=Adc(None, 0.0),
)
KEY_DATA = jax.random.key_data(jax.random.key(0))


def weights(k=16, n=16):
    return np.random.default_rng(0).normal(size=(k, n)).astype(np.float32)


def written(tile, w, cores=2):
    """The matrix that a programmed tile really holds."""
    return np.asarray(tile.matmul(jnp.eye(w.shape[0]), tile.program(jnp.asarray(w), cores), KEY_DATA, "jax"))


def relative_error(tile):
    w = weights()
    return np.linalg.norm(written(tile, w) - w) / np.linalg.norm(w)


def test_homodyne_detection_of_a_real_matrix_hides_unequal_splitters_to_first_order():
    """A splitter's error turns a real matrix by i times a real one, out of phase with the oscillator: σ² is left.

    (A coupler's generator i σ_x, seen from the outside of its cell, is i (cos θ σ_x ± sin θ σ_z), in the phases in
    which the fields of a real matrix are real.) An error of a phase shows in full.
    """
    sigmas = [0.01, 0.02, 0.04]
    errors = [relative_error(dataclasses.replace(MESH, splitter_sigma_rad=sigma)) for sigma in sigmas]
    assert np.polyfit(np.log(sigmas), np.log(errors), 1)[0] == pytest.approx(2.0, abs=0.1)
    trims = [dataclasses.replace(SHIFTER, phase_sigma_rad=sigma) for sigma in sigmas]
    errors = [relative_error(dataclasses.replace(MESH, phase_shifter=trim)) for trim in trims]
    assert np.polyfit(np.log(sigmas), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.1)


def test_self_configuration_is_exact_where_every_cell_reaches_what_it_is_asked_for():
    """Of small meshes most dies are such; the median of seven is told from float rounding only by 1e-6."""
    w = weights(4, 4)
    errors = {}
    for configured in (False, True):
        tile = dataclasses.replace(MESH, rows=4, columns=4, splitter_sigma_rad=0.03, self_configured=configured)
        dies = [dataclasses.replace(tile, die=Die(seed=seed)) for seed in range(7)]
        errors[configured] = np.median([np.abs(written(die, w) - w).max() for die in dies])
    assert errors[True] < 1e-5
    assert errors[False] > 1e-3


def test_a_die_is_a_seed():
    unequal = dataclasses.replace(MESH, splitter_sigma_rad=0.02)
    w = weights()
    first, again = (written(unequal, w) for _ in range(2))
    other = written(dataclasses.replace(unequal, die=Die(seed=1)), w)
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    same = np.tile(weights(8, 8), (1, 2))  # two equal blocks: different on two cores, alike on one
    two, one = written(unequal, same, cores=2), written(unequal, same, cores=1)
    assert np.abs(two[:, :8] - two[:, 8:]).max() > 1e-3
    assert one[:, :8] == pytest.approx(one[:, 8:], abs=1e-6)


def test_a_bit_of_the_phases_halves_the_error():
    bits = [6, 8, 10]
    tiles = [dataclasses.replace(MESH, phase_shifter=dataclasses.replace(SHIFTER, bits=b)) for b in bits]
    errors = [relative_error(tile) for tile in tiles]
    assert np.polyfit(bits, np.log2(errors), 1)[0] == pytest.approx(-1.0, abs=0.1)


def test_homodyne_noise_is_that_of_the_oscillator():
    """Of all outputs alike: Var = 1 / (4 n_in) with n_in photons of one full-scale input, times the largest gain."""
    tile = dataclasses.replace(MESH, receiver=dataclasses.replace(MESH.receiver, shot_noise=True))
    w = weights(8, 8)
    largest = np.linalg.svd(w, compute_uv=False)[0]
    x = np.zeros((600, 8), np.float32)
    x[:, 0] = np.linspace(-1, 1, 600)
    x[:, 1] = 1.0
    got = tile.matmul(jnp.asarray(x), tile.program(jnp.asarray(w), 1), KEY_DATA, "jax")
    photons = float(tile.input_power_w / (tile.laser.photon_energy_j * tile.clock_hz))
    error = (np.asarray(got) - x @ w) / largest
    assert error.std() == pytest.approx(1 / np.sqrt(4 * photons), rel=0.04)  # 4,800 outputs: 1 %
    assert np.corrcoef(np.abs(error).ravel(), np.abs(x @ w).ravel())[0, 1] == pytest.approx(0.0, abs=0.06)


def test_depth_costs_light():
    deeper = dataclasses.replace(MESH, rows=16, columns=16)
    per_input = float(MESH.input_power_w * MESH.rows / (deeper.input_power_w * deeper.rows))
    assert 10 * np.log10(per_input) == pytest.approx(0.2 * (33 - 17), rel=1e-4)  # 2 N + 1 cells


def test_zeros_stay_zeros_and_a_nan_stays_in_its_block():
    w = np.zeros((16, 16), np.float32)
    w[0, 0] = np.nan
    result = written(MESH, w)
    assert np.isnan(result[:8, :8]).all()
    assert np.array_equal(result[8:, 8:], np.zeros((8, 8)))


@pytest.mark.parametrize(("batch", "m", "k", "n"), [(1, 5, 8, 8), (2, 3, 17, 9), (1, 1, 1, 1)])
def test_counts_are_those_of_blocks_played_out(batch, m, k, n):
    blocks = [(top, left) for _ in range(batch) for top in range(0, k, 8) for left in range(0, n, 8)]
    events = MESH.events(batch, m, k, n)
    assert events.tile_writes == len(blocks)
    assert events.tile_cycles == m * len(blocks)
    assert events.weight_writes == len(blocks) * (2 * 8 * 7 // 2 * 2 + 2 * 8 + 8)  # cells' phases, outputs, attenuators
    assert events.input_conversions == sum(m * min(8, k - top) for top, _ in blocks)
    assert events.output_conversions == sum(m * min(8, n - left) for _, left in blocks)
    assert events.macs == batch * m * k * n
