"""A simulated function keeps the function's signature, and its noise follows from the seed."""

import json
from typing import Any, cast

import equinox as eqx
import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.experimental import sparse

from photonsim.errors import PhotonsimError
from photonsim.swap import Rule, simulate

EPS = float(np.finfo(np.float32).eps)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


PARAMS = {"up": normal(0, 8, 16), "down": normal(1, 16, 4)}
X = normal(2, 5, 8)


def mlp(params, x, *, scale=1.0, activation=jnp.tanh):
    return scale * activation(x @ params["up"]) @ params["down"]


def test_the_macs_of_a_perceptron_equal_a_hand_count(exact):
    table = simulate(mlp, exact, [Rule("up", "digital")]).coverage(PARAMS, X)
    assert table.macs_total == 5 * 8 * 16 + 5 * 16 * 4
    assert table.macs_on_chip == 5 * 16 * 4
    assert table.mac_share == pytest.approx(1 / 3)


def test_the_macs_of_an_attention_layer_equal_a_hand_count(exact):
    tokens, width, heads = 6, 8, 2

    def attention(p, x):
        q, k, v = ((x @ w).reshape(tokens, heads, width // heads) for w in (p["q"], p["k"], p["v"]))
        scores = jax.nn.softmax(jnp.einsum("qhd,khd->hqk", q, k))
        return jnp.einsum("hqk,khd->qhd", scores, v).reshape(tokens, width) @ p["o"]

    params = {name: jax.ShapeDtypeStruct((width, width), jnp.float32) for name in "qkvo"}
    table = simulate(attention, exact).coverage(params, jax.ShapeDtypeStruct((tokens, width), jnp.float32))
    assert table.macs_total == 4 * tokens * width**2 + 2 * tokens**2 * width
    assert sum(row.macs for row in table.rows if row.kind == "activation") == 2 * tokens**2 * width


def test_products_of_constants_and_outer_products_are_no_business_of_the_chip(exact):
    def model(params, x, positions):
        frequencies = jnp.ones((2, 3)) @ jnp.ones((3, 4))
        angles = jnp.einsum("t,f->tf", positions, frequencies[0])
        return (x @ (params["a"] @ params["b"])) + angles[:, :1]

    params = {"a": normal(0, 8, 2), "b": normal(1, 2, 4)}
    sim = simulate(model, exact, strict=True)
    table = sim.coverage(params, X, jnp.arange(5.0))
    reasons = {str(row.reason).partition(":")[0] for row in table.digital}
    assert reasons == {"made of weights and constants alone", "outer product (k = 1)"}
    assert [row.name for row in table.rows if row.on_chip] == ["{a,b}"]
    assert table.macs_total == 5 * 8 * 4 + 5 * 4
    np.testing.assert_allclose(sim(params, X, jnp.arange(5.0)), model(params, X, jnp.arange(5.0)), rtol=1e3 * EPS)


def test_coverage_needs_shapes_only_and_becomes_json(exact):
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), (PARAMS, X))
    table = simulate(mlp, exact, [Rule("nothing", "digital"), Rule("up", "digital")]).coverage(*shapes)
    record = json.loads(json.dumps(table.as_dict()))
    assert record["mac_share"] == pytest.approx(1 / 3)
    assert [site["name"] for site in record["sites"]] == ["up", "down"]
    assert record["digital"] == [{"name": "up", "macs": 640, "reason": "rule up=digital"}]
    assert record["unused_rules"] == ["nothing=digital"]


def test_layers_that_are_alike_share_a_line_of_the_table(exact):
    params = {f"h.{i}.up": jax.ShapeDtypeStruct((8, 8), jnp.float32) for i in range(3)}
    table = simulate(lambda p, x: ((x @ p["h.0.up"]) @ p["h.1.up"]) @ p["h.2.up"], exact).coverage(params, X)
    (group,) = table.groups()
    assert (group.name, group.count, group.macs, group.on_chip) == ("h.*.up", 3, 3 * 5 * 64, True)


def test_products_for_a_price_list_have_their_chip(exact, noisy):
    on_chip, digital = simulate(mlp, exact, [Rule("up", "digital"), Rule("down", noisy)]).products(PARAMS, X)
    assert [(site.name, chip) for site, chip in on_chip] == [("down", noisy)]
    assert [(site.name, site.m, site.k, site.n) for site in digital] == [("up", 5, 8, 16)]


def test_keyword_and_static_arguments_pass_through(exact):
    sim = simulate(mlp, exact)
    ours = sim(PARAMS, X, scale=2.0, activation=jax.nn.relu)
    np.testing.assert_allclose(ours, mlp(PARAMS, X, scale=2.0, activation=jax.nn.relu), rtol=100 * EPS, atol=100 * EPS)
    assert not np.allclose(ours, sim(PARAMS, X, scale=1.0))


def test_an_equinox_module_runs_unmodified(exact):
    model = eqx.nn.MLP(8, 4, 16, 2, key=jax.random.key(0))

    def batched(model, x):
        return jax.vmap(model)(x)

    sim = simulate(batched, exact, strict=True)
    np.testing.assert_allclose(sim(model, X), batched(model, X), rtol=100 * EPS, atol=100 * EPS)
    programmed = sim.program(model, X)
    assert set(programmed) == {"layers.0.weight", "layers.1.weight", "layers.2.weight"}
    np.testing.assert_allclose(eqx.filter_jit(sim.run)(programmed, model, X), batched(model, X), rtol=1e-5, atol=1e-5)


