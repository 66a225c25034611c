"""Laws of the kernel of ring crosstalk, on 200 problems each, against float64 or itself; and its place in JAX."""

from unittest import mock

import hypothesis
import jax
import numba
import numpy as np
from hypothesis import strategies as st
from jax import numpy as jnp
from photonsim_kernels.ring_banks import bank_drop

from photonsim.devices import Microring
from photonsim.devices.microring import bank_drop as bank_drop_by_definition
from photonsim.tiles.fast_rings import bank_drop_fast

ROUNDING = 2.0**-24
SIZES = {"rings": st.integers(1, 17), "banks": st.integers(0, 300), "lead": st.sampled_from([(), (2,), (2, 3)])}
CASES = st.fixed_dictionaries(
    SIZES | {"widths": st.floats(2, 40), "seed": st.integers(0, 2**32 - 1)}  # between neighbouring channels
)

many = hypothesis.settings(max_examples=200, deadline=None)


def draw(rings, banks, lead, widths, seed):
    """Detunings of up to half the spacing either way, and (spacing, width), in units of the spacing."""
    detunings = np.random.default_rng(seed).uniform(-0.5, 0.5, (*lead, rings, banks))
    return detunings.astype(np.float32), np.array([1, 1 / widths], np.float32)


def in_float64(detunings, places):
    spacing, width = places.astype(np.float64)
    numbers = np.arange(detunings.shape[-2])
    away = (numbers[:, None] - numbers)[:, :, None] * spacing - detunings[..., None, :, :].astype(np.float64)
    return 1 - np.prod(1 - 1 / (1 + (2 * away / width) ** 2), axis=-2)


@many
@hypothesis.given(CASES)
def test_any_bank_agrees_with_float64(case):
    """Each share errs by at most 5 roundings of 1: two of the distance, which count 2.5 times, and of the share."""
    operands = draw(**case)
    slack = 5 * (case["rings"] + 1) * ROUNDING
    assert (np.abs(bank_drop(*operands) - in_float64(*operands)) <= slack).all()


@many
@hypothesis.given(CASES)
def test_each_bank_alone_is_itself_among_others_in_any_order(case):
    detunings, places = draw(**case)
    together = bank_drop(detunings, places)
    order = np.random.default_rng(case["seed"]).permutation(case["banks"])
    np.testing.assert_array_equal(bank_drop(detunings[..., order], places), together[..., order])
    for n in order[:1]:
        np.testing.assert_array_equal(bank_drop(detunings[..., n : n + 1], places)[..., 0], together[..., n])


@many
@hypothesis.given(CASES)
def test_no_channel_is_dropped_more_than_once_and_more_rings_drop_more(case):
    detunings, places = draw(**case)
    dropped = bank_drop(detunings, places)
    assert (dropped >= 0).all()
    assert (dropped <= 1).all()
    fewer = bank_drop(detunings[..., :-1, :], places) if case["rings"] > 1 else 0 * dropped[..., :0, :]
    assert (dropped[..., :-1, :] >= fewer - 5 * (case["rings"] + 1) * ROUNDING).all()


@many
@hypothesis.given(CASES, st.sampled_from([np.nan, np.inf]))
def test_a_ring_that_is_nowhere_spoils_its_own_bank_only(case, value):
    detunings, places = draw(**{**case, "banks": case["banks"] + 1})
    clean, spoilt = bank_drop(detunings, places), case["seed"] % (case["banks"] + 1)
    detunings[..., 0, spoilt] = value
    found = bank_drop(detunings, places)
    others = np.arange(case["banks"] + 1) != spoilt
    np.testing.assert_array_equal(found[..., others], clean[..., others])
    assert np.isnan(found[..., spoilt]).all()


@many
@hypothesis.given(CASES)
def test_nothing_is_written_outside_the_result(case):
    operands = draw(**case)
    expected = bank_drop(*operands)
    guard = np.full(expected.size + 512, 123, np.float32)
    with mock.patch("photonsim_kernels.ring_banks._empty", return_value=guard[256:-256].reshape(expected.shape)):
        np.testing.assert_array_equal(bank_drop(*operands), expected)
    assert (guard[:256] == 123).all()
    assert (guard[-256:] == 123).all()


def test_the_answer_does_not_depend_on_the_number_of_threads():
    operands = draw(16, 600, (2,), 9.0, 5)
    expected = bank_drop(*operands)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        np.testing.assert_array_equal(bank_drop(*operands), expected)
    finally:
        numba.set_num_threads(before)


def test_inside_jax_it_maps_and_differentiates_as_the_definition_does():
    ring = Microring(1550e-9, 1e4)
    detunings, _ = draw(5, 6, (3,), 1.0, 7)
    detunings_m = jnp.asarray(detunings * 1e-9)
    found, expected = [
        jax.jit(jax.vmap(lambda d, f=f: f(ring, 1e-9, d)))(detunings_m)
        for f in (bank_drop_fast, bank_drop_by_definition)
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=10 * 6 * ROUNDING)
    ours, theirs = [
        jax.grad(lambda d, f=f: f(ring, 1e-9, d)[0].sum())(detunings_m[0])
        for f in (bank_drop_fast, bank_drop_by_definition)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())
