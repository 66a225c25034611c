"""Laws of a model on a chip: noise, cache, programming, gradients, precision, coverage, and what is refused."""

import copy
from typing import Any

import jax
import numpy as np
import pytest
import torch
import transformers
from jax import numpy as jnp

import photonsim
from photonsim import Rule
from photonsim.chip import override
from photonsim.errors import PhotonsimError
from photonsim.hf import load_model, simulate
from photonsim.hf.loading import hugging_face_twin
from photonsim.models import LlamaConfig, Model, parameter_shapes
from photonsim.swap import policies
from photonsim.swap.simulation import Stream

WEIGHTS_ONLY = policies.policy("weights-only")


@torch.no_grad()
def test_noise_depends_on_the_seed_alone(decoder, envise, tokens):
    sim = simulate(decoder, envise, seed=3)
    first = sim(tokens).logits
    assert torch.equal(first, sim(tokens).logits)
    assert torch.equal(first, simulate(decoder, envise)(tokens, seed=3).logits)
    assert not torch.equal(first, sim(tokens, seed=4).logits)


@torch.no_grad()
def test_a_token_meets_the_same_noise_with_a_cache_and_without(decoder, envise, tokens):
    prompt = tokens[:1]
    # Of the last layer's rows, generation shows the head the last alone.
    sim = simulate(decoder, envise, [Rule("lm_head.weight", "digital"), *WEIGHTS_ONLY])
    settings = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False}
    cached = sim.generate(prompt, **settings)
    assert torch.equal(cached, sim.generate(prompt, use_cache=False, **settings))
    assert not torch.equal(cached, decoder.generate(prompt, **settings))
    later = sim(cached[:, 12:], past_key_values=sim(prompt, use_cache=True).past_key_values).logits
    torch.testing.assert_close(later, sim(cached).logits[:, 12:], rtol=0, atol=2e-3)


@torch.no_grad()
def test_eager_and_fused_attention_give_the_same_noisy_answer(decoder, envise, tokens):
    fused = simulate(decoder, envise)(tokens).logits
    decoder.set_attn_implementation("eager")
    spelt_out = simulate(decoder, envise)(tokens).logits
    # An input within rounding of the middle between two codes may fall to either; most do not.
    assert (fused - spelt_out).abs().median() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize(("shared", "rules"), [(4, ()), (2, WEIGHTS_ONLY)], ids=["heads", "grouped heads"])
def test_our_llama_and_hugging_faces_own_meet_the_same_noise(envise, tokens, shared, rules):
    """Heads that share their keys are stacked here and repeated there, so their attention alone is another draw."""
    config = LlamaConfig(97, 48, 64, 2, 4, shared, 12, 64)
    random = np.random.default_rng(0)
    shapes = parameter_shapes(config).items()
    params = {
        name: jnp.asarray(random.normal(0, 0.2, shape) + (len(shape) == 1), jnp.float32) for name, shape in shapes
    }
    own = Model("ours", config, params, None, "")
    ids = jnp.asarray(tokens.numpy(), jnp.int32)
    ours = jax.jit(photonsim.simulate(own.apply, envise, rules))(params, ids)
    theirs = simulate(hugging_face_twin(own), envise, rules)(tokens, use_cache=False).logits
    difference, noise = np.abs(ours - theirs.numpy()), np.abs(ours - own.apply(params, ids))
    # An input within rounding of the middle between two codes may fall to either.
    assert np.median(difference) < 1e-4
    assert difference.mean() < 0.05 * noise.mean()


@torch.no_grad()
def test_a_weight_is_programmed_once_and_again_when_it_is_written_to(decoder, envise, tokens, monkeypatch):
    sim = simulate(decoder, envise, WEIGHTS_ONLY)
    before = sim(tokens).logits
    programmed = []
    unit = sim._floor.unit(envise)
    monkeypatch.setattr(unit, "program", lambda m, own=unit.program: (programmed.append(m), own(m))[1])
    sim(tokens)
    assert not programmed
    decoder.lm_head.weight.mul_(2)  # levels are the same, scales twice as large
    torch.testing.assert_close(sim(tokens).logits, 2 * before)
    assert len(programmed) == 1
    decoder.lm_head = copy.deepcopy(decoder.lm_head)
    torch.testing.assert_close(sim(tokens).logits, 2 * before)
    assert len(programmed) == 2
    decoder.lm_head.weight.data.mul_(2)  # which leaves its version as it was
    torch.testing.assert_close(sim(tokens).logits, 4 * before)
    assert len(programmed) == 3


@torch.no_grad()
def test_inference_mode_and_every_method_run_on_the_chip(decoder, envise, tokens):
    sim = simulate(decoder, envise)
    with torch.inference_mode():
        inside = sim(tokens).logits
    torch.testing.assert_close(inside, sim.forward(tokens).logits)
    assert sim.config is decoder.config
    assert sim.eval() is sim


def test_gradients_pass_straight_through(decoder, envise, tokens):
    weight = decoder.model.layers[0].mlp.up_proj.weight
    gradients = []
    for model in (decoder, simulate(decoder, envise)):
        decoder.zero_grad()
        model(tokens, labels=tokens).loss.backward()
        gradients.append(weight.grad.clone())
    exact, noisy = gradients
    assert not torch.equal(exact, noisy)
    assert torch.nn.functional.cosine_similarity(exact.flatten(), noisy.flatten(), dim=0) > 0.1


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32_and_rounded(decoder, ideal, tokens, dtype):
    half = copy.deepcopy(decoder).to(dtype)
    logits = simulate(half, ideal, engine="numba")(tokens).logits
    assert logits.dtype == dtype
    reference = half.float()(tokens).logits
    error = (logits.float() - reference).norm() / reference.norm()
    assert error < 40 * torch.finfo(dtype).eps


