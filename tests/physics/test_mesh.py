"""Interferometer meshes against Haar unitaries: what they reach, what errors cost, what self-configuration restores."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.devices.mesh import (
    SCHEMES,
    SplitterErrors,
    cell_blocks,
    check_passive,
    decompose,
    draw_fabrication,
    mesh_layout,
    mesh_matrix,
    propagate,
    self_configure,
    turn_shifters,
)
from photonsim.devices.phase_shifter import PhaseShifter
from photonsim.errors import PhotonsimError


def haar(modes, count=1, seed=0):
    """Unitaries drawn evenly: QR of complex normal matrices, with the phases of R's diagonal taken out."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(count, modes, modes)) + 1j * rng.normal(size=(count, modes, modes))
    q, r = np.linalg.qr(z)
    diagonal = np.einsum("bii->bi", r)
    return q * (diagonal / abs(diagonal))[:, None, :]


def as_jax(phases):
    return jax.tree.map(jnp.asarray, phases)


def perfect(phases):
    return SplitterErrors(jnp.zeros_like(phases.theta), jnp.zeros_like(phases.theta))


def distance(a, b):
    """||A − B||_F / √N."""
    return np.linalg.norm(np.asarray(a) - b, axis=(-2, -1)) / np.sqrt(b.shape[-1])


@pytest.mark.parametrize("modes", [1, 2, 3, 8, 13])
def test_a_mesh_has_one_cell_per_pair_of_waveguides_and_the_published_depth(modes):
    depths = {"clements": modes if modes > 2 else modes - 1, "reck": max(2 * modes - 3, 0)}
    for scheme in SCHEMES:
        layout = mesh_layout(modes, scheme)
        assert len(layout.cells) == modes * (modes - 1) // 2 == layout.occupied.sum()
        assert layout.depth == depths[scheme]
        assert all((layer - upper) % 2 == 0 for layer, upper in layout.cells)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("modes", [2, 3, 4, 7, 16])
def test_any_unitary_is_a_mesh(modes, scheme):
    unitary = haar(modes, 2, seed=modes)
    with jax.enable_x64(True):
        phases = as_jax(decompose(unitary, scheme))
        made = np.asarray(mesh_matrix(cell_blocks(phases, perfect(phases), scheme), phases.psi))
    assert np.abs(made - unitary).max() < 1e-6  # rounding gives 1e-15


@pytest.mark.parametrize("matrix", [np.eye(4), np.eye(4)[::-1], np.diag([1, -1, 1j, 1]), np.eye(4)[[1, 0, 3, 2]]])
def test_cells_that_pass_or_cross_everything_leave_no_phase_undefined(matrix):
    with jax.enable_x64(True):
        phases = as_jax(decompose(matrix))
        for each in (phases, self_configure(phases, perfect(phases), "clements")):
            made = mesh_matrix(cell_blocks(each, perfect(each), "clements"), each.psi)
            assert np.abs(np.asarray(made) - matrix).max() < 1e-12


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from(SCHEMES))
def test_a_lossless_mesh_keeps_power_whatever_its_phases(seed, scheme):
    rng = np.random.default_rng(seed)
    layout = mesh_layout(6, scheme)
    theta, phi = rng.uniform(-9, 9, (2, layout.depth, layout.pairs)).astype(np.float32)
    phases = as_jax(type(decompose(np.eye(6)))(theta, phi, rng.uniform(-9, 9, 6).astype(np.float32)))
    errors = draw_fabrication(jax.random.key(seed), 6, scheme).splitter_errors(0.2)
    light = jnp.asarray(rng.normal(size=(3, 6)) + 1j * rng.normal(size=(3, 6)), jnp.complex64)
    out = propagate(cell_blocks(phases, errors, scheme), phases.psi, light)
    power_in, power_out = (np.sum(np.abs(np.asarray(v)) ** 2, -1) for v in (light, out))
    assert power_out == pytest.approx(power_in, rel=1e-5)  # 9 layers of float32 rotations


def test_every_path_of_a_clements_mesh_loses_the_same_and_of_a_reck_mesh_not():
    for scheme in SCHEMES:
        phases = as_jax(decompose(np.eye(8), scheme))
        blocks = cell_blocks(phases, perfect(phases), scheme, loss_db=0.5)
        lost = 1 - np.sum(np.abs(np.asarray(mesh_matrix(blocks, phases.psi))) ** 2, 0)
        if scheme == "clements":
            assert lost == pytest.approx(1 - 10 ** (-0.05 * 8), rel=1e-5)
        else:
            assert lost.max() > 1.2 * lost.min()


