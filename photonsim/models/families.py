"""The families of models that are written here, and how a Hugging Face checkpoint of each is read.

    model_type in config.json             family      takes
    llama, mistral, qwen2, qwen3,         llama       tokens     logits of the next token
      mixtral, qwen2_moe, qwen3_moe
    gpt2                                  gpt2        tokens     logits of the next token
    bert                                  bert        tokens     hidden states
    vit, dinov2                           vit         images     hidden states

A checkpoint's tensors keep their names, but for a prefix that depends on the class that saved it, and for experts:
those of a layer lie side by side in one array, as the products that they take part in want them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from photonsim.errors import PhotonsimError, nearest
from photonsim.models.bert import BertConfig, bert
from photonsim.models.bert import parameter_shapes as bert_shapes
from photonsim.models.cache import gpt2_cached, llama_cached
from photonsim.models.gpt2 import Gpt2Config, gpt2
from photonsim.models.gpt2 import parameter_shapes as gpt2_shapes
from photonsim.models.layers import Params
from photonsim.models.llama import LlamaConfig, llama
from photonsim.models.llama import parameter_shapes as llama_shapes
from photonsim.models.vit import VitConfig, vit
from photonsim.models.vit import parameter_shapes as vit_shapes

Config = LlamaConfig | Gpt2Config | BertConfig | VitConfig


class Place(NamedTuple):
    """Where a tensor of a checkpoint belongs: a parameter, and which of the experts in it."""

    parameter: str
    expert: int | None = None


class Family(NamedTuple):
    """A family of models, called after the `model_type` of its first.

    `read`: its configuration from a `config.json`. `place`: where a tensor of a checkpoint belongs, `None` where it is
    not needed. `shapes`: every parameter's shape. `forward`: `(params, tokens or images, config)` to logits or hidden
    states. `cached`: of a family that predicts the next token, the same with a cache of keys and values (see
    `photonsim.models.cache`).
    """

    name: str
    read: Callable[[Mapping[str, Any]], Any]
    place: Callable[[str, Any], Place | None]
    shapes: Callable[[Any], dict[str, tuple[int, ...]]]
    forward: Callable[[Params, Any, Any], Any]
    cached: Callable[..., Any] | None = None


def read_config(description: Mapping[str, Any]) -> Config:
    """The configuration that a `config.json` describes.

    Raises `PhotonsimError` for a model of another type, a missing entry, or a feature that is not written here.
    """
    kind = str(description.get("model_type"))
    if kind not in FAMILIES:
        raise PhotonsimError(
            f"it is a model of the type {kind!r}, which is not written here. {nearest(kind, FAMILIES)}"
        )
    try:
        return FAMILIES[kind].read(description)
    except KeyError as error:
        raise PhotonsimError(f"its config.json lacks {error.args[0]}: download it again.") from error


def family_of(config: Config) -> Family:
    """The family that a configuration belongs to."""
    return BY_CONFIG[type(config)]


def _refuse(features: Mapping[str, Any]) -> None:
    found = [name for name, present in features.items() if present]
    if found:
        raise PhotonsimError(f"it asks for {' and '.join(found)}, which is not written here.")


def _activation(description: Mapping[str, Any], name: str, usual: str) -> dict[str, bool]:
    given = description.get(name, usual)
    return {f"{name} {given!r} instead of {usual!r}": given != usual}


# Llama and its relatives


def rotary(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rotary settings, under their name since transformers 5 or the one before it."""
    return description.get("rope_parameters") or description.get("rope_scaling") or {}


def read_llama(description: Mapping[str, Any]) -> LlamaConfig:
    """With the defaults of Hugging Face's own configuration classes for what `config.json` leaves out."""
    kind = description["model_type"]
    scaling = rotary(description).get("rope_type", rotary(description).get("type", "default"))
    length = description.get("max_position_embeddings", 2048)
    window = description.get("sliding_window") if description.get("use_sliding_window", kind == "mistral") else None
    _refuse(
        {
            f"rotary scaling {scaling!r}": scaling != "default",
            "mlp_bias": description.get("mlp_bias"),
            "attention_bias": description.get("attention_bias") and kind != "qwen2",
            "a sliding window shorter than its context": window is not None and window < length,
            "mlp_only_layers": description.get("mlp_only_layers"),
            "decoder_sparse_step": description.get("decoder_sparse_step", 1) != 1,
            **_activation(description, "hidden_act", "silu"),
        }
    )
    heads, hidden = description["num_attention_heads"], description["hidden_size"]
    return LlamaConfig(
        vocab_size=description["vocab_size"],
        hidden_size=hidden,
        intermediate_size=description["intermediate_size"],
        num_hidden_layers=description["num_hidden_layers"],
        num_attention_heads=heads,
        num_key_value_heads=description.get("num_key_value_heads") or heads,
        head_dim=description.get("head_dim") or _head_dim(hidden, heads),
        max_position_embeddings=length,
        rope_theta=rotary(description).get("rope_theta", description.get("rope_theta", 10_000.0)),
        rms_norm_eps=description.get("rms_norm_eps", 1e-6),
        tie_word_embeddings=description.get("tie_word_embeddings", False),
        qkv_bias=kind in ("qwen2", "qwen2_moe") and description.get("qkv_bias", True),
        qk_norm=kind in ("qwen3", "qwen3_moe"),
        **(_experts(description, kind) if kind in MIXTURES else {}),
    )


MIXTURES = ("mixtral", "qwen2_moe", "qwen3_moe")


