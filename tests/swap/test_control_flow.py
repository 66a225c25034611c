"""Products are found and replaced through every kind of control flow, and gradients pass."""

import io

import jax
import numpy as np
import pytest
from jax import lax
from jax import numpy as jnp
from rich.console import Console

from photonsim.report.coverage import coverage_tables
from photonsim.swap import simulate

EPS = float(np.finfo(np.float32).eps)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape) / 4, jnp.float32)


def layer(w, x):
    return jnp.tanh(x @ w["up"]) @ w["down"] + x


def scanned(params, x):
    """Three layers under scan with rematerialisation, as large models are written."""
    body = jax.checkpoint(lambda x, w: (layer(w, x), jnp.sum(x)))
    x, sums = lax.scan(body, x, params["layers"])
    return x @ params["head"], sums


def branching(params, x):
    return lax.cond(jnp.sum(x) > 0, lambda x: x @ params["layers"]["up"][0], lambda x: x @ params["head"], x)


def looping(params, x):
    def body(state):
        return state[0] + 1, jnp.tanh(state[1] @ params["head"])

    return lax.while_loop(lambda state: state[0] < 3, body, (0, x))[1]


def counted(params, x):
    return lax.fori_loop(0, 3, lambda i, x: layer(jax.tree.map(lambda w: w[i], params["layers"]), x), x)


def reversed_nested(params, x):
    def outer(x, w):
        def inner(x, scale):
            return jnp.tanh(scale * (x @ w["up"]) @ w["down"] @ params["head"]), None

        return lax.scan(inner, x, jnp.array([1.0, 0.5]))[0], None

    return lax.scan(outer, x, params["layers"], reverse=True)[0]


def handed_on(params, x):
    """The weights travel in the carry, unchanged."""
    return lax.scan(
        lambda s, _: ((s[0], layer(s[0], s[1])), None), ({"up": params["head"], "down": params["head"]}, x), None, 2
    )[0][1]


def custom(params, x):
    @jax.custom_jvp
    def project(w, x):
        return x @ w

    project.defjvp(lambda primals, tangents: (project(*primals), tangents[1] @ primals[0] + primals[1] @ tangents[0]))
    return project(params["head"], jax.nn.silu(x @ params["head"]))


def custom_backward(params, x):
    @jax.custom_vjp
    def project(w, x):
        return x @ w

    project.defvjp(lambda w, x: (x @ w, (w, x)), lambda kept, g: (kept[1].T @ g, g @ kept[0].T))
    return project(params["head"], x)


def recurrent(params, x):
    """The same weight on every trip."""
    return lax.scan(lambda h, row: (jnp.tanh(h @ params["head"] + row), None), jnp.zeros(8), x)[0]


PARAMS = {"layers": {"up": normal(0, 3, 8, 8), "down": normal(1, 3, 8, 8)}, "head": normal(2, 8, 8)}
X = normal(3, 5, 8)
PROGRAMS = [scanned, branching, looping, counted, reversed_nested, handed_on, custom, custom_backward, recurrent]


def assert_close(ours, theirs):
    """A handful of layers of 8-term sums of order one, in another order of summation."""
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=200 * EPS, atol=200 * EPS), ours, theirs)


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_exact_unit_changes_nothing(exact, program):
    sim = simulate(program, exact)
    assert sim.coverage(PARAMS, X).mac_share == 1.0
    assert_close(jax.jit(sim)(PARAMS, X), program(PARAMS, X))


@pytest.mark.parametrize("program", PROGRAMS)
def test_weights_programmed_once_give_the_in_line_result_noise_included(noisy, program):
    sim = simulate(program, noisy)

    def both(params, x):
        programmed = sim.program(params, x)
        assert sorted(programmed) == sorted(row.name for row in sim.coverage(params, x).rows)
        return sim.run(programmed, params, x), sim(params, x)

    assert_close(*jax.jit(both)(PARAMS, X))


@pytest.mark.parametrize("program", [p for p in PROGRAMS if p is not looping])
def test_the_gradient_on_an_exact_unit_is_the_plain_gradient(exact, program):
    def total(fn):
        return lambda params, x: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(fn(params, x)))

    ours = jax.jit(jax.grad(total(simulate(program, exact)), argnums=(0, 1)))(PARAMS, X)
    assert_close(ours, jax.grad(total(program), argnums=(0, 1))(PARAMS, X))


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_weight_is_programmed_while_programmed_weights_run(counting, program):
    sim = simulate(program, counting)
    programmed = jax.eval_shape(sim.program, PARAMS, X)
    assert counting.shapes
    counting.shapes.clear()
    jax.eval_shape(sim.run, programmed, PARAMS, X)
    assert counting.shapes == []


