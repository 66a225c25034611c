"""Laws of the mesh kernel, on 200 problems each, against float64 or itself; and its place in the mesh tile."""

import functools
from unittest import mock

import hypothesis
import jax
import numba
import numpy as np
from hypothesis import strategies as st
from jax import numpy as jnp
from photonsim_kernels.mesh_product import propagate

from photonsim.devices.mach_zehnder_interferometer import cell_matrix
from photonsim.devices.mesh import mesh_matrix
from photonsim.devices.mesh import propagate as propagate_by_definition
from photonsim.tiles.fast_mesh import mesh_matrix_fast, propagate_fast

ROUNDING = 2.0**-24
SIZES = {"layers": st.integers(0, 9), "modes": st.integers(1, 13), "vectors": st.integers(0, 40)}
CASES = st.fixed_dictionaries(SIZES | {"lead": st.sampled_from([(), (2,), (2, 3)]), "seed": st.integers(0, 2**32 - 1)})

many = hypothesis.settings(max_examples=200, deadline=None)


def draw(layers, modes, vectors, lead, seed):
    """Lossless blocks with any phases and splitters, output factors of magnitude 1, fields."""
    random = np.random.default_rng(seed)
    cells = cell_matrix(*random.uniform(-3, 3, (4, *lead, layers, (modes + 1) // 2)))
    fields = random.standard_normal((*lead, vectors, modes, 2)) @ np.array([1, 1j])
    turns = np.exp(1j * random.uniform(-3, 3, (*lead, modes)))
    return [values.astype(np.complex64) for values in (cells, turns, fields)]


def in_float64(blocks, turns, fields):
    """Layer after layer, odd ones one waveguide further down, as matrices; places beyond the last are dark."""
    width = 2 * blocks.shape[-3]
    light = np.zeros((*fields.shape[:-1], width), complex)
    light[..., : fields.shape[-1]] = fields
    for layer in range(blocks.shape[-4]):
        matrix = np.zeros((*blocks.shape[:-4], width, width), complex)
        for place in range(width // 2):
            pair = (2 * place + layer % 2 + np.arange(2)) % width
            matrix[..., pair[:, None], pair] = blocks[..., layer, place, :, :]
        light = light @ matrix.swapaxes(-1, -2)
    return light[..., : fields.shape[-1]] * turns[..., None, :]


@many
@hypothesis.given(CASES)
def test_any_mesh_agrees_with_float64(case):
    """Each layer's sums of four products, and the output factors, err by at most 8 roundings of the light's root."""
    blocks, turns, fields = draw(**case)
    slack = 8 * (case["layers"] + 1) * ROUNDING * np.linalg.norm(fields, axis=-1, keepdims=True)
    assert (np.abs(propagate(blocks, turns, fields) - in_float64(blocks, turns, fields)) <= slack).all()


@many
@hypothesis.given(CASES)
def test_each_vector_alone_is_itself_among_others_in_any_order(case):
    blocks, turns, fields = draw(**case)
    together = propagate(blocks, turns, fields)
    order = np.random.default_rng(case["seed"]).permutation(case["vectors"])
    np.testing.assert_array_equal(propagate(blocks, turns, fields[..., order, :]), together[..., order, :])
    for v in order[:2]:
        np.testing.assert_array_equal(
            propagate(blocks, turns, fields[..., v : v + 1, :])[..., 0, :], together[..., v, :]
        )


@many
@hypothesis.given(CASES, st.integers(-60, 60))
def test_twice_the_light_is_twice_the_answer_to_the_bit(case, exponent):
    """From 1e-18 to 1e18; but for sums that nearly cancel, and then may become denormal."""
    blocks, turns, fields = draw(**case)
    factor = np.float32(2.0**exponent)
    expected = propagate(blocks, turns, fields)
    np.testing.assert_array_equal(propagate(blocks, turns, fields * factor), expected * factor)


@many
@hypothesis.given(CASES, st.sampled_from([np.nan, np.inf]))
def test_a_vector_that_is_not_finite_spoils_no_other(case, value):
    blocks, turns, fields = draw(**{**case, "vectors": case["vectors"] + 1})
    clean = propagate(blocks, turns, fields)
    spoilt = case["seed"] % fields.shape[-2]
    fields[..., spoilt, 0] = value
    found = propagate(blocks, turns, fields)
    others = np.arange(fields.shape[-2]) != spoilt
    np.testing.assert_array_equal(found[..., others, :], clean[..., others, :])
    assert (~np.isfinite(found[..., spoilt, :])).any(-1).all()


@many
@hypothesis.given(CASES)
def test_nothing_is_written_outside_the_result(case):
    operands = draw(**case)
    expected = propagate(*operands)
    guard = np.full(expected.size + 512, 123, np.complex64)
    with mock.patch("photonsim_kernels.mesh_product._empty", return_value=guard[256:-256].reshape(expected.shape)):
        np.testing.assert_array_equal(propagate(*operands), expected)
    assert (guard[:256] == 123).all()
    assert (guard[-256:] == 123).all()


def test_the_answer_does_not_depend_on_the_number_of_threads():
    operands = draw(16, 32, 600, (2,), 5)
    expected = propagate(*operands)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        np.testing.assert_array_equal(propagate(*operands), expected)
    finally:
        numba.set_num_threads(before)


def test_other_types_and_strides_are_cast_at_the_door():
    blocks, turns, fields = draw(4, 6, 5, (), 7)
    expected = propagate(blocks, turns, fields)
    wide = np.zeros((10, 12), np.complex128)
    wide[::2, ::-2] = fields
    np.testing.assert_array_equal(propagate(np.asfortranarray(blocks), turns, wide[::2, ::-2]), expected)


def test_inside_jax_it_maps_and_differentiates_as_the_definition_does():
    """16 roundings of the light's root for each of 7 layers, as both engines round; gradients are the definition's."""
    blocks, _, fields = [jnp.asarray(values) for values in draw(7, 5, 4, (3,), 11)]
    psi = jnp.asarray(np.random.default_rng(0).uniform(-3, 3, (3, 5)), jnp.float32)

    @functools.partial(jax.jit, static_argnums=0)
    @functools.partial(jax.grad, argnums=(1, 2, 3))
    def gradient(product, blocks, psi, fields):
        return jnp.square(product(blocks, psi, fields).real).sum()

    found, expected = [jax.jit(jax.vmap(f))(blocks, psi, fields) for f in (propagate_fast, propagate_by_definition)]
    slack = 16 * 8 * ROUNDING * np.linalg.norm(fields, axis=-1, keepdims=True)
    assert (np.abs(found - expected) <= slack).all()
    gradients = [gradient(f, blocks[0], psi[0], fields[0]) for f in (propagate_fast, propagate_by_definition)]
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())
    np.testing.assert_allclose(
        jax.jit(jax.vmap(mesh_matrix_fast))(blocks, psi), mesh_matrix(blocks, psi), rtol=0, atol=16 * 8 * ROUNDING
    )
