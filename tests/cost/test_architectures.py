"""Architectures against published sizes, and what a config must say."""

import json

import pytest

from photonsim.cost import ForwardPass, Storage, architecture, forward, load_architecture
from photonsim.cost.architecture import Architecture, Attention, Experts, LatentAttention
from photonsim.cost.catalogue import architecture_names, entries
from photonsim.cost.forward import dealt, experts_met
from photonsim.cost.workload import macs
from photonsim.errors import PhotonsimError

PUBLISHED = {name: entry for name, entry in entries().items() if "published_parameters" in entry}
MIXTURES = {name: entry for name, entry in entries().items() if "published_active_parameters" in entry}
LLAMA = {
    "model_type": "llama",
    "vocab_size": 500,
    "hidden_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "intermediate_size": 200,
}


def read_size(text: str) -> tuple[float, float]:
    """`"4.0B"` as a number and half of its last digit."""
    unit = {"M": 1e6, "B": 1e9}[text[-1]]
    decimals = len(text[:-1].partition(".")[2])
    return float(text[:-1]) * unit, 0.5 * 10.0**-decimals * unit


def products_of(model: Architecture, run: ForwardPass):
    return {product.name: product for product in forward(model, run).products}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones_within_one_percent(name):
    """Or within the rounding of the published figure, where that is coarser: biases and norms are left out."""
    published, half_digit = read_size(PUBLISHED[name]["published_parameters"])
    assert load_architecture(name).parameters == pytest.approx(published, abs=max(0.01 * published, half_digit))


@pytest.mark.parametrize("name", MIXTURES)
def test_active_parameters_are_published_between_counting_with_and_without_the_tables(name):
    """Makers differ in whether a token meets the embedding table and the head; each is on one side of the bracket."""
    published, half_digit = read_size(MIXTURES[name]["published_active_parameters"])
    model = load_architecture(name)
    most = model.active_parameters
    assert most - 2 * model.tables - half_digit <= published <= most + half_digit


def test_every_architecture_has_a_title_and_a_source_and_can_be_priced():
    for name in architecture_names():
        model = load_architecture(name)
        assert model.title
        assert model.source
        assert forward(model, ForwardPass(1, model.fixed_tokens or 8)).macs > 0


def test_closed_models_are_assumed_profiles_and_say_so():
    for maker in ("gpt-4", "gpt-5", "o1", "gemini-3", "claude"):
        model = load_architecture(f"{maker}-assumed")
        assert model.assumed
        assert "assumed profile" in model.title
    assert not any(load_architecture(name).assumed for name in PUBLISHED)