def test_a_weight_that_all_trips_share_is_programmed_once(counting):
    programmed = simulate(recurrent, counting).program(PARAMS, X)
    assert programmed["head"]["levels"].shape == (8, 8)
    assert counting.shapes == [(8, 8)]


def test_a_weight_of_each_trip_gets_a_leading_axis_of_trips(exact):
    programmed = simulate(reversed_nested, exact).program(PARAMS, X)
    assert programmed["layers.up"]["levels"].shape == (3, 8, 8)
    np.testing.assert_array_equal(programmed["layers.down"]["levels"], PARAMS["layers"]["down"])


def test_every_trip_of_a_loop_has_noise_of_its_own(noisy):
    def sums(params, x):
        return lax.scan(lambda x, _: (x, x @ params), x, None, 3)[1]

    outputs = simulate(sums, noisy)(PARAMS["head"], X)
    assert (outputs[0] != outputs[1]).all()
    assert (outputs[1] != outputs[2]).all()


def test_products_whose_course_is_known_only_at_run_time_are_marked(exact):
    assert all(
        row.site.dynamic
        for program in (looping, branching)
        for row in simulate(program, exact).coverage(PARAMS, X).rows
    )
    assert not any(row.site.dynamic for row in simulate(scanned, exact).coverage(PARAMS, X).rows)


@pytest.mark.parametrize(("program", "trips"), [
    (looping, [3]), (counted, [3, 3]), (scanned, [3, 3, 1]), (reversed_nested, [6, 6, 6]), (custom, [1, 1]),
])  # fmt: skip
def test_a_call_counts_each_product_as_often_as_it_is_executed(exact, program, trips):
    table = simulate(program, exact).executed(PARAMS, X)
    assert [row.trips for row in table.rows] == trips
    assert not any(row.site.dynamic for row in table.rows)


def test_a_call_counts_the_branch_that_is_taken_and_no_loop_that_does_not_turn(exact):
    for sign, shape in ((1, (8, 8)), (-1, (8, 8))):
        (row,) = simulate(branching, exact).executed(PARAMS, sign * jnp.abs(X)).rows
        assert (row.name == "layers.up") == (sign > 0)
        assert (row.k, row.n) == shape

    def idle(params, x):
        return lax.while_loop(lambda x: jnp.sum(x) > 1e9, lambda x: x @ params["head"], x) @ params["head"]

    assert [row.trips for row in simulate(idle, exact).executed(PARAMS, X).rows] == [1]


def test_a_table_says_which_counts_are_not_known(exact):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(coverage_tables(simulate(looping, exact).coverage(PARAMS, X), "a loop"))
    assert "so counted once: 1 in loops or branches" in " ".join(console.export_text().split())


def test_products_in_a_sharded_function_are_replaced(noisy, exact):
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.PartitionSpec("rows")
    whole = jax.sharding.PartitionSpec()

    def model(params, x):
        return jax.shard_map(lambda w, x: x @ w, mesh=mesh, in_specs=(whole, split), out_specs=split)(params["head"], x)

    assert_close(simulate(model, exact)(PARAMS, X), model(PARAMS, X))
    assert jax.jit(simulate(model, noisy))(PARAMS, X).shape == X.shape
    assert [row.name for row in simulate(model, exact).coverage(PARAMS, X).rows] == ["head"]


def test_products_inside_an_opaque_primitive_are_counted_warned_about_and_refused_when_strict(exact):
    def model(params, x):
        return lax.custom_linear_solve(lambda y: y @ params["head"], x @ params["head"], lambda _, b: b)

    with pytest.warns(UserWarning, match="1 matrix products of model stay digital, inside custom_linear_solve"):
        table = simulate(model, exact).coverage(PARAMS, X)
    assert table.mac_share == 0.5
    assert [row.name for row in table.digital] == ["custom_linear_solve:product"]
    with (
        pytest.warns(UserWarning, match="stay digital"),
        pytest.raises(ValueError, match="strict: custom_linear_solve"),
    ):
        simulate(model, exact, strict=True)(PARAMS, X)