def _experts(description: Mapping[str, Any], kind: str) -> dict[str, Any]:
    counts = description.get("num_local_experts") or description.get("num_experts")
    if counts is None:
        raise KeyError("num_local_experts")
    return {
        "num_experts": counts,
        "num_experts_per_tok": description["num_experts_per_tok"],
        "expert_size": description["intermediate_size" if kind == "mixtral" else "moe_intermediate_size"],
        "shared_expert_size": description.get("shared_expert_intermediate_size", 0) if kind == "qwen2_moe" else 0,
        "norm_topk_prob": kind == "mixtral" or bool(description.get("norm_topk_prob", False)),
    }


def _head_dim(hidden_size: Any, heads: Any) -> int:
    try:
        return hidden_size // heads
    except (TypeError, ZeroDivisionError) as error:
        raise PhotonsimError(
            f"its config.json gives no head_dim, and hidden_size {hidden_size!r} over {heads!r} heads is none."
        ) from error


_EXPERT = re.compile(r"(.*\.mlp\.experts\.)(\d+)\.(.*)")
_MIXTRAL = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}


def place_llama(name: str, config: LlamaConfig) -> Place | None:
    """A tied head, and rotary tables of old checkpoints, repeat what is known; experts have numbers."""
    if (name == "lm_head.weight" and config.tie_word_embeddings) or name.endswith("rotary_emb.inv_freq"):
        return None
    name = name.replace(".block_sparse_moe.", ".mlp.")
    match = _EXPERT.fullmatch(name)
    if match is None:
        return Place(name)
    layer, expert, part = match.groups()
    own, _, kind = part.partition(".")
    return Place(f"{layer}{_MIXTRAL.get(own, own)}.{kind}", int(expert))


# The others


def read_gpt2(description: Mapping[str, Any]) -> Gpt2Config:
    """A GPT-2; its wide layer is 4 times the narrow one where nothing is said."""
    _refuse(
        {
            "scale_attn_by_inverse_layer_idx": description.get("scale_attn_by_inverse_layer_idx"),
            "scores without their scale": not description.get("scale_attn_weights", True),
            "a head of its own": not description.get("tie_word_embeddings", True),
            **_activation(description, "activation_function", "gelu_new"),
        }
    )
    return Gpt2Config(
        vocab_size=description["vocab_size"],
        n_embd=description["n_embd"],
        n_layer=description["n_layer"],
        n_head=description["n_head"],
        n_inner=description.get("n_inner") or 4 * description["n_embd"],
        n_positions=description["n_positions"],
        layer_norm_epsilon=description.get("layer_norm_epsilon", 1e-5),
    )


def place_gpt2(name: str, config: Gpt2Config) -> Place | None:
    """The first checkpoints have no prefix, and masks among the weights."""
    if name == "lm_head.weight" or name.endswith((".attn.bias", ".attn.masked_bias")):
        return None
    return Place(name if name.startswith("transformer.") else f"transformer.{name}")


def read_bert(description: Mapping[str, Any]) -> BertConfig:
    """A BERT with learned, absolute positions."""
    positions = description.get("position_embedding_type", "absolute")
    _refuse(
        {
            "is_decoder": description.get("is_decoder"),
            f"{positions} positions": positions != "absolute",
            **_activation(description, "hidden_act", "gelu"),
        }
    )
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    return BertConfig(
        **{name: description[name] for name in names},
        max_position_embeddings=description["max_position_embeddings"],
        type_vocab_size=description.get("type_vocab_size", 2),
        layer_norm_eps=description.get("layer_norm_eps", 1e-12),
    )


def place_bert(name: str, config: BertConfig) -> Place | None:
    """The pooler and the heads of pre-training are not needed for hidden states."""
    name = name.removeprefix("bert.")
    name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
    return Place(name) if name.startswith(("embeddings.", "encoder.")) and "position_ids" not in name else None


def read_vit(description: Mapping[str, Any]) -> VitConfig:
    """A ViT or a DINOv2."""
    dinov2 = description["model_type"] == "dinov2"
    hidden = description["hidden_size"]
    _refuse(
        {
            "use_swiglu_ffn": description.get("use_swiglu_ffn"),
            "projections without biases": not description.get("qkv_bias", True),
            **_activation(description, "hidden_act", "gelu"),
        }
    )
    names = ("num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
    return VitConfig(
        **{name: description[name] for name in names},
        hidden_size=hidden,
        intermediate_size=int(hidden * description.get("mlp_ratio", 4)) if dinov2 else description["intermediate_size"],
        num_channels=description.get("num_channels", 3),
        layer_norm_eps=description.get("layer_norm_eps", 1e-6 if dinov2 else 1e-12),
        dinov2=dinov2,
    )


def place_vit(name: str, config: VitConfig) -> Place | None:
    """The pooler, the classifier and the mask token are not needed for hidden states."""
    name = name.removeprefix("vit.").removeprefix("dinov2.")
    needed = name.startswith(("embeddings.", "encoder.", "layernorm.")) and name != "embeddings.mask_token"
    return Place(name) if needed else None


LLAMA = Family("llama", read_llama, place_llama, llama_shapes, llama, llama_cached)
GPT2 = Family("gpt2", read_gpt2, place_gpt2, gpt2_shapes, gpt2, gpt2_cached)
BERT = Family("bert", read_bert, place_bert, bert_shapes, bert)
VIT = Family("vit", read_vit, place_vit, vit_shapes, vit)
FAMILIES = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", *MIXTURES), LLAMA),
    "gpt2": GPT2,
    "bert": BERT,
    "vit": VIT,
    "dinov2": VIT,
}
BY_CONFIG = {LlamaConfig: LLAMA, Gpt2Config: GPT2, BertConfig: BERT, VitConfig: VIT}