def test_a_function_is_traced_once_for_each_set_of_shapes(exact):
    traces = []

    def model(params, x):
        traces.append(x.shape)
        return mlp(params, x)

    sim = simulate(model, exact)
    for rows in (X, 2 * X, X[:3]):
        sim(PARAMS, rows)
        sim.coverage(PARAMS, rows)
    assert traces == [(5, 8), (3, 8)]


def test_one_seed_gives_one_result_and_another_seed_another(noisy):
    sim = simulate(mlp, noisy, seed=3)
    np.testing.assert_array_equal(sim(PARAMS, X), sim(PARAMS, X))
    np.testing.assert_array_equal(sim(PARAMS, X), simulate(mlp, noisy)(PARAMS, X, seed=3))
    np.testing.assert_array_equal(sim(PARAMS, X), sim(PARAMS, X, seed=jax.random.key(3)))
    np.testing.assert_array_equal(sim(PARAMS, X), sim(PARAMS, X, seed=jax.random.PRNGKey(3)))
    assert (sim(PARAMS, X) != sim(PARAMS, X, seed=4)).all()


def test_seeds_can_be_mapped_over(noisy):
    sim = simulate(mlp, noisy)
    mapped = jax.vmap(lambda seed: sim(PARAMS, X, seed=seed))(jnp.arange(3))
    one_by_one = jnp.stack([sim(PARAMS, X, seed=seed) for seed in range(3)])
    np.testing.assert_allclose(mapped, one_by_one, rtol=100 * EPS, atol=100 * EPS)


def test_the_noise_of_a_site_depends_on_its_name_alone(noisy):
    zeros = jnp.zeros((8, 8))

    def model(params, x):
        return [x @ w for w in params.values()]

    both = simulate(model, noisy)({"a": zeros, "b": zeros}, X)
    alone = simulate(model, noisy)({"b": zeros}, X)
    assert (both[0] != both[1]).all()
    np.testing.assert_array_equal(both[1], alone[0])


def test_programming_needs_only_the_shapes_of_the_inputs(noisy):
    sim = simulate(mlp, noisy)
    programmed = sim.program(PARAMS, jax.ShapeDtypeStruct(X.shape, X.dtype))
    np.testing.assert_allclose(sim.run(programmed, PARAMS, X), sim(PARAMS, X), rtol=100 * EPS, atol=100 * EPS)


def test_programmed_weights_serve_any_batch(exact):
    sim = simulate(mlp, exact)
    programmed = sim.program(PARAMS, X)
    rows = normal(9, 2, 8)
    np.testing.assert_allclose(sim.run(programmed, PARAMS, rows), mlp(PARAMS, rows), rtol=100 * EPS, atol=100 * EPS)


def test_programmed_weights_keep_their_values_when_the_parameters_change(exact):
    sim = simulate(mlp, exact)
    programmed = sim.program(PARAMS, X)
    other = jax.tree.map(jnp.zeros_like, PARAMS)
    np.testing.assert_array_equal(sim.run(programmed, other, X), sim(PARAMS, X))


def test_tiles_of_another_model_are_refused(exact):
    programmed = simulate(lambda w, x: x @ w, exact).program(PARAMS["up"], X)
    with pytest.raises(PhotonsimError, match="hold w, which the model does not have"):
        simulate(mlp, exact).run(programmed, PARAMS, X)


def test_a_model_with_nothing_to_swap_is_refused(exact):
    with pytest.raises(PhotonsimError, match="no matrix product of floating-point numbers"):
        simulate(lambda p, x: p["up"] * 2.0, exact).coverage(PARAMS, X)


def test_an_integer_product_stays_digital_and_strict_refuses_it(exact):
    def model(params, x):
        return mlp(params, x), jnp.ones((3, 8), jnp.int32) @ x.astype(jnp.int32).T

    table = simulate(model, exact).coverage(PARAMS, X)
    assert [row.reason for row in table.digital] == ["int32 operand: a chip multiplies real floating-point numbers"]
    with pytest.raises(PhotonsimError, match=r"strict: constant .* stays digital, int32 operand"):
        simulate(model, exact, strict=True)(PARAMS, X)
    simulate(model, exact, [Rule("constant", "digital")], strict=True)(PARAMS, X)


def test_a_complex_product_stays_digital_with_its_reason(exact):
    def model(params, x):
        return mlp(params, x), (x.astype(jnp.complex64) @ params["up"].astype(jnp.complex64)).real

    table = simulate(model, exact).coverage(PARAMS, X)
    assert [row.reason for row in table.digital] == ["complex64 operand: a chip multiplies real floating-point numbers"]


def test_a_sparse_product_is_warned_about_and_refused_when_strict(exact):
    def model(params, x):
        return mlp(params, (sparse.BCOO.fromdense(jnp.eye(8), nse=8) @ x.T).T)

    with pytest.warns(UserWarning, match="bcoo_dot_general in model multiplies sparse matrices: digital"):
        assert simulate(model, exact).coverage(PARAMS, X).mac_share == 1
    with pytest.warns(UserWarning, match="sparse"), pytest.raises(PhotonsimError, match="strict: bcoo_dot_general"):
        simulate(model, exact, strict=True)(PARAMS, X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda unit: simulate(cast(Any, PARAMS), unit), "takes a JAX function, not a dict"),
        (lambda unit: simulate(lambda p, x, seed: x, unit), "has a parameter `seed`"),
        (lambda unit: simulate(mlp, unit, seed=cast(Any, "one"))(PARAMS, X), "give a whole number or a JAX key"),
        (lambda unit: simulate(mlp, unit, weights=2)(PARAMS, X), "called with 2 positional arguments"),
    ],
)
def test_input_that_cannot_be_right_is_refused_in_a_sentence(exact, make, message):
    with pytest.raises(PhotonsimError, match=message):
        make(exact)
