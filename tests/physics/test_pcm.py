"""The phase-change cell: IBM's coefficients, and Monte Carlo against its closed forms."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.devices.pcm import DRIFT_START_S, PcmCell
from photonsim.errors import PhotonsimError

CELL = PcmCell()
CELLS = 40_000


@pytest.mark.parametrize(("g", "spread_us"), [(0.0, 0.26348), (0.5, 0.95271), (1.0, 1.05538)])
def test_the_programming_spread_is_the_published_polynomial(g, spread_us):
    assert 25 * float(CELL.programming_spread(g)) == pytest.approx(spread_us, rel=1e-5)


def test_the_programming_spread_is_largest_at_the_published_conductance():
    """The parabola's vertex, 1.9650 / (2 · 1.1731) = 0.8375 of the maximum, where it is 4.3 % of it."""
    g = jnp.linspace(0, 1, 10_001)
    spread = CELL.programming_spread(g)
    assert float(g[spread.argmax()]) == pytest.approx(0.8375, abs=1e-3)
    assert float(spread.max()) == pytest.approx(0.0435, abs=2e-4)


@pytest.mark.parametrize("g", [0.3, 0.8])
def test_written_cells_scatter_as_the_model_says(g):
    """40,000 cells: a relative standard error of 1/√80000 = 0.35 % in the spread."""
    written = np.asarray(CELL.program(jnp.full(CELLS, g), jax.random.key(0)), np.float64)
    spread = float(CELL.programming_spread(g))
    assert written.std() == pytest.approx(spread, rel=0.015)
    assert written.mean() == pytest.approx(g, abs=4 * spread / CELLS**0.5)


def test_drift_is_a_power_law_whose_exponent_is_the_mean_published_one():
    """E log g(t) = log g₀ − ν̄ log(t / t₀): fitted over five decades; the normal ν is 4.9 σ above zero at g = 0.5."""
    times = DRIFT_START_S * np.geomspace(1, 1e5, 6)
    g = jnp.full(CELLS, 0.5)
    logs = [float(jnp.log(CELL.drift(g, t, jax.random.key(1))).mean()) for t in times]
    mean, spread = CELL.drift_exponent(0.5)
    assert np.polyfit(np.log(times), logs, 1)[0] == pytest.approx(-float(mean), abs=4 * float(spread) / CELLS**0.5)


def test_weak_cells_drift_faster_within_the_published_limits():
    exponents, spreads = CELL.drift_exponent(jnp.asarray([0.0, 0.01, 0.1, 1.0]))
    np.testing.assert_allclose(exponents, [0.1, 0.0957807, 0.0600901, 0.049], rtol=1e-4)
    np.testing.assert_allclose(spreads, [0.045, 0.045, 0.0228823, 0.008], rtol=1e-4)


@pytest.mark.parametrize(("g", "q"), [(1.0, 0.0088), (0.25, 0.0088 / 0.25**0.65), (0.001, 0.2)])
def test_reading_noise_grows_with_the_root_of_the_logarithm_of_time(g, q):
    """ln((t + t_r) / 2 t_r) at t = 20 s is 17.5047: the published factor 4.184 on q g."""
    assert float(CELL.read_spread(g, g, 20.0)) == pytest.approx(q * g * 17.5043**0.5, rel=1e-4)


def test_readings_scatter_as_the_model_says():
    g = jnp.full(CELLS, 0.5)
    readings = np.asarray(CELL.read(g, g, 3600.0, jax.random.key(2)), np.float64)
    assert readings.std() == pytest.approx(float(CELL.read_spread(0.5, 0.5, 3600.0)), rel=0.015)


def test_a_perfect_cell_keeps_what_it_was_given():
    perfect = PcmCell(programming_scale=0.0, drift_scale=0.0, read_scale=0.0)
    g = jnp.linspace(0, 1, 11)
    written = perfect.program(g, jax.random.key(0))
    np.testing.assert_array_equal(written, g)
    drifted = perfect.drift(written, 1e6, jax.random.key(0))
    np.testing.assert_array_equal(perfect.read(written, drifted, 1e6, jax.random.key(0)), g)


def test_levels_are_those_that_the_spread_keeps_apart():
    """∫ dg / (s σ(g)) counts those s standard deviations apart, and one more for both ends."""
    g = np.linspace(0, 1, 10_001)
    expected = 1 + np.mean(1 / (2 * np.asarray(CELL.programming_spread(g), np.float64)))
    assert CELL.levels(2.0) == pytest.approx(expected, abs=1.5)
    assert CELL.levels(6.0) < CELL.levels(2.0) < CELL.levels(1.0)


def test_no_conductance_is_negative():
    assert float(CELL.program(jnp.zeros(1000), jax.random.key(3)).min()) == 0.0


def test_a_cell_without_conductance_is_refused():
    with pytest.raises(PhotonsimError, match="conductance_max_us"):
        PcmCell(conductance_max_us=0.0)
