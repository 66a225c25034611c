"""GGUF files: the tiny model written as llama.cpp's converter would, read back, and damaged."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import numpy as jnp
from tokenizers import Tokenizer

from photonsim.errors import PhotonsimError
from photonsim.models import LlamaConfig, Model, load, load_gguf
from photonsim.models.families import family_of
from photonsim.models.gguf import ARCHITECTURES, hugging_face_names, rotary_halves
from photonsim.models.gpt2 import Gpt2Config

CONFIG_KEYS = {
    "embedding_length": ("hidden_size", "n_embd"),
    "feed_forward_length": ("intermediate_size", "n_inner"),
    "block_count": ("num_hidden_layers",),
    "attention.head_count": ("num_attention_heads", "n_head"),
    "attention.head_count_kv": ("num_key_value_heads",),
    "attention.key_length": ("head_dim",),
    "rope.dimension_count": ("head_dim",),
    "context_length": ("max_position_embeddings",),
    "expert_count": ("num_experts",),
    "expert_used_count": ("num_experts_per_tok",),
    "expert_feed_forward_length": ("expert_size",),
    "expert_shared_feed_forward_length": ("shared_expert_size",),
}


def rotary_neighbours(weight: np.ndarray, heads: int) -> np.ndarray:
    """The reordering in llama.cpp's convert_hf_to_gguf.py (`LlamaModel.permute`)."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def stored_weight(name: str, value: np.ndarray, architecture: str, config) -> np.ndarray:
    """A tensor as llama.cpp's converter leaves it (`modify_tensors` of its classes for each architecture)."""
    projection = name.split(".")[-2]
    if architecture == "llama" and projection in ("q_proj", "k_proj"):
        heads = config.num_attention_heads if projection == "q_proj" else config.num_key_value_heads
        return rotary_neighbours(value, heads)
    if architecture == "gpt2" and ".c_" in name:
        return np.ascontiguousarray(value.T)
    return value.reshape(-1) if name.endswith("shared_expert_gate.weight") else value


