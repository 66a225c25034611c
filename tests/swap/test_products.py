"""Every form of matrix product gives on an exact unit what JAX gives."""

import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax import numpy as jnp

from photonsim.swap import products, simulate


def normal(seed, shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def assert_same_product(ours, theirs, inner):
    """Float32 sums of `inner` products of order one, in another order: √inner errors of half an ulp each, 16-fold."""
    tolerance = 16 * math.sqrt(inner) * float(np.finfo(np.float32).eps)
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * math.sqrt(inner))


@st.composite
def dot_generals(draw):
    """Shapes and dimension numbers of a `dot_general`, its dimensions in any order on either side."""
    extent = st.integers(1, 4)
    batch = draw(st.lists(extent, max_size=2))
    contracting = draw(st.lists(extent, min_size=1, max_size=2).filter(lambda sizes: math.prod(sizes) > 1))
    sides = []
    for _ in range(2):
        free = draw(st.lists(extent, max_size=2))
        labelled = [("b", i, n) for i, n in enumerate(batch)] + [("c", i, n) for i, n in enumerate(contracting)]
        order = draw(st.permutations(labelled + [("f", i, n) for i, n in enumerate(free)]))
        places = {(label, i): place for place, (label, i, _) in enumerate(order)}
        sides.append(
            (
                tuple(n for _, _, n in order),
                tuple(places["c", i] for i in range(len(contracting))),
                tuple(places["b", i] for i in range(len(batch))),
            )
        )
    (left, left_c, left_b), (right, right_c, right_b) = sides
    return left, right, ((left_c, right_c), (left_b, right_b))


@settings(max_examples=25)
@given(dot_generals(), st.sampled_from([0, 1]))
def test_any_dot_general_equals_its_own_on_an_exact_unit(exact, numbers, weight_side):
    left, right, dimensions = numbers

    def product(weight, x):
        operands = (weight, x) if weight_side == 0 else (x, weight)
        return lax.dot_general(*operands, dimensions, precision="highest")

    weight, x = (normal(0, left), normal(1, right)) if weight_side == 0 else (normal(0, right), normal(1, left))
    sim = simulate(product, exact)
    (row,) = sim.coverage(weight, x).rows

    def three_ways(weight, x):  # in one compilation: what takes the time here is XLA
        return product(weight, x), sim(weight, x), sim.run(sim.program(weight, x), weight, x)

    expected, in_line, programmed = jax.jit(three_ways)(weight, x)
    inner = math.prod(left[i] for i in dimensions[0][0])
    assert row.on_chip
    assert row.macs == expected.size * inner
    assert row.k == inner
    assert_same_product(in_line, expected, inner)
    assert_same_product(programmed, expected, inner)