def flawed(modes, sigma, count, configure):
    """Distances from `count` Haar unitaries of their meshes with unequal splitters, in float64."""
    with jax.enable_x64(True):
        unitaries = haar(modes, count, seed=modes)
        phases = as_jax(decompose(unitaries))
        errors = draw_fabrication(jax.random.key(1), modes, "clements", (count,)).splitter_errors(sigma)
        if configure:
            phases = jax.vmap(lambda p, e: self_configure(p, e, "clements"))(phases, errors)
        return distance(mesh_matrix(cell_blocks(phases, errors, "clements"), phases.psi), unitaries)


def test_splitter_errors_cost_fidelity_as_their_number_says():
    """Uncorrected, ||dU||²_F / N = 2 (N − 1) σ²: each of N(N−1) splitters adds 2 σ² to ||dU||². Fit the exponent of N.

    For large N this is the published √(2N) σ. Forty meshes each: the mean squares are good to about 4 %.
    """
    sizes, sigma = np.array([4, 16]), 0.01
    mean_square = [(flawed(modes, sigma, 40, configure=False) ** 2).mean() for modes in sizes]
    assert np.polyfit(np.log(sizes - 1), np.log(mean_square), 1)[0] == pytest.approx(1.0, abs=0.1)
    assert mean_square == pytest.approx(2 * (sizes - 1) * sigma**2, rel=0.12)


def test_self_configuration_takes_a_splitter_error_of_two_percent_below_a_thousandth():
    """Most 4 × 4 and typical 16 × 16 meshes are corrected exactly or nearly; published mean (2N/3) σ² for large N."""
    assert np.median(flawed(4, 0.02, 40, configure=True)) < 1e-3
    assert np.median(flawed(16, 0.02, 40, configure=True)) < 1e-3
    rms = np.sqrt((flawed(16, 0.02, 40, configure=True) ** 2).mean())
    assert rms == pytest.approx(2 * 16 / 3 * 0.02**2, rel=0.5)  # few meshes hold most of it: a heavy tail
    assert rms < 0.1 * np.sqrt(2 * 15) * 0.02


def test_a_mesh_refuses_gain():
    with pytest.raises(PhotonsimError, match=r"gain 1\.3 in a passive mesh"):
        decompose(1.3 * np.eye(3))
    with pytest.raises(PhotonsimError, match=r"gain 1\.1 in a passive mesh"):
        check_passive(1.1)
    with pytest.raises(PhotonsimError, match="not unitary"):
        decompose(0.5 * np.eye(3))
    with pytest.raises(PhotonsimError, match="Did you mean clements"):
        decompose(np.eye(3), "clement")


def test_coarse_shifters_err_by_a_twelfth_of_a_step_squared():
    """Rounding to 2π/2^b gives each of N² phases an error δ of variance step²/12, and ||dU||² its mean share of δ².

    A phase on one waveguide turns one row of unit length: all of δ². Its two neighbours' θ and φ are N(N−1) of the N².
    """
    modes, bits = 8, 8
    phases = jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), decompose(haar(modes, 30)))
    shifter = PhaseShifter(pi_power_w=0.0, response_time_s=0.0, bits=bits)
    turned = turn_shifters(phases, shifter, jax.tree.map(jnp.zeros_like, phases))
    made = mesh_matrix(cell_blocks(turned, perfect(turned), "clements"), turned.psi)
    step = 2 * np.pi / 2**bits
    expected = modes * step**2 / 12  # N² phases, each δ² of ||dU||², over N
    assert (distance(made, haar(modes, 30)) ** 2).mean() == pytest.approx(expected, rel=0.15)


def test_light_can_be_mapped_over_and_differentiated():
    phases = jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), decompose(haar(5)[0]))
    fabricated = draw_fabrication(jax.random.key(0), 5, "clements")

    def infidelity(sigma):
        made = mesh_matrix(cell_blocks(phases, fabricated.splitter_errors(sigma), "clements"), phases.psi)
        return jnp.sum(jnp.abs(made - haar(5)[0].astype(np.complex64)) ** 2)

    slope = float(jax.grad(infidelity)(0.05))
    difference = (infidelity(0.051) - infidelity(0.049)) / 0.002
    assert slope == pytest.approx(float(difference), rel=1e-2)
    assert jax.vmap(infidelity)(jnp.array([0.0, 0.05])).shape == (2,)