def write_gguf(
    path: Path, architecture="llama", tensors=(), kind=gguf.GGMLQuantizationType.F32, model=None, blocks=(), **metadata
) -> Path:
    """A model, the tiny one or another, as a GGUF file; `metadata` overrides fields (dots written as two underscores)
    or drops them. `blocks`: for the names of tensors, bytes and the type by which they are to be read."""
    model = load("tiny") if model is None else model
    fields = {}
    for key, names in CONFIG_KEYS.items():
        found = next((getattr(model.config, name) for name in names if hasattr(model.config, name)), None)
        fields[f"{architecture}.{key}"] = found or None
    fields |= {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2"}
    fields |= {key.replace("__", "."): value for key, value in metadata.items()}
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in fields.items():
        if value is not None:
            writer.add_string(key, value) if isinstance(value, str) else writer.add_uint32(key, value)
    for key, name in (("layer_norm_rms_epsilon", "rms_norm_eps"), ("layer_norm_epsilon", "layer_norm_epsilon")):
        if hasattr(model.config, name):
            writer.add_float32(f"{architecture}.attention.{key}", getattr(model.config, name))
    vocabulary = sorted(model.tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([gguf.TokenType.NORMAL] * len(vocabulary))
    writer.add_token_merges([" ".join(pair) for pair in merges_of(model.tokenizer)])
    table = gguf.get_tensor_name_map(ARCHITECTURES.get(architecture, gguf.MODEL_ARCH.LLAMA), 4)
    for name, value in (dict(model.params) | dict(tensors)).items():
        stored_name = str(table.get_name(name, try_suffixes=(".weight", ".bias")))
        if name in dict(blocks):
            data, stored = dict(blocks)[name]
            writer.add_tensor(stored_name, data, raw_dtype=stored)
            continue
        weight = stored_weight(name, np.asarray(value), architecture, model.config)
        stored = kind if weight.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(stored_name, gguf.quantize(weight, stored), raw_dtype=stored)
    for write in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        write()
    return path


def random_model(config) -> Model:
    """Random weights of a configuration, with the tiny model's tokenizer."""
    rng = np.random.default_rng(0)
    shapes = family_of(config).shapes(config).items()
    params = {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in shapes}
    return Model("random", config, params, load("tiny").tokenizer, "")


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


SIZES: dict[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
}
EXPERTS: dict[str, Any] = {"num_experts": 3, "num_experts_per_tok": 2, "expert_size": 24}
CONFIGS = {
    "llama": LlamaConfig(**SIZES),
    "llama, experts": dataclasses.replace(LlamaConfig(**SIZES, **EXPERTS), expert_size=64),
    "qwen2": LlamaConfig(**SIZES, qkv_bias=True, tie_word_embeddings=True),
    "qwen3": dataclasses.replace(LlamaConfig(**SIZES, qk_norm=True), head_dim=16),
    "qwen2moe": LlamaConfig(**SIZES, **EXPERTS, qkv_bias=True, shared_expert_size=40, norm_topk_prob=False),
    "qwen3moe": LlamaConfig(**SIZES, **EXPERTS, qk_norm=True),
    "gpt2": Gpt2Config(vocab_size=512, n_embd=32, n_layer=2, n_head=4, n_inner=128, n_positions=64),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_architecture_comes_back_as_it_was_converted(tmp_path, name):
    original = random_model(CONFIGS[name])
    dropped: dict[str, Any] = (
        {"llama__expert_feed_forward_length": None} if name == "llama, experts" else {}
    )  # a Mixtral's has none
    model = load(write_gguf(tmp_path / "m.gguf", name.partition(",")[0], model=original, **dropped))
    epsilon = "layer_norm_epsilon" if name == "gpt2" else "rms_norm_eps"
    assert model.config == dataclasses.replace(CONFIGS[name], **{epsilon: getattr(model.config, epsilon)})
    assert model.params.keys() == original.params.keys()
    for parameter, value in original.params.items():
        np.testing.assert_array_equal(model.params[parameter], value, err_msg=parameter)


STEPS = {"F16": 2**11, "BF16": 2**8, "Q8_0": 127, "Q5_0": 16, "Q5_1": 31, "Q4_0": 8, "Q4_1": 15}


@pytest.mark.parametrize("kind", STEPS)
def test_a_quantised_file_is_the_model_to_a_step_of_its_blocks(tmp_path, kind):
    """A block has so many steps to its largest magnitude, or, if it has a least value of its own, across its range,
    which is at most twice that; scales are float16."""
    kinds = gguf.GGMLQuantizationType
    model, original = load(write_gguf(tmp_path / "q.gguf", kind=kinds[kind])), load("tiny")
    for name, value in original.params.items():
        largest = np.abs(value).max()
        assert np.abs(model.params[name] - value).max() <= largest * (1 / STEPS[kind] + 2**-9), name


def scales_q4(scales: list[int], mins: list[int]) -> list[int]:
    """Eight scales and minima of six bits in twelve bytes, as `get_scale_min_k4` of llama.cpp reads them."""
    low = [scales[j] | (scales[j + 4] >> 4) << 6 for j in range(4)] + [
        mins[j] | (mins[j + 4] >> 4) << 6 for j in range(4)
    ]
    return low + [(scales[j + 4] & 15) | (mins[j + 4] & 15) << 4 for j in range(4)]


HALF = list(np.array([0.5], np.float16).tobytes())
SCALES, MINS = [3, 17, 40, 63, 5, 21, 33, 60], [1, 9, 20, 63, 2, 18, 50, 31]
SIXTEEN = np.arange(16)
# A block of 256 weights by hand: its bytes, and its values by the formula of each format (llama.cpp's ggml-quants.c).
K_BLOCKS = {
    "Q2_K": ([s | (15 - s) << 4 for s in range(16)] + [0b01010101] * 64 + HALF + HALF,
             np.repeat(0.5 * SIXTEEN * 1 - 0.5 * (15 - SIXTEEN), 16)),
    "Q3_K": ([0] * 32 + [0b10101010] * 64 + [0x21] * 8 + [0b11100100] * 4 + HALF,
             0.5 * (np.repeat([1, 17, 34, 50], 64) - 32.0) * (2 - 4)),
    "Q4_K": (HALF + HALF + scales_q4(SCALES, MINS) + [0x73] * 128,
             np.concatenate([np.full(32, 0.5 * s * (7 if j % 2 else 3) - 0.5 * m)
                             for j, (s, m) in enumerate(zip(SCALES, MINS, strict=True))])),
    "Q5_K": (HALF + HALF + scales_q4(SCALES, MINS) + [0b00000001] * 32 + [0x73] * 128,
             np.concatenate([np.full(32, 0.5 * s * ((7 if j % 2 else 3) + 16 * (j == 0)) - 0.5 * m)
                             for j, (s, m) in enumerate(zip(SCALES, MINS, strict=True))])),
    "Q6_K": ([0x21] * 128 + [0b00000000] * 64 + list(range(16)) + HALF,
             np.concatenate([np.full(16, 0.5 * s * (((1, 1, 1, 1, 2, 2, 2, 2) * 2)[s] - 32)) for s in range(16)])),
}  # fmt: skip


@pytest.mark.parametrize("kind", K_BLOCKS)
def test_k_quants_stand_for_what_their_format_says(tmp_path, kind):
    content, values = K_BLOCKS[kind]
    original = random_model(dataclasses.replace(CONFIGS["llama"], intermediate_size=256))
    rows = np.tile(np.array(content, np.uint8), (SIZES["hidden_size"], 1))
    name = "model.layers.1.mlp.down_proj.weight"
    path = write_gguf(tmp_path / "k.gguf", model=original, blocks={name: (rows, gguf.GGMLQuantizationType[kind])})
    np.testing.assert_array_equal(load(path).params[name], np.tile(values.astype(np.float32), (32, 1)))


def test_text_in_pieces_of_qwen_is_split_as_transformers_splits_it(tmp_path):
    tokenizer = load("tiny").tokenizer
    merges: Any = [tuple(pair) for pair in merges_of(tokenizer)]
    theirs = transformers.Qwen2Tokenizer(vocab=tokenizer.get_vocab(), merges=merges)
    ours = load(write_gguf(tmp_path / "q.gguf", tokenizer__ggml__pre="qwen2"))
    text = "It's 1999: we'LL meet -- together --\n\n  the challenge  of peace."
    assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)


def test_a_gguf_tokenizer_splits_text_as_the_original_does(tiny_file):
    text = "In 1999, we shall meet -- together -- the challenge of peace.\n\n  It's ours!"
    model, original = load(tiny_file), load("tiny")
    assert model.encode(text) == original.encode(text)
    assert model.decode(model.encode(text)) == text


@given(heads=st.integers(1, 5), pairs=st.integers(1, 6), columns=st.integers(1, 4))
def test_query_rows_come_back_in_their_order(heads, pairs, columns):
    weight = np.arange(heads * 2 * pairs * columns, dtype=np.float32).reshape(-1, columns)
    np.testing.assert_array_equal(rotary_halves(rotary_neighbours(weight, heads), heads), weight)


def test_a_tensor_has_the_name_of_a_checkpoint():
    names = hugging_face_names("llama", 4, ["model.layers.3.self_attn.q_proj.weight", "lm_head.weight"])
    assert names == {"blk.3.attn_q.weight": "model.layers.3.self_attn.q_proj.weight", "output.weight": "lm_head.weight"}


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
        ({"architecture": "gemma3"}, "a model of the architecture 'gemma3'; supported: llama, qwen2, qwen3"),
        ({"llama__rope__scaling__type": "yarn"}, r"scales its rotary embedding \(yarn\)"),
        ({"llama__rope__dimension_count": 16}, "turns 16 of 32 features of a head"),
        ({"llama__feed_forward_length": None}, "lacks the metadata llama.feed_forward_length"),
        ({"llama__attention__head_count": 0}, "is not a complete GGUF file"),
        ({"llama__block_count": 3}, "lacks the weights model.layers.2.input_layernorm.weight"),
        (
            {"tokenizer__ggml__model": "llama"},
            "the tokenizer 'llama' with the splitter 'gpt-2'; supported",
        ),
        ({"tokenizer__ggml__pre": "deepseek-llm"}, "the splitter 'deepseek-llm'; supported: .*'smollm'"),
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
