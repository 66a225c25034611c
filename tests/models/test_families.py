"""Every family against Hugging Face transformers on the same random weights, read from a saved checkpoint."""

import json
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from jax import numpy as jnp
from tokenizers import Tokenizer, models

import photonsim
from photonsim.chip import load_chip
from photonsim.errors import PhotonsimError
from photonsim.models import load_folder
from photonsim.models.bert import BertConfig, bert, embed_sentences, parameter_shapes
from photonsim.models.vit import cubic_weights

VOCABULARY = 90
ENDS = {"bos_token_id": 0, "eos_token_id": 0}
DECODER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    **ENDS,
}
ENCODER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
MIXTURE = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
IMAGES = {"image_size": 28, "patch_size": 7}
TEXT, PICTURE = "text", "picture"


SETTINGS: dict[str, tuple[str, dict[str, Any], str]] = {
    "gpt2": ("GPT2LMHeadModel", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, **ENDS}, TEXT),
    "mistral": ("MistralForCausalLM", {**DECODER, "sliding_window": None}, TEXT),
    "qwen2": ("Qwen2ForCausalLM", DECODER, TEXT),
    "qwen3": ("Qwen3ForCausalLM", {**DECODER, "head_dim": 16}, TEXT),
    "mixtral": ("MixtralForCausalLM", {**DECODER, "num_local_experts": 4}, TEXT),
    "qwen2_moe": ("Qwen2MoeForCausalLM", {**DECODER, **MIXTURE, "shared_expert_intermediate_size": 40}, TEXT),
    "qwen3_moe": ("Qwen3MoeForCausalLM", {**DECODER, **MIXTURE, "head_dim": 8}, TEXT),
    "bert": ("BertModel", {**ENCODER, "intermediate_size": 64}, TEXT),
    "vit": ("ViTModel", {**ENCODER, **IMAGES, "intermediate_size": 64}, PICTURE),
    "dinov2": ("Dinov2Model", {**ENCODER, **IMAGES, "mlp_ratio": 2}, PICTURE),
}


def build_twin(kind: str) -> Any:
    """A small transformers model with weights larger than an initialisation, so that a wrong term shows."""
    name, settings, inputs = SETTINGS[kind]
    vocabulary = {"vocab_size": VOCABULARY} if inputs == TEXT else {}
    torch.manual_seed(0)
    twin = getattr(transformers, name)(transformers.AutoConfig.for_model(kind, **settings, **vocabulary)).eval()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return twin


@pytest.fixture(scope="module", params=list(SETTINGS))
def pair(request, tmp_path_factory):
    """A transformers model with random weights, ours read from its checkpoint, and inputs for both."""
    twin, folder = build_twin(request.param), tmp_path_factory.mktemp(request.param)
    twin.save_pretrained(folder)
    words = models.WordLevel({str(i): i for i in range(VOCABULARY)}, unk_token="0")
    Tokenizer(words).save(str(folder / "tokenizer.json"))
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, VOCABULARY, (2, 12)).astype(np.int32)
    images = rng.standard_normal((2, 3, 28, 28)).astype(np.float32)
    return twin, load_folder(folder), tokens if SETTINGS[request.param][2] == TEXT else images


def answer_of(twin, inputs: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        given = torch.tensor(inputs)
        answer = twin(given.long() if inputs.dtype == np.int32 else given)
    return (answer.logits if hasattr(answer, "logits") else answer.last_hidden_state).numpy()


def test_the_answer_is_that_of_transformers(pair):
    twin, model, inputs = pair
    expected = answer_of(twin, inputs)
    assert expected.std() > 0.5  # else the tolerance would say little
    np.testing.assert_allclose(model.apply(model.params, jnp.asarray(inputs)), expected, rtol=0, atol=1e-4)


def test_the_ideal_chip_gives_the_answer_with_every_product_but_routers_on_it(pair):
    _, model, inputs = pair
    digital = model.apply(model.params, jnp.asarray(inputs))
    simulation = photonsim.simulate(model.apply, load_chip("ideal"))
    np.testing.assert_allclose(simulation(model.params, jnp.asarray(inputs)), digital, rtol=0, atol=1e-4)
    left = {site.name for site in simulation.products(model.params, jnp.asarray(inputs)).digital}
    assert all("mlp.gate.weight" in name or "shared_expert_gate" in name for name in left), left


def test_dinov2_takes_images_of_other_sizes_as_transformers_does(tmp_path):
    twin = build_twin("dinov2")
    twin.save_pretrained(tmp_path)
    model = load_folder(tmp_path)
    images = np.random.default_rng(0).standard_normal((1, 3, 35, 21)).astype(np.float32)
    answer = model.apply(model.params, jnp.asarray(images))
    np.testing.assert_allclose(answer, answer_of(twin, images), rtol=0, atol=1e-4)
    with pytest.raises(PhotonsimError, match="multiples of its patches, 7 pixels"):
        model.apply(model.params, jnp.zeros((1, 3, 30, 21)))


def test_cubic_interpolation_keeps_constants_and_reproduces_its_samples():
    np.testing.assert_allclose(cubic_weights(9, 14).sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(cubic_weights(9, 9), np.eye(9))


def test_positions_that_are_not_there_change_no_sentence():
    config = BertConfig(VOCABULARY, 32, 64, 2, 4, 64)
    model = _random_bert(config)
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, VOCABULARY, (1, 7)), jnp.int32)
    padded = jnp.pad(tokens, ((0, 0), (0, 5)))
    present = jnp.arange(12)[None] < 7
    alone = embed_sentences(bert(model, tokens, config), jnp.ones((1, 7), bool))
    filled = embed_sentences(bert(model, padded, config, present), present)
    np.testing.assert_allclose(alone, filled, atol=1e-6)
    np.testing.assert_allclose(jnp.linalg.norm(alone, axis=-1), 1.0, rtol=1e-6)


def _random_bert(config: BertConfig) -> dict:

    rng = np.random.default_rng(3)
    return {
        name: jnp.asarray(rng.normal(0, 0.3, shape), jnp.float32) for name, shape in parameter_shapes(config).items()
    }


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"model_type": "mamba"}, "type 'mamba', which is not written here"),
        ({"model_type": "gpt2", "n_embd": 8}, "lacks vocab_size"),
        ({"model_type": "bert", "hidden_act": "relu"}, "hidden_act 'relu' instead of 'gelu'"),
        ({"model_type": "dinov2", "hidden_size": 8, "use_swiglu_ffn": True}, "use_swiglu_ffn"),
        ({"model_type": "mistral", "sliding_window": 128}, "a sliding window shorter than its context"),
        ({"model_type": "gpt2", "tie_word_embeddings": False}, "a head of its own"),
    ],
)
def test_what_is_not_written_is_refused_by_name(tmp_path, description, message):
    (tmp_path / "config.json").write_text(json.dumps(description))
    with pytest.raises(PhotonsimError, match=message):
        load_folder(tmp_path)
