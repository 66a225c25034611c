"""GGUF files: the tiny model written as llama.cpp's converter would, read back, and damaged."""

import dataclasses
import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from photonsim.errors import PhotonsimError
from photonsim.models import load, load_gguf
from photonsim.models.gguf import LAYER_NAMES, TOP_NAMES, hugging_face_name, rotary_halves

CONFIG_KEYS = {
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "rope.dimension_count": "head_dim",
    "context_length": "max_position_embeddings",
}


def rotary_neighbours(weight: np.ndarray, heads: int) -> np.ndarray:
    """The reordering in llama.cpp's convert_hf_to_gguf.py (`LlamaModel.permute`)."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def gguf_name(name: str) -> str:
    """The inverse of `hugging_face_name`, through the same two tables."""
    top = {theirs: ours for ours, theirs in TOP_NAMES.items()}
    if name in top:
        return top[name]
    _, _, layer, part = name.split(".", 3)
    return (
        f"blk.{layer}.{ {theirs: ours for ours, theirs in LAYER_NAMES.items()}[part.removesuffix('.weight')] }.weight"
    )


def write_gguf(path: Path, architecture="llama", tensors=(), kind=gguf.GGMLQuantizationType.F32, **metadata) -> Path:
    """The tiny model as a GGUF file; `metadata` overrides fields (dots written as two underscores) or drops them."""
    model = load("tiny")
    fields = {f"llama.{key}": getattr(model.config, ours) for key, ours in CONFIG_KEYS.items()}
    fields |= {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2"}
    fields |= {key.replace("__", "."): value for key, value in metadata.items()}
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in fields.items():
        if value is not None:
            writer.add_string(key, value) if isinstance(value, str) else writer.add_uint32(key, value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", model.config.rms_norm_eps)
    vocabulary = sorted(model.tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([gguf.TokenType.NORMAL] * len(vocabulary))
    writer.add_token_merges([" ".join(pair) for pair in merges_of(model.tokenizer)])
    for name, value in (dict(model.params) | dict(tensors)).items():
        weight = np.asarray(value)
        heads = {"q_proj": model.config.num_attention_heads, "k_proj": model.config.num_key_value_heads}
        projection = name.split(".")[-2]
        weight = rotary_neighbours(weight, heads[projection]) if projection in heads else weight
        stored = kind if weight.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(gguf_name(name), gguf.quantize(weight, stored), raw_dtype=stored)
    for write in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        write()
    return path


def merges_of(tokenizer: Tokenizer) -> list[list[str]]:
    return json.loads(tokenizer.to_str())["model"]["merges"]


@pytest.fixture(scope="module")
def tiny_file(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_a_gguf_file_gives_back_the_model_that_was_written(tiny_file):
    model, original = load(tiny_file), load("tiny")
    assert model.name == "tiny"
    assert model.config == dataclasses.replace(original.config, rms_norm_eps=model.config.rms_norm_eps)
    assert model.config.rms_norm_eps == pytest.approx(original.config.rms_norm_eps, rel=1e-6)
    assert model.params.keys() == original.params.keys()
    for name, value in original.params.items():
        np.testing.assert_array_equal(model.params[name], value, err_msg=name)


def test_a_quantised_file_is_the_model_to_half_a_step_of_its_blocks(tmp_path):
    model, original = load(write_gguf(tmp_path / "q8.gguf", kind=gguf.GGMLQuantizationType.Q8_0)), load("tiny")
    for name, value in original.params.items():
        largest = np.abs(value).max()  # Q8_0 has 127 steps to the largest of a block, its scale a float16
        assert np.abs(model.params[name] - value).max() <= largest * (0.5 / 127 + 2**-11), name


def test_a_gguf_tokenizer_splits_text_as_the_original_does(tiny_file):
    text = "In 1999, we shall meet -- together -- the challenge of peace.\n\n  It's ours!"
    model, original = load(tiny_file), load("tiny")
    assert model.encode(text) == original.encode(text)
    assert model.decode(model.encode(text)) == text


@given(heads=st.integers(1, 5), pairs=st.integers(1, 6), columns=st.integers(1, 4))
def test_query_rows_come_back_in_their_order(heads, pairs, columns):
    weight = np.arange(heads * 2 * pairs * columns, dtype=np.float32).reshape(-1, columns)
    np.testing.assert_array_equal(rotary_halves(rotary_neighbours(weight, heads), heads), weight)


def test_an_unknown_tensor_keeps_its_name():
    assert hugging_face_name("blk.3.attn_q.weight") == "model.layers.3.self_attn.q_proj.weight"
    assert hugging_face_name("blk.0.ffn_gate_inp.weight") == "blk.0.ffn_gate_inp.weight"
    assert hugging_face_name("rope_freqs.weight") == "rope_freqs.weight"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused_wherever_it_was_cut(tiny_file, tmp_path, kept):
    content = tiny_file.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(content[: int(kept * (len(content) - 64))])  # the last bytes may be padding, which nobody misses
    with pytest.raises(PhotonsimError, match=r"cut.gguf is not a complete GGUF file \(truncated or corrupt\)"):
        load_gguf(cut)


def test_a_file_of_another_kind_is_refused(tmp_path):
    other = tmp_path / "model.bin"
    other.write_text("PK\3\4 and then something")
    with pytest.raises(PhotonsimError, match=r"model.bin is not a complete GGUF file"):
        load(other)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PhotonsimError, match=r"Cannot read .*absent.gguf: No such file"):
        load(tmp_path / "absent.gguf")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"architecture": "gemma3"}, "a model of the architecture 'gemma3'; supported: llama"),
        ({"llama__rope__scaling__type": "yarn"}, r"scales its rotary embedding \(yarn\)"),
        ({"llama__rope__dimension_count": 16}, "turns 16 of 32 features of a head"),
        ({"llama__feed_forward_length": None}, "lacks the metadata llama.feed_forward_length"),
        ({"llama__attention__head_count": 0}, "is not a complete GGUF file"),
        ({"llama__block_count": 3}, "lacks the weights model.layers.2.input_layernorm.weight"),
        (
            {"tokenizer__ggml__model": "llama"},
            "the tokenizer 'llama' with the splitter 'gpt-2'; supported",
        ),
        ({"tokenizer__ggml__pre": "qwen2"}, "the splitter 'qwen2'; supported: .*'smollm'"),
    ],
)
def test_a_file_that_describes_something_else_is_refused(tmp_path, metadata, message):
    with pytest.raises(PhotonsimError, match=message):
        load_gguf(write_gguf(tmp_path / "other.gguf", **metadata))


def test_nan_weights_are_refused_by_name(tmp_path):
    spoiled = np.full(128, np.nan, np.float32)
    path = write_gguf(tmp_path / "nan.gguf", tensors={"model.layers.0.input_layernorm.weight": spoiled})
    with pytest.raises(PhotonsimError, match=r"nan.gguf: model.layers.0.input_layernorm.weight holds NaN"):
        load_gguf(path)