def test_a_config_file_and_its_folder_give_the_same_model(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    model = load_architecture(folder)
    assert (model.name, model.parameters) == ("mine", architecture(LLAMA).parameters)
    assert load_architecture(folder / "config.json").parameters == model.parameters


def test_layers_with_a_window_see_no_further():
    """One layer of four sees all 64 tokens, the others 8 of them: fewer MACs, and a smaller cache."""
    kinds = ["sliding_attention"] * 3 + ["full_attention"]
    near = architecture(LLAMA | {"sliding_window": 8, "layer_types": kinds})
    far = architecture(LLAMA)
    prefill, decode = ForwardPass(1, 64), ForwardPass(1, 1, past=63)
    pair = 6 * 16 * 2  # heads, their length, scores and values
    assert forward(far, prefill).macs - forward(near, prefill).macs == 3 * pair * 64 * (64 - 8)
    assert forward(far, decode).macs - forward(near, decode).macs == 3 * pair * (64 - 8)
    caches = [next(t for t in forward(m, decode).traffic if t.name == "KV cache") for m in (far, near)]
    assert caches[0].read_bits / caches[1].read_bits == 4 * 64 / (3 * 8 + 64)


def test_a_latent_cache_keeps_576_numbers_of_a_token_and_layer():
    """DeepSeek-V3: 512 + 64, against 2 · 128 · 128 of as many full keys and values."""
    layers = load_architecture("deepseek-v3").main.layers
    assert {layer.attention.cached for layer in layers} == {576}
    assert [layer.count for layer in layers] == [3, 58]
    cache = next(t for t in forward(load_architecture("deepseek-v3"), ForwardPass(1, 1, 99)).traffic if "KV" in t.name)
    assert cache.read_bits == 61 * 576 * 100 * 16


def test_absorbing_the_latents_pays_in_decode():
    """Without it a step would expand the latents of the whole past: 32,768 × 512 MACs for each token and layer."""
    model = load_architecture("deepseek-v3")
    absorbed = products_of(model, ForwardPass(1, 1, past=4095))
    assert "kv_b_proj" not in absorbed
    step = forward(model, ForwardPass(1, 1, past=4095)).macs
    assert step < 61 * 4096 * 512 * 128 * (128 + 128)
    weights = [absorbed["k_b_proj, absorbed"], absorbed["v_b_proj, absorbed"]]
    assert sum(Storage().weights_in(each) for each in weights) == Storage().weights_in(
        products_of(model, ForwardPass(1, 8))["kv_b_proj"]
    )


def test_every_visit_to_an_expert_is_dealt_out():
    part = load_architecture("mixtral-8x7b").main.layers[0].feed_forward
    assert isinstance(part, Experts)
    for rows in (1, 2, 3, 7, 100):
        assert sum(experts * tokens for experts, tokens in dealt(part, rows)) == rows * part.per_token


def test_a_token_meets_two_experts_and_a_thousand_meet_all():
    part = load_architecture("mixtral-8x7b").main.layers[0].feed_forward
    assert isinstance(part, Experts)
    assert (experts_met(part, 1), experts_met(part, 1000)) == (2, 8)
    assert experts_met(part, 4) == round(8 * (1 - 0.75**4))


def test_decode_of_a_mixture_reads_the_active_weights_only():
    model = load_architecture("qwen3-235b-a22b")
    step = forward(model, ForwardPass(1, 1, past=9), Storage(weight_bits=1))
    assert step.weight_bits == model.active_parameters - model.tables
    assert step.model_bits == model.parameters


def test_an_encoder_runs_once_and_its_keys_are_kept():
    model = load_architecture("whisper-tiny")
    prefill, decode = products_of(model, ForwardPass(1, 4)), products_of(model, ForwardPass(1, 1, past=4))
    assert "convolution 1" in prefill
    assert "convolution 1" not in decode
    assert "cross k_proj" not in decode
    assert decode["cross attention QKᵀ"].n == 1500
    assert macs(prefill["cross k_proj"]) == 4 * 1500 * 384 * 384


def test_what_the_library_reads_a_maker_would_recognise():
    deepseek, qwen = load_architecture("deepseek-v3"), load_architecture("qwen3-8b")
    assert isinstance(deepseek.main.layers[1].attention, LatentAttention)
    attention = qwen.main.layers[0].attention
    assert isinstance(attention, Attention)
    assert attention.qk_norm
    assert load_architecture("vit-b-16").fixed_tokens == 197
    assert not load_architecture("bert-base").generates


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": None, "hidden_size": None}, "lacks vocab_size, hidden_size"),
        ({"intermediate_size": None}, "lacks intermediate_size"),
        ({"num_hidden_layers": 2.5}, "num_hidden_layers = 2.5: a whole number"),
        ({"num_hidden_layers": 0}, "num_hidden_layers = 0"),
        ({"num_key_value_heads": 4}, "6 heads cannot share 4 keys"),
        ({"num_experts": 4}, "lacks num_experts_per_tok"),
        ({"num_experts": 4, "num_experts_per_tok": 5}, "only 4 experts"),
        ({"kv_lora_rank": 8}, "lacks qk_nope_head_dim, qk_rope_head_dim, v_head_dim"),
        ({"model_type": "vit"}, "lacks image_size, patch_size"),
    ],
)
def test_a_config_that_cannot_be_is_refused_by_its_fields(changes, message):
    with pytest.raises(PhotonsimError, match=message):
        architecture(LLAMA | changes)


def test_files_that_hold_no_config_are_refused(tmp_path):
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    for name, message in (("broken", "not valid JSON"), ("list", "starts with a brace"), ("none", "cannot be read")):
        with pytest.raises(PhotonsimError, match=message):
            load_architecture(tmp_path / f"{name}.json")
    with pytest.raises(PhotonsimError, match=r"Did you mean .*deepseek-v3"):
        load_architecture("deepseek")
