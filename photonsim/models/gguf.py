"""Models from GGUF, the single-file format of llama.cpp: metadata, tokenizer and (usually quantised) weights.

Three things differ from a Hugging Face checkpoint of the same model. The tensors have other names, which the library
that reads the file knows. A GPT-2's matrices are transposed. And for a Llama, Mistral or Mixtral, all of which the file
calls `llama`, llama.cpp turns neighbouring pairs of features in its rotary embedding where Hugging Face turns pairs
half a head apart; so its converter reorders the rows of the query and key projections within each head, and here they
are put back:

    row in GGUF     0    1     2     3      …        (head_dim d; the pair i is the rows 2i and 2i + 1)
    row here        0   d/2    1   d/2 + 1  …        (the pair i is the rows i and i + d/2)

Quantised weights are expanded to the float32 values that they stand for. Those, not the model that was quantised once,
are the weights that every result here refers to.
"""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from photonsim.errors import PhotonsimError
from photonsim.models.damage import damage_as_a_sentence
from photonsim.models.families import family_of
from photonsim.models.gpt2 import Gpt2Config
from photonsim.models.llama import LlamaConfig
from photonsim.models.model import Model, NamedTensor, collect_params, sha256_of

LACKS = "lacks the metadata {}: convert the model to GGUF again."
ARCHITECTURES = {  # `general.architecture` of a file, and what the library calls it
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "qwen2moe": gguf.MODEL_ARCH.QWEN2MOE,
    "qwen3moe": gguf.MODEL_ARCH.QWEN3MOE,
    "gpt2": gguf.MODEL_ARCH.GPT2,
}
CONV1D = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
QWEN2_PIECES = (  # Qwen's own, of its `tokenization_qwen2.py`
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTROL_TOKEN = 3  # llama.cpp's LLAMA_TOKEN_TYPE_CONTROL: matched whole in a text, never split


def load_gguf(path: str | Path, name: str | None = None) -> Model:
    """The model of one `.gguf` file, called `name` or else after the file. One tensor is expanded at a time."""
    path = Path(path)
    with damage_as_a_sentence(path, "GGUF", LACKS):
        reader = gguf.GGUFReader(path)
        metadata = _metadata(reader)
        config = _config(metadata, {tensor.name for tensor in reader.tensors}, path)
        tokenizer = _tokenizer(metadata, path)
    params = collect_params(_tensors(reader, metadata["general.architecture"], config, path), config, path)
    return Model(name or path.stem, config, params, tokenizer, sha256_of([path]))


def gguf_config(path: str | Path) -> LlamaConfig | Gpt2Config:
    """The configuration of one `.gguf` file; no tensor is read."""
    path = Path(path)
    with damage_as_a_sentence(path, "GGUF", LACKS):
        reader = gguf.GGUFReader(path)
        return _config(_metadata(reader), {tensor.name for tensor in reader.tensors}, path)


def _metadata(reader: gguf.GGUFReader) -> dict[str, Any]:
    """Every metadata field as a Python value, taken out of the reader, whose own form needs 80 MB for SmolLM2."""
    metadata = {key: field.contents() for key, field in reader.fields.items()}
    reader.fields.clear()
    return metadata


class _Fields(dict):
    """The metadata of an architecture, without its name in front of each key."""

    def __init__(self, metadata: dict[str, Any]):
        self.architecture = metadata["general.architecture"]
        super().__init__({key.removeprefix(f"{self.architecture}."): value for key, value in metadata.items()})

    def __missing__(self, key: str) -> Any:
        raise KeyError(f"{self.architecture}.{key}")


def _config(metadata: dict[str, Any], tensors: set[str], path: Path) -> LlamaConfig | Gpt2Config:
    fields = _Fields(metadata)
    if fields.architecture not in ARCHITECTURES:
        raise PhotonsimError(
            f"{path} holds a model of the architecture {fields.architecture!r}; supported: {', '.join(ARCHITECTURES)}."
        )
    if fields.architecture == "gpt2":
        return _gpt2_config(fields)
    heads = fields["attention.head_count"]
    return LlamaConfig(
        vocab_size=len(fields["tokenizer.ggml.tokens"]),
        hidden_size=fields["embedding_length"],
        intermediate_size=fields["feed_forward_length"],
        num_hidden_layers=fields["block_count"],
        num_attention_heads=heads,
        num_key_value_heads=fields.get("attention.head_count_kv", heads),
        head_dim=_head_dim(fields, path),
        max_position_embeddings=fields["context_length"],
        rope_theta=fields.get("rope.freq_base", 10_000.0),
        rms_norm_eps=fields["attention.layer_norm_rms_epsilon"],
        tie_word_embeddings="output.weight" not in tensors,
        qkv_bias="blk.0.attn_q.bias" in tensors,
        qk_norm="blk.0.attn_q_norm.weight" in tensors,
        **_experts(fields),
    )


def _gpt2_config(fields: _Fields) -> Gpt2Config:
    return Gpt2Config(
        vocab_size=len(fields["tokenizer.ggml.tokens"]),
        n_embd=fields["embedding_length"],
        n_layer=fields["block_count"],
        n_head=fields["attention.head_count"],
        n_inner=fields["feed_forward_length"],
        n_positions=fields["context_length"],
        layer_norm_epsilon=fields["attention.layer_norm_epsilon"],
    )


def _head_dim(fields: _Fields, path: Path) -> int:
    """Features of a head; refuses a rotary embedding that is scaled, or that turns only some of them."""
    scaling = fields.get("rope.scaling.type", "none")
    if scaling != "none":
        raise PhotonsimError(
            f"{path} scales its rotary embedding ({scaling}): only plain rotary embedding is supported."
        )
    head_dim = fields.get("attention.key_length", fields["embedding_length"] // fields["attention.head_count"])
    turned = fields.get("rope.dimension_count", head_dim)
    if turned != head_dim:
        raise PhotonsimError(
            f"{path} turns {turned} of {head_dim} features of a head: partial rotary is not supported."
        )
    return head_dim


def _experts(fields: _Fields) -> dict[str, Any]:
    """Of a mixture, its experts; whether their weights are made to add up to 1 is what llama.cpp does for each."""
    count = fields.get("expert_count", 0)
    if not count:
        return {}
    return {
        "num_experts": count,
        "num_experts_per_tok": fields["expert_used_count"],
        "expert_size": fields.get("expert_feed_forward_length") or fields["feed_forward_length"],
        "shared_expert_size": fields.get("expert_shared_feed_forward_length", 0),
        "norm_topk_prob": fields.architecture != "qwen2moe",
    }


def _tensors(
    reader: gguf.GGUFReader, architecture: str, config: LlamaConfig | Gpt2Config, path: Path
) -> Iterator[NamedTensor]:
    """Each tensor under its Hugging Face name; one that is unknown under its own."""
    shapes = family_of(config).shapes(config)
    names = hugging_face_names(architecture, config.num_hidden_layers, [*shapes, "lm_head.weight"])
    for tensor in reader.tensors:
        name = names.get(tensor.name, tensor.name)
        yield name, functools.partial(_expand, tensor, name, architecture, config, path)


def hugging_face_names(architecture: str, layers: int, names: Iterable[str]) -> dict[str, str]:
    """Which of our `names` a tensor of a file stands for."""
    table = gguf.get_tensor_name_map(ARCHITECTURES[architecture], layers)
    return {str(table.get_name(name, try_suffixes=(".weight", ".bias"))): name for name in names}


def _expand(
    tensor: gguf.ReaderTensor, name: str, architecture: str, config: LlamaConfig | Gpt2Config, path: Path
) -> np.ndarray:
    """A tensor as float32, as a checkpoint has it."""
    try:
        with np.errstate(all="ignore"):  # infinities and NaN are found, and named, by collect_params
            weight = gguf.dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
        raise PhotonsimError(
            f"{path}: {tensor.name} is stored as {tensor.tensor_type.name}, which cannot be expanded here: "
            "use a file in Q8_0, Q4_K, F16 or another common type."
        ) from error
    if architecture == "gpt2" and name.endswith(CONV1D):
        return weight.T
    if name.endswith("shared_expert_gate.weight"):
        return weight.reshape(1, -1)  # the converter drops an axis of length 1
    projection = name.split(".")[-2]
    if architecture == "llama" and isinstance(config, LlamaConfig) and projection in ("q_proj", "k_proj"):
        heads = config.num_attention_heads if projection == "q_proj" else config.num_key_value_heads
        return rotary_halves(weight, heads)
    return weight


def rotary_halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a (heads · d, in) projection, or its bias, from neighbouring rotary pairs to pairs half a head apart."""
    return weight.reshape(heads, len(weight) // heads // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)


def _tokenizer(metadata: dict[str, Any], path: Path) -> Tokenizer:
    """The byte-level byte-pair encoding that the file describes."""
    kind, split = metadata["tokenizer.ggml.model"], metadata.get("tokenizer.ggml.pre", "gpt-2")
    splitters = {
        "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
        "smollm": pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        ),
        "qwen2": pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(QWEN2_PIECES), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
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
    if split == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = splitters[split]
    tokenizer.decoder = decoders.ByteLevel()
    kinds = metadata["tokenizer.ggml.token_type"]
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer
