"""Perplexity against numbers that can be worked out by hand, and the cutting of a text into windows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.errors import PhotonsimError
from photonsim.evaluate.perplexity import TokenScores, compare, join, model_windows, score_window, text_windows
from photonsim.models import load


def scores(nll):
    nll = np.asarray(nll, np.float32)
    return TokenScores(nll, np.zeros_like(nll), np.ones_like(nll))


def test_uniform_logits_have_the_perplexity_of_the_vocabulary():
    uniform = jnp.full((1, 5, 7), 3.0, jnp.float32)
    nll, _, kl, agrees = score_window(jnp.array([0, 1, 2, 3, 6], jnp.int32), uniform, uniform)
    assert scores(nll).perplexity == pytest.approx(7, rel=1e-6)
    np.testing.assert_allclose(kl, 0, atol=1e-6)
    assert agrees.all()


def test_two_words_at_three_to_one_by_hand():
    digital = jnp.log(jnp.array([[[0.75, 0.25]]], jnp.float32))
    chip = jnp.log(jnp.array([[[0.25, 0.75]]], jnp.float32))
    nll_p, nll_q, kl, agrees = score_window(jnp.array([0], jnp.int32), digital, chip)
    assert float(nll_p[0]) == pytest.approx(-math.log(0.75), rel=1e-6)
    assert float(nll_q[0]) == pytest.approx(-math.log(0.25), rel=1e-6)
    assert float(kl[0]) == pytest.approx(0.5 * math.log(3), rel=1e-6)  # 0.75 ln 3 - 0.25 ln 3
    assert not agrees[0]


@given(st.integers(0, 2**31 - 1), st.floats(-50, 50))
def test_divergence_is_never_negative_and_ignores_a_shift_of_the_logits(seed, shift):
    draw = np.random.default_rng(seed).normal(size=(2, 1, 4, 9)).astype(np.float32)
    targets = jnp.zeros(4, jnp.int32)
    _, nll, kl, _ = score_window(targets, jnp.array(draw[0]), jnp.array(draw[1]))
    _, shifted_nll, shifted, _ = score_window(targets, jnp.array(draw[0]), jnp.array(draw[1] + np.float32(shift)))
    assert float(kl.min()) > -1e-6
    np.testing.assert_allclose(shifted, kl, atol=1e-4)  # float32 near 50 has steps of 4e-6
    np.testing.assert_allclose(shifted_nll, nll, atol=1e-4)


def test_the_mean_is_taken_over_tokens_then_exponentiated():
    joined = join([scores([math.log(2)] * 3), scores([math.log(32)])])
    assert joined.nll.size == 4
    assert joined.perplexity == pytest.approx(4, rel=1e-6)  # (2·2·2·32)^(1/4)


def test_a_hopeless_run_has_infinite_perplexity_and_a_broken_one_none():
    assert scores([1000.0]).perplexity == math.inf
    assert math.isnan(scores([math.nan]).perplexity)


def test_the_difference_is_paired():
    digital = scores([1, 5, 9, 2])
    chip = scores([1.5, 5.5, 9.5, 2.5])
    assert digital.nll_difference(digital) == (0.0, 0.0)
    assert chip.nll_difference(digital) == pytest.approx((0.5, 0.0))  # far apart between tokens, alike in each pair
    mean, error = scores([2, 4]).nll_difference(scores([1, 1]))
    assert (mean, error) == pytest.approx((2.0, 1.0))  # differences 1 and 3: sd √2 over √2


def test_every_position_predicts_its_successor_also_across_windows():
    first, second = text_windows([10, 11, 12, 13, 14, 15, 16, 17, 18], tokens=8, context=4)
    np.testing.assert_array_equal(first.tokens, [[10, 11, 12, 13]])
    np.testing.assert_array_equal(first.targets, [11, 12, 13, 14])
    np.testing.assert_array_equal(second.tokens, [[14, 15, 16, 17]])
    np.testing.assert_array_equal(second.targets, [15, 16, 17, 18])


def test_where_the_text_ends_the_last_position_predicts_nothing():
    (only,) = text_windows([10, 11, 12, 13], tokens=4, context=4)
    np.testing.assert_array_equal(only.targets, [11, 12, 13, -1])
    logits = jnp.zeros((1, 4, 20), jnp.float32)
    ((digital, chip),) = compare(lambda number, ids: logits, lambda number, ids: logits, [only])
    assert digital.nll.size == chip.nll.size == 3


@given(st.integers(2, 12), st.integers(2, 60), st.integers(0, 3))
def test_windows_predict_each_token_after_the_first_exactly_once(context, tokens, beyond):
    tokens = max(tokens, context)
    ids = list(range(tokens + beyond))
    windows = text_windows(ids, tokens, context)
    predicted = [int(t) for window in windows for t in window.targets if t >= 0]
    assert predicted == ids[1 : tokens + 1]
    assert all(window.tokens.shape[1] <= context for window in windows)


@pytest.mark.parametrize(
    ("length", "tokens", "context", "message"),
    [
        (100, 100, 1, "at least 2 tokens"),
        (100, 10, 20, "less than the context of 20"),
        (100, 128, 64, "The text has 100 tokens, but 128 in windows of 64"),
    ],
)
def test_a_text_or_window_that_is_too_short_is_explained(length, tokens, context, message):
    with pytest.raises(PhotonsimError, match=message):
        text_windows(list(range(length)), tokens, context)


def test_a_context_beyond_what_the_model_takes_is_refused():
    with pytest.raises(PhotonsimError, match="context = 300: tiny takes at most 256 tokens"):
        model_windows(load("tiny"), "text", tokens=400, context=300)