@pytest.mark.parametrize(
    "options",
    [
        {"window_strides": (1, 1), "padding": "SAME"},
        {"window_strides": (2, 1), "padding": "VALID"},
        {"window_strides": (1, 1), "padding": ((1, 2), (0, 1)), "rhs_dilation": (2, 1)},
        {"window_strides": (1, 1), "padding": ((2, 2), (2, 2)), "lhs_dilation": (2, 2)},
        {"window_strides": (1, 1), "padding": "SAME", "feature_group_count": 2},
        {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": ("NHWC", "HWIO", "NHWC")},
        {"window_strides": (2, 2), "padding": "SAME", "dimension_numbers": ("NHWC", "OIHW", "NCHW")},
    ],
)
def test_a_convolution_equals_jax_own(exact, options):
    layout = options.get("dimension_numbers", ("NCHW", "OIHW", "NCHW"))
    groups = options.get("feature_group_count", 1)
    sizes = {"N": 2, "C": 4, "H": 7, "W": 6}
    kernel_sizes = {"O": 6, "I": 4 // groups, "H": 3, "W": 2}
    images = normal(0, tuple(sizes[axis] for axis in layout[0]))
    kernel = normal(1, tuple(kernel_sizes[axis] for axis in layout[1]))

    def convolve(kernel, images):
        return lax.conv_general_dilated(images, kernel, precision="highest", **options)

    sim = simulate(convolve, exact)
    expected = convolve(kernel, images)
    (row,) = sim.coverage(kernel, images).rows
    assert row.name == "kernel"
    assert row.macs == expected.size * 4 // groups * 6
    assert_same_product(sim(kernel, images), expected, 24)
    assert_same_product(sim.run(sim.program(kernel, images), kernel, images), expected, 24)


def test_a_one_dimensional_depthwise_convolution_equals_jax_own(exact):
    signal, kernel = normal(0, (2, 9, 5)), normal(1, (4, 1, 5))

    def convolve(kernel, signal):
        return lax.conv_general_dilated(
            signal, kernel, (1,), [(3, 0)], dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=5
        )

    assert_same_product(simulate(convolve, exact)(kernel, signal), convolve(kernel, signal), 4)


@pytest.mark.parametrize("groups", [1, 2])
def test_strips_of_a_convolution_number_its_rows_as_the_whole_does(numbering, monkeypatch, groups):
    """84 rows in strips of 21, and at once: images, then positions. Of whole numbers, so that all sums are exact."""
    images, kernel = jnp.rint(normal(0, (2, 4, 8, 9))), jnp.rint(normal(1, (6, 4 // groups, 3, 3)))

    def convolve(kernel, images):
        return lax.conv_general_dilated(
            images, kernel, (1, 1), "VALID", feature_group_count=groups, precision="highest"
        )

    whole = simulate(convolve, numbering)(kernel, images)
    monkeypatch.setattr(products, "STRIP", 25)
    np.testing.assert_array_equal(jax.jit(simulate(convolve, numbering))(kernel, images), whole)
    numbers = 1000.0 * np.arange(84).reshape(2, 1, 6, 7)
    np.testing.assert_array_equal(whole - numbers, convolve(kernel, images))


def test_a_ragged_product_equals_jax_own_and_counts_each_row_once(exact):
    experts, x = {"experts": normal(0, (3, 8, 5))}, normal(1, (10, 8))
    sizes = jnp.array([4, 0, 5])  # the last row belongs to nobody and is zero

    def model(params, x, sizes):
        return lax.ragged_dot(x, params["experts"], sizes, precision="highest")

    sim = simulate(model, exact)
    expected = model(experts, x, sizes)
    (row,) = sim.coverage(experts, x, sizes).rows
    assert (row.name, row.batch, row.macs) == ("experts", 3, 10 * 8 * 5)
    assert_same_product(sim(experts, x, sizes), expected, 8)
    assert_same_product(jax.jit(sim.run)(sim.program(experts, x, sizes), experts, x, sizes), expected, 8)


def test_the_experts_of_a_ragged_product_have_noise_of_their_own(noisy):
    experts, x = jnp.broadcast_to(normal(0, (8, 5)), (2, 8, 5)), jnp.broadcast_to(normal(1, (8,)), (2, 8))
    first, second = simulate(lambda w, x: lax.ragged_dot(x, w, jnp.array([1, 1])), noisy)(experts, x)
    assert (first != second).all()


def test_gradients_of_grouped_and_ragged_products_stay_digital_with_a_reason(exact):
    kernel, images = normal(0, (6, 2, 3, 3)), normal(1, (2, 4, 5, 5))

    def loss(kernel, images):
        return lax.conv_general_dilated(images, kernel, (1, 1), "SAME", feature_group_count=2).sum()

    reasons = [row.reason for row in simulate(jax.grad(loss), exact).coverage(kernel, images).digital]
    assert reasons == ["convolution with batch groups, as in the gradient of a grouped one"]


def test_half_precision_operands_reach_the_unit_in_float32_and_come_back(exact):
    weight, x = normal(0, (8, 3), jnp.bfloat16), normal(1, (5, 8), jnp.bfloat16)
    result = simulate(lambda w, x: x @ w, exact)(weight, x)
    assert result.dtype == jnp.bfloat16
    expected = (x.astype(jnp.float32) @ weight.astype(jnp.float32)).astype(jnp.bfloat16)
    np.testing.assert_array_equal(result, expected)


def test_the_elements_of_a_batched_product_have_noise_of_their_own(noisy):
    weights, x = jnp.zeros((2, 3, 4)), jnp.zeros((2, 5, 3))
    first, second = simulate(lambda w, x: jnp.einsum("bmk,bkn->bmn", x, w), noisy)(weights, x)
    assert (first != second).all()
