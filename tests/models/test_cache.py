"""A cached decode is the uncached forward pass: exactly on an exact chip, and where noise is a matter of rows alone."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip, override
from photonsim.models import LlamaConfig, llama, parameter_shapes
from photonsim.models.cache import empty_cache, gpt2_cached, grow, llama_cached
from photonsim.models.gpt2 import Gpt2Config, gpt2
from photonsim.models.gpt2 import parameter_shapes as gpt2_shapes
from photonsim.swap import Rule, Stream, policy, simulate

CONFIG = LlamaConfig(
    vocab_size=48,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=1,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=64,
)
LENGTH, PROMPT, CAPACITY = 12, 5, 16
ENVISE = override(load_chip("lightmatter-envise-2025"), {"adc.gain": 4.0})


@pytest.fixture(scope="module")
def operands():
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(CONFIG).items()
    params = {name: jnp.array(rng.normal(0, 0.3, shape) + (len(shape) == 1), jnp.float32) for name, shape in shapes}
    return params, jnp.array(rng.integers(0, CONFIG.vocab_size, (1, LENGTH)), jnp.int32)


def cached(params, tokens, cache):
    return llama_cached(params, tokens, cache, CONFIG)


digital = jax.jit(cached)
forward = jax.jit(functools.partial(llama, config=CONFIG))


def in_steps(step, params, tokens, capacity=CAPACITY, prompt=1):
    """Logits of all positions from a prefill of `prompt` tokens and steps of one."""
    logits, cache = step(params, tokens[:, :prompt], empty_cache(CONFIG, capacity))
    parts = [logits]
    for position in range(prompt, LENGTH):
        logits, cache = step(params, tokens[:, position : position + 1], cache)
        parts.append(logits)
    assert int(cache.length) == LENGTH
    return np.asarray(jnp.concatenate(parts, axis=1))


def on_chip(chip, rules):
    """Whole and cached forward passes of one simulated chip, with one seed."""
    whole = simulate(lambda params, tokens: llama(params, tokens, CONFIG), chip, rules, seed=7)
    parts = simulate(cached, chip, rules)
    step = jax.jit(lambda params, tokens, cache: parts(params, tokens, cache, seed=Stream(7, cache.length)))
    return jax.jit(whole), step


def test_cached_decoding_is_the_forward_pass(operands):
    params, tokens = operands
    decoded = in_steps(digital, params, tokens, prompt=PROMPT)
    np.testing.assert_allclose(decoded, forward(params, tokens), rtol=0, atol=2e-4)


def test_on_the_ideal_chip_too_and_every_greedy_token_is_the_same(operands):
    params, tokens = operands
    _, step = on_chip(load_chip("ideal"), [])
    expected = np.asarray(forward(params, tokens))
    decoded = in_steps(step, params, tokens, prompt=PROMPT)
    np.testing.assert_allclose(decoded, expected, rtol=0, atol=2e-4)
    np.testing.assert_array_equal(decoded.argmax(-1), expected.argmax(-1))


def test_a_weight_product_disturbs_a_token_alike_alone_or_among_others(operands):
    """Noise depends on seed, site, row and column, and a row is a position. Attention is digital here.

    Rounding may tip where two float32 sums differ in their last bit, by one code of an ADC: far below the noise, which
    another seed shows.
    """
    params, tokens = operands
    whole, step = on_chip(ENVISE, policy("weights-only"))
    expected = np.asarray(whole(params, tokens))
    decoded = in_steps(step, params, tokens)
    noise = np.abs(np.asarray(whole(params, tokens, seed=8)) - expected).std()
    assert np.abs(decoded - expected).max() < 0.05 * noise


def test_values_are_quantised_by_the_largest_so_far(operands):
    """On a chip without noise but with coarse weights only the product with the values sees the cache grow.

    In a whole pass their scale knows later values; so the last position, which has no later ones, is the same.
    """
    params, tokens = operands
    coarse = override(load_chip("ideal"), {"cell.bits": 5})
    whole, step = on_chip(coarse, [Rule("*", "digital", kind="weight")])
    expected, decoded = np.asarray(whole(params, tokens)), in_steps(step, params, tokens)
    first = np.abs(decoded - expected)[0]
    assert first[:-1].max() > 1e-2
    keys_only = [Rule("*:product", "chip"), Rule("*", "digital")]
    whole, step = on_chip(coarse, keys_only)
    np.testing.assert_allclose(in_steps(step, params, tokens), whole(params, tokens), rtol=0, atol=2e-4)


def test_a_cache_that_grows_answers_as_one_that_was_large_from_the_start(operands):
    params, tokens = operands
    logits, small = digital(params, tokens[:, :PROMPT], empty_cache(CONFIG, PROMPT))
    grown, _ = digital(params, tokens[:, PROMPT:], grow(small, CAPACITY))
    expected = forward(params, tokens)
    np.testing.assert_allclose(jnp.concatenate([logits, grown], axis=1), expected, rtol=0, atol=2e-4)


def test_positions_not_written_yet_change_nothing_on_a_chip(operands):
    """Room for more keys is columns of zeros, room for more values dark rows: both leave every scale alone."""
    params, tokens = operands
    _, step = on_chip(ENVISE, [])
    small, large = (in_steps(step, params, tokens, capacity) for capacity in (CAPACITY, 2 * CAPACITY))
    np.testing.assert_allclose(small, large, rtol=0, atol=1e-3)


def test_products_have_the_same_names_with_and_without_a_cache(operands):
    params, tokens = operands
    whole = simulate(lambda params, tokens: llama(params, tokens, CONFIG), ENVISE).coverage(params, tokens)
    step = simulate(cached, ENVISE).coverage(params, tokens[:, :1], empty_cache(CONFIG, CAPACITY))
    assert [row.name for row in step.rows] == [row.name for row in whole.rows]
    assert step.macs_on_chip == step.macs_total


GPT2 = Gpt2Config(vocab_size=48, n_embd=32, n_layer=2, n_head=4, n_inner=48, n_positions=64)


def test_a_gpt2_is_decoded_as_in_its_forward_pass_with_the_same_products():
    rng = np.random.default_rng(1)
    shapes = gpt2_shapes(GPT2).items()
    params = {name: jnp.array(rng.normal(0, 0.3, shape) + (len(shape) == 1), jnp.float32) for name, shape in shapes}
    tokens = jnp.array(rng.integers(0, GPT2.vocab_size, (1, LENGTH)), jnp.int32)
    step, whole = functools.partial(gpt2_cached, config=GPT2), functools.partial(gpt2, config=GPT2)
    start, cache = jax.jit(step)(params, tokens[:, :PROMPT], empty_cache(GPT2, CAPACITY))
    rest, cache = jax.jit(step)(params, tokens[:, PROMPT:], cache)
    np.testing.assert_allclose(
        jnp.concatenate([start, rest], axis=1), jax.jit(whole)(params, tokens), rtol=0, atol=2e-4
    )
    table = simulate(step, ENVISE).coverage(params, tokens[:, :1], cache)
    assert [row.name for row in table.rows] == [
        row.name for row in simulate(whole, ENVISE).coverage(params, tokens).rows
    ]
    assert table.mac_share == 1
