"""The sampler's laws, and what a decoder hands out."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.errors import PhotonsimError
from photonsim.models import load
from photonsim.models.generation import Decoder, Sampler, cached_forward, check_prompt, nucleus, stop_tokens

cut = jax.jit(lambda logits, top_p: nucleus(logits, top_p))
LOGITS = jnp.log(jnp.array([0.5, 0.3, 0.15, 0.05]))


def draws(sampler, count=4000):
    """How often each token is drawn, over so many positions."""
    positions = jnp.arange(count)
    tokens = jax.vmap(lambda position: sampler.pick(LOGITS, position, sampler.key))(positions)
    return np.bincount(np.asarray(tokens), minlength=4) / count


def test_temperature_one_draws_as_the_model_says():
    """4000 draws know a share p to sqrt(p (1 - p) / 4000) < 0.008: five of those."""
    np.testing.assert_allclose(draws(Sampler(1.0)), np.exp(LOGITS), atol=0.04)


def test_half_the_temperature_squares_the_odds():
    shares = draws(Sampler(0.5, seed=3))
    squared = np.exp(2 * LOGITS) / np.exp(2 * LOGITS).sum()
    np.testing.assert_allclose(shares, squared, atol=0.04)


def test_temperature_zero_takes_the_most_likely():
    assert draws(Sampler(0.0), 50)[0] == 1


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.9, 3), (1.0, 4)])
def test_the_nucleus_is_the_fewest_tokens_that_fill_it(top_p, kept):
    assert int(jnp.isfinite(nucleus(LOGITS, top_p)).sum()) == kept


@given(st.lists(st.floats(-5, 5), min_size=8, max_size=8), st.floats(0.05, 1))
def test_the_nucleus_keeps_the_most_likely_and_never_an_unlikelier_for_a_likelier(logits, top_p):
    values = np.asarray(logits, np.float32)
    kept = np.isfinite(np.asarray(cut(jnp.asarray(values), top_p)))
    assert kept[values.argmax()]
    assert not kept.all() or values[kept].min() <= values.min()
    if not kept.all():
        assert values[kept].min() >= values[~kept].max()


def test_two_runs_of_one_seed_see_the_same_luck():
    one, other = Sampler(1.0, seed=5), Sampler(1.0, seed=5)
    np.testing.assert_array_equal(draws(one, 100), draws(other, 100))
    assert (draws(one, 100) != draws(Sampler(1.0, seed=6), 100)).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-0.1,), r"temperature = -0\.1 must be at least 0"),
        ((1.0, 0.0), "top_p = 0 must be above 0"),
        ((1.0, 1.5), r"top_p = 1\.5 is above 1"),
        ((float("nan"),), "a finite number is needed"),
    ],
)
def test_a_sampler_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(PhotonsimError, match=message):
        Sampler(*arguments)


@pytest.fixture(scope="module")
def tiny():
    return load("tiny")


@pytest.fixture(scope="module")
def decoder(tiny):
    cached = cached_forward(tiny)
    return Decoder(tiny.config, lambda params, key, *rest: cached(params, *rest), tiny.params, jax.random.key(0))


@pytest.fixture(scope="module")
def whole(tiny):
    """Logits of a text in one forward pass, filled up to 32 tokens, which no earlier position sees."""
    apply = jax.jit(tiny.apply)
    return lambda ids: apply(tiny.params, jnp.array([ids + [0] * (32 - len(ids))]))[0, : len(ids)]


def test_greedy_decoding_is_the_argmax_of_the_whole_text_at_every_position(tiny, decoder, whole):
    prompt = tiny.encode("The state of the union")
    tokens = [token.id for token in decoder.stream(prompt, 12, Sampler())]
    expected = whole(prompt + tokens)[len(prompt) - 1 : -1].argmax(-1)
    np.testing.assert_array_equal(tokens, expected)


def test_the_log_probabilities_are_those_of_the_whole_text(tiny, decoder, whole):
    prompt = tiny.encode("We will")
    tokens = list(decoder.stream(prompt, 6, Sampler(1.0, 0.9, seed=2)))
    ids = [token.id for token in tokens]
    expected = jax.nn.log_softmax(whole(prompt + ids)[len(prompt) - 1 : -1])[jnp.arange(6), jnp.array(ids)]
    np.testing.assert_allclose([token.log_probability for token in tokens], expected, atol=1e-3)


def test_a_cache_grows_in_blocks_and_the_text_goes_on(tiny, decoder, monkeypatch):
    prompt = tiny.encode("The people")
    expected = [token.id for token in decoder.stream(prompt, 20, Sampler())]
    monkeypatch.setattr(decoder, "block", 16)
    assert [decoder.capacity(length) for length in (1, 16, 17, 300)] == [16, 16, 32, 256]
    assert [token.id for token in decoder.stream(prompt, 20, Sampler())] == expected


def test_a_stop_token_is_the_last(tiny, decoder):
    prompt = tiny.encode("The people")
    whole = [token.id for token in decoder.stream(prompt, 12, Sampler())]
    stopped = [token.id for token in decoder.stream(prompt, 12, Sampler(), stop=[whole[4]])]
    assert stopped == whole[: whole.index(whole[4]) + 1]


@pytest.mark.parametrize(
    ("prompt", "tokens", "message"),
    [
        ("", 4, "The prompt is empty"),
        ("a", 0, "tokens = 0 must be a whole number of at least 1"),
        ("a", 256, "takes at once, 256: shorten the prompt"),
    ],
)
def test_a_prompt_that_cannot_be_answered_is_refused(tiny, prompt, tokens, message):
    with pytest.raises(PhotonsimError, match=message):
        check_prompt(tiny, prompt, tokens)


def test_a_vocabulary_without_an_end_has_no_stop_tokens(tiny):
    assert stop_tokens(tiny) == ()