@torch.no_grad()
def test_coverage_needs_no_weights(decoder, envise, tokens):
    with torch.device("meta"):
        shapes = transformers.LlamaForCausalLM(decoder.config).eval()
        ids = torch.zeros_like(tokens, device="meta")
    sim = simulate(decoder, envise)
    sim(tokens)
    counted = simulate(shapes, envise).coverage(ids)
    assert counted.as_dict() == sim.executed.as_dict() == sim.coverage(tokens).as_dict()
    with pytest.raises(PhotonsimError, match=r"meta device.*load the model's weights"):
        simulate(shapes, envise)(ids)


@torch.no_grad()
def test_attention_that_stays_whole_is_counted_as_if_taken_apart(decoder, ideal, tokens):
    quick, parts = simulate(decoder, ideal), simulate(decoder, ideal, engine="numba")
    for chunk in (tokens, tokens[:, :1]):
        torch.testing.assert_close(quick(chunk).logits, parts(chunk).logits, rtol=0, atol=1e-4)
        assert quick.executed.as_dict() == parts.executed.as_dict() == quick.coverage(chunk).as_dict()
    with torch.inference_mode():
        quick(tokens)
    assert quick.executed.as_dict() == quick.coverage(tokens).as_dict()


@torch.no_grad()
def test_rules_reach_products_by_name_kind_and_layer(decoder, envise, tokens):
    rules = [Rule("*.self_attn:product*", "digital"), Rule("*", {"adc.bits": 6}, layers=-1), Rule("nothing", "chip")]
    sim = simulate(decoder, envise, rules)
    sim(tokens)
    on: dict[str, Any] = {row.name: getattr(row.chip, "name", None) for row in sim.executed.rows}
    assert on["model.layers.0.self_attn:product"] is None
    assert "adc.bits=6" in on["model.layers.1.mlp.up_proj.weight"]
    assert on["lm_head.weight"] == envise.name
    assert [str(rule) for rule in sim.executed.unused_rules] == ["nothing=chip"]
    with pytest.raises(PhotonsimError, match="strict: the rule 'nothing=chip' decides no matrix product"):
        simulate(decoder, envise, rules, strict=True)(tokens)
    with pytest.raises(PhotonsimError, match="has a parameter `seed`"):
        simulate(_Seeded(), envise)


@torch.no_grad()
def test_a_tile_without_kernel_goes_through_xla(ideal, tokens):
    layer = torch.nn.Linear(12, 5)
    x = tokens.float()
    narrow = override(ideal, {"input_dac.bits": 9})
    torch.testing.assert_close(
        simulate(layer, narrow, engine="jax")(x), simulate(layer, narrow, engine="numba")(x), rtol=0, atol=1e-5
    )


@torch.no_grad()
def test_products_that_no_chip_takes_are_reported(envise):
    class Strange(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.real = torch.nn.Linear(8, 8)
            self.other = torch.nn.Parameter(torch.randn(8, 8, dtype=torch.complex64))

        def forward(self, x):
            whole = x.int() @ torch.ones(8, 8, dtype=torch.int32)
            sparse = torch.sparse.mm(torch.eye(8).to_sparse(), x.mT).mT
            return self.real(x) + (x.to(torch.complex64) @ self.other).real + whole + sparse

    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    model = Strange()
    sim = simulate(model, envise)
    sim(x)
    reasons = [row.reason or "" for row in sim.executed.rows if not row.on_chip]
    assert [reason.partition(" operand")[0] for reason in reasons] == ["int32", "sparse_coo", "complex64"]
    with pytest.raises(PhotonsimError, match=r"strict: .* stays digital, .* operand"):
        simulate(model, envise, strict=True)(x)


def test_what_cannot_be_right_is_refused_or_said(decoder, envise, tokens):
    with pytest.raises(PhotonsimError, match="ReLU executed no matrix product"):
        simulate(torch.nn.ReLU(), envise)(torch.ones(3))
    with pytest.raises(PhotonsimError, match="engine"):
        simulate(decoder, envise, engine="quick")
    with pytest.warns(UserWarning, match="training mode"):
        simulate(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5)), envise)(torch.ones(2, 4))
    with pytest.warns(UserWarning, match=r"mkldnn_rnn_layer.* has matrix products inside"), torch.no_grad():
        simulate(_Recurrent(), envise)(torch.ones(2, 3, 4))


def test_a_folder_that_lacks_a_shard_is_refused_by_the_shards_name(decoder, tmp_path):
    decoder.save_pretrained(tmp_path, max_shard_size="60kB")
    shards = sorted(tmp_path.glob("*.safetensors"))
    shards[1].unlink()
    with pytest.raises(PhotonsimError, match=f"lacks {shards[1].name}, named in its index"):
        load_model(tmp_path)


def test_a_stream_continues_where_it_says(envise):
    layer, x = torch.nn.Linear(16, 16), torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    sim = simulate(layer, envise)
    with torch.no_grad():
        torch.testing.assert_close(sim(x)[4:], sim(x[4:], seed=Stream(0, 4)))


class _Seeded(torch.nn.Module):
    def forward(self, x, seed):
        return x @ x


class _Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = torch.nn.LSTM(4, 5).eval()
        self.head = torch.nn.Linear(5, 5)
        self.training = False

    def forward(self, x):
        return self.head(self.recurrent(x)[0])
