"""The decoder against Hugging Face transformers, and the laws of its parts."""

import dataclasses

import jax
import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from jax import numpy as jnp

from photonsim.errors import PhotonsimError
from photonsim.models import LlamaConfig, llama, parameter_shapes
from photonsim.models.layers import causal_mask, rms_norm
from photonsim.models.llama import attention, rotary_tables, rotate

SMALL = LlamaConfig(
    vocab_size=96,
    hidden_size=48,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=16,
    max_position_embeddings=64,
    rope_theta=500.0,
)


def random_params(config: LlamaConfig) -> dict[str, jax.Array]:
    """Normal weights large enough that attention prefers some positions over others."""
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(config).items()
    return {name: jnp.array(rng.normal(0, 0.3, shape) + (len(shape) == 1), jnp.float32) for name, shape in shapes}


run = jax.jit(llama, static_argnums=2)


def random_tokens(config: LlamaConfig, batch: int, length: int) -> jax.Array:
    return jnp.array(np.random.default_rng(1).integers(0, config.vocab_size, (batch, length)), jnp.int32)


@pytest.mark.parametrize("tied", [True, False])
def test_logits_are_those_of_transformers(tied):

    config = dataclasses.replace(SMALL, tie_word_embeddings=tied)
    params, tokens = random_params(config), random_tokens(config, 2, 40)
    twin = transformers.LlamaForCausalLM(transformers.LlamaConfig(**dataclasses.asdict(config)))
    weights = {name: torch.tensor(np.asarray(value)) for name, value in params.items()}
    if tied:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    twin.load_state_dict(weights)
    with torch.no_grad():
        expected = twin(torch.tensor(np.asarray(tokens)).long()).logits.numpy()
    logits = np.asarray(run(params, tokens, config))
    assert logits.dtype == np.float32
    assert logits.std() > 1  # else a tolerance of 1e-3 would say little
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-3)


def test_a_later_token_changes_no_earlier_logits():
    params, tokens = random_params(SMALL), random_tokens(SMALL, 1, 20)
    other = tokens.at[0, 12].set((tokens[0, 12] + 1) % SMALL.vocab_size)
    before, after = np.asarray(run(params, tokens, SMALL)), np.asarray(run(params, other, SMALL))
    np.testing.assert_array_equal(before[0, :12], after[0, :12])
    assert (np.abs(before[0, 12:] - after[0, 12:]).max(axis=-1) > 1e-3).all()


def test_a_batch_is_its_rows_one_by_one():
    params, tokens = random_params(SMALL), random_tokens(SMALL, 3, 10)
    rows = jnp.concatenate([run(params, tokens[i : i + 1], SMALL) for i in range(3)])
    np.testing.assert_allclose(run(params, tokens, SMALL), rows, rtol=0, atol=1e-4)


@given(shift=st.integers(0, 500), near=st.integers(0, 500), far=st.integers(0, 500))
def test_rotated_products_depend_on_the_distance_alone(shift, near, far):
    rng = np.random.default_rng(2)
    q, k = (jnp.array(rng.normal(size=(1, SMALL.head_dim)), jnp.float32) for _ in range(2))

    def product(position_q: int, position_k: int) -> float:
        turned = [rotate(x, rotary_tables(jnp.array([p]), SMALL)) for x, p in ((q, position_q), (k, position_k))]
        return float((turned[0] * turned[1]).sum())

    # An angle of up to 1000 rad is known to 2^-24 · 1000 = 6e-5 in float32, and |q||k| is below 10.
    assert product(near + shift, far + shift) == pytest.approx(product(near, far), abs=2e-3)


def test_rotation_keeps_lengths_and_leaves_position_zero_alone():
    x = jax.random.normal(jax.random.key(0), (3, 16, SMALL.head_dim))
    turned = rotate(x, rotary_tables(jnp.arange(16), SMALL))
    np.testing.assert_allclose(jnp.linalg.norm(turned, axis=-1), jnp.linalg.norm(x, axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(turned[:, 0], x[:, 0])
    assert np.abs(turned[:, 1:] - x[:, 1:]).max() > 0.1


def test_a_normed_vector_has_the_mean_square_of_its_weight():
    x = 7.0 * jax.random.normal(jax.random.key(1), (5, 64))
    np.testing.assert_allclose(jnp.mean(rms_norm(x, jnp.ones(64), 1e-6) ** 2, axis=-1), np.ones(5), rtol=1e-5)
    np.testing.assert_allclose(rms_norm(x, 2 * jnp.ones(64), 1e-6), 2 * rms_norm(x, jnp.ones(64), 1e-6), rtol=1e-6)


def test_grouped_attention_is_full_attention_with_repeated_keys_and_values():
    params, prefix = random_params(SMALL), "model.layers.0.self_attn."
    full = dataclasses.replace(SMALL, num_key_value_heads=SMALL.num_attention_heads)
    repeated = dict(params)
    for part in ("k_proj", "v_proj"):
        heads = params[f"{prefix}{part}.weight"].reshape(SMALL.num_key_value_heads, SMALL.head_dim, -1)
        repeated[f"{prefix}{part}.weight"] = heads.repeat(SMALL.group_size, axis=0).reshape(-1, SMALL.hidden_size)
    x = jax.random.normal(jax.random.key(2), (2, 12, SMALL.hidden_size))
    rotation, visible = rotary_tables(jnp.arange(12), SMALL), causal_mask(12)
    grouped = attention(params, prefix, x, rotation, visible, SMALL)
    np.testing.assert_allclose(grouped, attention(repeated, prefix, x, rotation, visible, full), rtol=0, atol=1e-4)


def test_every_product_reads_one_parameter_or_two_activations():
    params, tokens = random_params(SMALL), random_tokens(SMALL, 1, 8)
    jaxpr = str(jax.make_jaxpr(lambda p, t: llama(p, t, SMALL))(params, tokens))
    assert jaxpr.count("dot_general[") == SMALL.num_hidden_layers * (7 + 2) + 1


def test_the_loss_has_a_finite_gradient_in_every_parameter():
    params, tokens = random_params(SMALL), random_tokens(SMALL, 1, 8)
    gradient = jax.jit(jax.grad(lambda p: jax.nn.log_softmax(llama(p, tokens, SMALL))[0, -1, 3]))(params)
    for name, value in gradient.items():
        assert np.isfinite(value).all(), name
        assert np.abs(value).max() > 0, name


@pytest.mark.parametrize("shape", [(10,), (1, 65), (1, 0)])
def test_tokens_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(PhotonsimError, match=r"takes \(batch, length\) with a length from 1 to 64"):
        llama(random_params(SMALL), jnp.zeros(shape, jnp.int32), SMALL)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_hidden_layers", 0, r"num_hidden_layers=0\): give a whole number of at least 1"),
        ("hidden_size", 32.0, r"hidden_size=32\.0\): give a whole number"),
        ("rope_theta", -1.0, r"rope_theta=-1\.0\): give a positive, finite number"),
        ("rms_norm_eps", float("nan"), r"rms_norm_eps=nan\): give a positive"),
        ("num_key_value_heads", 4, "make num_attention_heads a multiple of num_key_value_heads"),
        ("head_dim", 7, "head_dim = 7: rotary embedding turns pairs"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(field, value, message):
    with pytest.raises(PhotonsimError, match=message):
        dataclasses.replace(SMALL, **{field: value})
