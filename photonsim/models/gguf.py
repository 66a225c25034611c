"""Models from GGUF, the single-file format of llama.cpp: metadata, tokenizer and (usually quantised) weights.

Two things differ from a Hugging Face checkpoint of the same model. The tensors have other names. And llama.cpp turns
neighbouring pairs of features in its rotary embedding where Hugging Face turns pairs half a head apart, so its
converter reorders the rows of the query and key projections within each head; here they are put back:

    row in GGUF     0    1     2     3      …        (head_dim d; the pair i is the rows 2i and 2i + 1)
    row here        0   d/2    1   d/2 + 1  …        (the pair i is the rows i and i + d/2)

Quantised weights are expanded to the float32 values that they stand for. Those, not the model that was quantised once,
are the weights that every result here refers to.
"""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from photonsim.errors import PhotonsimError
from photonsim.models.llama import LlamaConfig
from photonsim.models.model import Model, NamedTensor, collect_params, sha256_of

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
CONTROL_TOKEN = 3  # llama.cpp's LLAMA_TOKEN_TYPE_CONTROL: matched whole in a text, never split


def load_gguf(path: str | Path, name: str | None = None) -> Model:
    """The model of one `.gguf` file, called `name` or else after the file. One tensor is expanded at a time."""
    path = Path(path)
    with _damage_as_a_sentence(path):
        reader = gguf.GGUFReader(path)
        metadata = _metadata(reader)
        tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
        config = _config(metadata, tied, path)
        tokenizer = _tokenizer(metadata, path)
    params = collect_params(_tensors(reader, config, path), config, path)
    return Model(name or path.stem, config, params, tokenizer, sha256_of([path]))


def gguf_config(path: str | Path) -> LlamaConfig:
    """The configuration of one `.gguf` file; no tensor is read."""
    path = Path(path)
    with _damage_as_a_sentence(path):
        reader = gguf.GGUFReader(path)
        tied = all(tensor.name != "output.weight" for tensor in reader.tensors)
        return _config(_metadata(reader), tied, path)


@contextlib.contextmanager
def _damage_as_a_sentence(path: Path) -> Iterator[None]:
    """Whatever reading a file's head raises, as a `PhotonsimError`."""
    try:
        yield
    except PhotonsimError:
        raise
    except OSError as error:
        raise PhotonsimError(f"Cannot read {path}: {error.strerror}.") from error
    except KeyError as error:
        raise PhotonsimError(f"{path} lacks the metadata {error.args[0]}: convert the model to GGUF again.") from error
    except Exception as error:  # the reader slices a memory map, and fails in as many ways as a file can be wrong
        raise PhotonsimError(
            f"{path} is not a complete GGUF file (truncated or corrupt): copy or download it again."
        ) from error


def _metadata(reader: gguf.GGUFReader) -> dict[str, Any]:
    """Every metadata field as a Python value, taken out of the reader, whose own form needs 80 MB for SmolLM2."""
    metadata = {key: field.contents() for key, field in reader.fields.items()}
    reader.fields.clear()
    return metadata


def _config(metadata: dict[str, Any], tied: bool, path: Path) -> LlamaConfig:
    architecture = metadata["general.architecture"]
    if architecture != "llama":
        raise PhotonsimError(f"{path} holds a model of the architecture {architecture!r}; supported: llama.")
    scaling = metadata.get("llama.rope.scaling.type", "none")
    if scaling != "none":
        raise PhotonsimError(
            f"{path} scales its rotary embedding ({scaling}): only plain rotary embedding is supported."
        )
    heads = metadata["llama.attention.head_count"]
    head_dim = metadata.get("llama.attention.key_length", metadata["llama.embedding_length"] // heads)
    turned = metadata.get("llama.rope.dimension_count", head_dim)
    if turned != head_dim:
        raise PhotonsimError(
            f"{path} turns {turned} of {head_dim} features of a head: partial rotary is not supported."
        )
    return LlamaConfig(
        vocab_size=len(metadata["tokenizer.ggml.tokens"]),
        hidden_size=metadata["llama.embedding_length"],
        intermediate_size=metadata["llama.feed_forward_length"],
        num_hidden_layers=metadata["llama.block_count"],
        num_attention_heads=heads,
        num_key_value_heads=metadata.get("llama.attention.head_count_kv", heads),
        head_dim=head_dim,
        max_position_embeddings=metadata["llama.context_length"],
        rope_theta=metadata.get("llama.rope.freq_base", 10_000.0),
        rms_norm_eps=metadata["llama.attention.layer_norm_rms_epsilon"],
        tie_word_embeddings=tied,
    )


def _tensors(reader: gguf.GGUFReader, config: LlamaConfig, path: Path) -> Iterator[NamedTensor]:
    """Each tensor under its Hugging Face name."""
    for tensor in reader.tensors:
        name = hugging_face_name(tensor.name)
        yield name, functools.partial(_expand, tensor, name, config, path)


def _expand(tensor: gguf.ReaderTensor, name: str, config: LlamaConfig, path: Path) -> np.ndarray:
    """A tensor as float32, rows of q and k back in place."""
    try:
        with np.errstate(all="ignore"):  # infinities and NaN are found, and named, by collect_params
            weight = gguf.dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
        raise PhotonsimError(
            f"{path}: {tensor.name} is stored as {tensor.tensor_type.name}, which cannot be expanded here: "
            "use a file in Q8_0, Q4_K, F16 or another common type."
        ) from error
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    projection = name.split(".")[-2]
    return rotary_halves(weight, heads[projection]) if projection in heads else weight


def hugging_face_name(name: str) -> str:
    """`blk.3.attn_q.weight` is `model.layers.3.self_attn.q_proj.weight`; an unknown name is returned as it is."""
    if name in TOP_NAMES:
        return TOP_NAMES[name]
    match name.split("."):
        case ["blk", layer, part, kind] if part in LAYER_NAMES:
            return f"model.layers.{layer}.{LAYER_NAMES[part]}.{kind}"
    return name


def rotary_halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a (heads · d, in) projection, from neighbouring rotary pairs to pairs half a head apart."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _tokenizer(metadata: dict[str, Any], path: Path) -> Tokenizer:
    """The byte-level byte-pair encoding that the file describes."""
    kind, split = metadata["tokenizer.ggml.model"], metadata.get("tokenizer.ggml.pre", "gpt-2")
    splitters = {
        "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
        "smollm": pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        ),
    }
    if kind != "gpt2" or split not in splitters:
        raise PhotonsimError(
            f"{path} has the tokenizer {kind!r} with the splitter {split!r}; supported: 'gpt2' with "
            f"{' or '.join(map(repr, splitters))}. A Hugging Face folder with a tokenizer.json always works."
        )
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = splitters[split]
    tokenizer.decoder = decoders.ByteLevel()
    kinds = metadata["tokenizer.ggml.token_type"]
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer
