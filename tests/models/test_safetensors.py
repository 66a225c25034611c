"""Hugging Face folders: read as transformers writes them, and refused with a sentence where they cannot be right."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from jax import numpy as jnp
from safetensors.numpy import load_file, save_file

from photonsim.errors import PhotonsimError
from photonsim.models import load, load_folder
from photonsim.models.registry import TINY_FOLDER


@pytest.fixture
def folder(tmp_path):
    """A copy of the tiny model to damage."""
    return shutil.copytree(TINY_FOLDER, tmp_path / "copy", ignore=shutil.ignore_patterns("*.py", "__pycache__"))


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(("tied", "dtype", "shard"), [(True, "float32", "5GB"), (False, "bfloat16", "20kB")])
def test_a_folder_saved_by_transformers_gives_its_logits(tmp_path, tied, dtype, shard):

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=512,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=3,
        initializer_range=0.3,
        tie_word_embeddings=tied,
        rope_parameters={"rope_type": "default", "rope_theta": 2000.0},
    )
    twin = transformers.LlamaForCausalLM(config).to(getattr(torch, dtype))
    twin.save_pretrained(tmp_path, max_shard_size=shard)
    shutil.copy(TINY_FOLDER / "tokenizer.json", tmp_path)
    model = load_folder(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == (1 if shard == "5GB" else 6)

    tokens = np.random.default_rng(0).integers(0, 512, (2, 30))
    twin = transformers.LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        expected = twin(torch.tensor(tokens)).logits.numpy()
    assert expected.std() > 1
    logits = model.apply(model.params, jnp.array(tokens, jnp.int32))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-3)


def test_the_path_of_a_folder_is_enough_to_load_it(folder):
    model = load(folder)
    assert model.name == "copy"
    assert model.digest_sha256 == load("tiny").digest_sha256


def test_a_config_written_before_transformers_5_means_the_same(folder):
    edit_config(folder, rope_theta=777.0, rope_scaling=None, head_dim=None)
    assert load_folder(folder).config.rope_theta == 777.0
    assert load_folder(folder).config.head_dim == 32


def test_a_tied_head_that_was_saved_twice_is_read_once(folder):
    edit_weights(folder, lambda tensors: tensors.update({"lm_head.weight": tensors["model.embed_tokens.weight"]}))
    assert "lm_head.weight" not in load_folder(folder).params


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mamba"}, "a model of the type 'mamba', which is not written here"),
        (
            {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
            "asks for rotary scaling 'llama3', which is not",
        ),
        ({"rope_scaling": {"type": "linear"}}, "asks for rotary scaling 'linear'"),
        ({"attention_bias": True, "hidden_act": "gelu"}, "asks for attention_bias and hidden_act 'gelu'"),
        ({"intermediate_size": 320}, r"mlp.down_proj.weight has shape \(128, 256\), but .* says \(128, 320\)"),
        ({"num_hidden_layers": 3}, "lacks the weights model.layers.2.input_layernorm.weight, .* and 6 more"),
        ({"num_hidden_layers": 1}, "holds the tensor model.layers.1.* a model of its configuration does not have"),
        ({"hidden_size": "128"}, "hidden_size='128'"),
        ({"num_attention_heads": 0}, "num_attention_heads=0"),
        ({"num_attention_heads": 0, "head_dim": None}, "gives no head_dim, and hidden_size 128 over 0 heads"),
        ({"hidden_size": "128", "head_dim": None}, "gives no head_dim, and hidden_size '128' over 4 heads"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(folder, changes, message):
    edit_config(folder, **changes)
    with pytest.raises(PhotonsimError, match=message):
        load_folder(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(folder, value):
    def spoil(tensors):
        tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = value

    edit_weights(folder, spoil)
    with pytest.raises(PhotonsimError, match=r"model.layers.1.mlp.up_proj.weight holds NaN or infinite weights"):
        load_folder(folder)


def test_a_missing_shard_is_named(folder):
    names = load_file(folder / "model.safetensors")
    shards = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(PhotonsimError, match=r"lacks model-00002-of-00002.safetensors, named in its index"):
        load_folder(folder)


def test_an_index_without_shards_is_refused(folder):
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(PhotonsimError, match="has no weight_map"):
        load_folder(folder)


@pytest.mark.parametrize("kept", [0, 7, 2000, 100_000])
def test_truncated_weights_are_refused(folder, kept):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(PhotonsimError, match=r"model.safetensors is truncated or corrupt"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("config.json", "Cannot read .*config.json: No such file"),
        ("model.safetensors", "holds neither model.safetensors nor model.safetensors.index.json"),
        ("tokenizer.json", "has no tokenizer.json"),
    ],
)
def test_a_missing_file_is_named(folder, file, message):
    (folder / file).unlink()
    with pytest.raises(PhotonsimError, match=message):
        load_folder(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{", "config.json is not JSON"),
        ("config.json", "[]", "config.json holds no JSON object"),
        ("config.json", '{"model_type": "llama"}', "config.json lacks num_attention_heads"),
        ("tokenizer.json", "{}", "tokenizer.json cannot be read as a tokenizer"),
    ],
)
def test_a_damaged_description_is_refused(folder, file, content, message):
    (folder / file).write_text(content)
    with pytest.raises(PhotonsimError, match=message):
        load_folder(folder)
