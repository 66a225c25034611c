"""Rows of patches are what XLA's own im2col gives, gathered by the kernel on 200 problems and by its definition."""

from unittest import mock

import hypothesis
import jax
import numba
import numpy as np
import pytest
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.tiles.patches import Window, gather_patches, patch_rows, patch_rows_host

SIDES = st.fixed_dictionaries(
    {
        "size": st.integers(1, 9),
        "window": st.integers(1, 4),
        "stride": st.integers(1, 3),
        "before": st.integers(0, 3),
        "after": st.integers(0, 3),
        "image_dilation": st.integers(1, 3),
        "window_dilation": st.integers(1, 3),
    }
)
CASES = st.fixed_dictionaries(
    {"batch": st.integers(1, 3), "channels": st.integers(1, 4), "y": SIDES, "x": SIDES, "seed": st.integers(0, 2**31)}
)

many = hypothesis.settings(max_examples=200, deadline=None)


def side_length(side):
    """Pixels of a padded side, and positions of the window on it."""
    padded = (side["size"] - 1) * side["image_dilation"] + 1 + side["before"] + side["after"]
    reach = (side["window"] - 1) * side["window_dilation"] + 1
    return padded, max((padded - reach) // side["stride"] + 1, 0)


def window_of(y, x):
    names = ("window", "stride", "before", "image_dilation", "window_dilation")
    return Window(tuple(side_length(side)[1] for side in (y, x)), *[(y[name], x[name]) for name in names])


def draw(batch, channels, y, x, seed):
    """Images, their window, and the whole matrix of patches, cut out of the dilated and padded images."""
    hypothesis.assume(min(side_length(y)[1], side_length(x)[1]) > 0)
    images = np.random.default_rng(seed).standard_normal((batch, channels, y["size"], x["size"])).astype(np.float32)
    padded = np.zeros((batch, channels, side_length(y)[0], side_length(x)[0]), np.float32)
    lines, columns = [side["before"] + np.arange(side["size"]) * side["image_dilation"] for side in (y, x)]
    padded[:, :, lines[:, None], columns] = images
    seen = [
        (np.arange(side_length(side)[1]) * side["stride"])[:, None]
        + np.arange(side["window"]) * side["window_dilation"]
        for side in (y, x)
    ]
    patches = padded[:, :, seen[0][:, None, :, None], seen[1][None, :, None, :]]  # batch, channels, oy, ox, i, j
    rows = batch * len(seen[0]) * len(seen[1])
    return images, window_of(y, x), patches.transpose(0, 2, 3, 1, 4, 5).reshape(rows, -1)


@many
@hypothesis.given(CASES, st.integers(0, 50), st.integers(0, 50))
def test_the_kernel_gathers_any_rows_of_any_window(case, first, count):
    """And zeros for rows beyond the last."""
    images, window, patches = draw(**case)
    expected = np.concatenate([patches, np.zeros((101, patches.shape[1]), np.float32)])[first : first + count]
    np.testing.assert_array_equal(patch_rows_host(window, images, first, count), expected)


@many
@hypothesis.given(CASES)
def test_nothing_is_written_outside_the_rows(case):
    images, window, patches = draw(**case)
    guard = np.full(patches.size + 512, 123, np.float32)
    with mock.patch("photonsim_kernels.patch_rows._empty", return_value=guard[256:-256].reshape(patches.shape)):
        np.testing.assert_array_equal(patch_rows_host(window, images, 0, len(patches)), patches)
    assert (guard[:256] == 123).all()
    assert (guard[-256:] == 123).all()


def test_the_rows_do_not_depend_on_the_number_of_threads():
    window = Window((30, 30), (3, 3), (1, 1), (0, 0), (1, 1), (1, 1))
    images = np.random.default_rng(0).standard_normal((2, 8, 32, 32)).astype(np.float32)
    expected = patch_rows_host(window, images, 3, 1700)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        np.testing.assert_array_equal(patch_rows_host(window, images, 3, 1700), expected)
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_both_engines_gather_what_xla_s_im2col_does_and_pass_gradients_back(dimensions):
    sizes, shape = (7, 6, 5)[:dimensions], (3, 2, 2)[:dimensions]
    images = jnp.asarray(np.random.default_rng(0).standard_normal((2, 3, *sizes)), jnp.float32)
    strides, padding, dilation = (2, 1, 1)[:dimensions], ((1, 2), (0, 1), (1, 0))[:dimensions], (1, 2, 1)[:dimensions]

    def whole(images):
        patches = jax.lax.conv_general_dilated_patches(
            images, shape, strides, padding, rhs_dilation=dilation, precision=jax.lax.Precision.HIGHEST
        )
        return jnp.moveaxis(patches, 1, -1).reshape(-1, patches.shape[1])

    expected = jax.jit(whole)(images)
    positions = jax.eval_shape(
        lambda v: jax.lax.conv_general_dilated_patches(v, shape, strides, padding, rhs_dilation=dilation), images
    ).shape[2:]
    ones = (1,) * dimensions
    window = Window(positions, shape, strides, tuple(low for low, _ in padding), ones, dilation)
    for gathered in (lambda v: patch_rows(window, v, 2, 6), lambda v: gather_patches(window, 6, v, 2)):
        np.testing.assert_array_equal(jax.jit(gathered)(images), expected[2:8])
    np.testing.assert_array_equal(patch_rows_host(window, np.asarray(images), 2, 6), expected[2:8])
    found, theirs = [
        jax.jit(jax.grad(lambda v, rows=rows: jnp.sum(rows(v) ** 3)))(images)
        for rows in (lambda v: patch_rows(window, v, 2, 6), lambda v: whole(v)[2:8])
    ]
    np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=1e-5)
