"""Outlier columns: multiplied digitally, counted, and the reason an 8-bit input converter can live with them."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.errors import PhotonsimError
from photonsim.swap import OutliersDigital, SplitOutliers, outlier_columns, policy, share_out, simulate

ROWS, INNER, OUT = 24, 64, 32
OUTLIERS = (3, 40)


@pytest.fixture(scope="module")
def operands():
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (ROWS, INNER))
    x = x.at[5, OUTLIERS[0]].set(60.0).at[:, OUTLIERS[1]].multiply(80.0)
    return {"w": jax.random.normal(keys[1], (INNER, OUT))}, x


def model(params, x):
    return x @ params["w"]


def test_on_an_exact_chip_the_split_changes_nothing(exact, operands):
    params, x = operands
    answer = simulate(model, exact, policy("outliers-digital"))(params, x)
    np.testing.assert_allclose(answer, model(params, x), rtol=0, atol=1e-3)


def test_a_threshold_that_nothing_exceeds_leaves_the_chip_s_own_answer(noisy, operands):
    params, x = operands
    split = simulate(model, OutliersDigital(noisy, 1e6), seed=3)(params, x)
    np.testing.assert_allclose(split, simulate(model, noisy, seed=3)(params, x), rtol=0, atol=1e-5)


def test_columns_taken_out_save_the_small_numbers_beside_them(operands):
    """6-bit inputs have 31 steps up to the largest of a row: beside a value of 200, those below 3 are rounded to 0."""
    params, x = operands
    chip = override(load_chip("ideal"), {"input_dac.bits": 6})
    small = jnp.delete(jnp.arange(INNER), jnp.array(OUTLIERS))
    expected = x[:, small] @ params["w"][small]
    taken = x[:, jnp.array(OUTLIERS)] @ params["w"][jnp.array(OUTLIERS)]

    def error(rules):
        return float(jnp.linalg.norm(simulate(model, chip, rules)(params, x) - taken - expected))

    # 31 steps on either side of numbers of at most about 3: an error of 3 / 31 / sqrt(12) = 3 % of their spread
    assert error(policy("outliers-digital")) < 0.06 * float(jnp.linalg.norm(expected))
    assert error([]) > 5 * error(policy("outliers-digital"))


def test_the_counted_columns_are_those_above_the_threshold(exact, operands):
    params, x = operands
    simulation = simulate(model, exact, policy("outliers-digital"))
    assert outlier_columns(simulation, params, x) == {"w": len(OUTLIERS)}


def test_a_scan_counts_the_mean_of_its_trips(exact):
    def layers(params, x):
        return jax.lax.scan(lambda x, w: (x @ w, None), x, params["w"])[0]

    params = {"w": jnp.stack([100.0 * jnp.eye(4), jnp.eye(4), jnp.eye(4), jnp.eye(4)])}
    counted = outlier_columns(simulate(layers, exact, policy("outliers-digital")), params, jnp.ones((2, 4)))
    assert counted == {"w": 3.0}  # none in the first trip, all four in the three after it


def test_coverage_shares_a_product_out_by_its_columns(exact, operands):
    params, x = operands
    simulation = simulate(model, exact, policy("outliers-digital"))
    table = share_out(simulation.coverage(params, x), outlier_columns(simulation, params, x))
    assert table.macs_total == ROWS * INNER * OUT
    assert table.macs_on_chip == ROWS * (INNER - len(OUTLIERS)) * OUT
    assert table.as_dict()["sites"][0]["digital_columns"] == len(OUTLIERS)


def test_the_split_jits_and_programs_once(operands):
    params, x = operands
    envise = load_chip("lightmatter-envise-2025")
    simulation = simulate(model, envise, policy("outliers-digital"))
    tiles = simulation.program(params, x)
    jitted = jax.jit(simulation.run)(tiles, params, x)
    np.testing.assert_allclose(jitted, simulation(params, x), rtol=1e-5, atol=1e-3)


def test_a_threshold_must_be_positive(exact):
    with pytest.raises(PhotonsimError, match="threshold = 0 must be above 0"):
        SplitOutliers(0.0)(exact)
