"""From the `config.json` of a Hugging Face model to an `Architecture`, without its weights.

The families differ in the names of the same sizes (`hidden_size`, `n_embd`, `d_model`), in a few habits that the file
does not always state (gated feed-forwards, tied heads, normalised queries), and in what surrounds the layers. The names
are in `SIZES`, the habits in sets of `model_type`s, and the surroundings have a reader for each: decoders, BERT,
images, speech, T5, diffusion. A type that nobody listed but that has a decoder's sizes is read as a decoder of the
Llama kind.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from photonsim.cost.architecture import (
    GELU,
    LAYER_NORM,
    RELU,
    RMS_NORM,
    SILU,
    Architecture,
    Attention,
    Experts,
    FeedForward,
    LatentAttention,
    Layers,
    Linear,
    Stack,
)
from photonsim.errors import PhotonsimError

Config = Mapping[str, Any]

SIZES = {  # what we call it, and what the families call it
    "vocab_size": ("vocab_size",),
    "hidden_size": ("hidden_size", "n_embd", "d_model"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head", "num_heads"),
    "intermediate_size": ("intermediate_size", "n_inner", "ffn_dim", "d_ff"),
}
UNGATED = {"gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "opt", "bloom", "falcon", "phi", "starcoder2"}
TABLED_POSITIONS = {"gpt2", "gpt_bigcode", "gpt_neo", "opt"}  # no rotary embedding, a table of positions instead
TIED = {"gpt2", "gpt_bigcode", "gpt_neo", "opt", "bloom", "falcon", "gemma", "gemma2", "gemma3_text", "gemma3", "t5"}
QK_NORM = {"qwen3", "qwen3_moe", "gemma3_text", "gemma3", "olmo2"}
FOUR_NORMS = {"gemma2", "gemma3_text", "gemma3"}  # a layer normalises before and after each half
LATENT = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
ENCODERS = {"bert", "roberta", "xlm-roberta", "electra", "camembert"}
IMAGES = {"vit", "deit"}
DIFFUSION = "DiTTransformer2DModel"


def read_config(path: Path) -> Architecture:
    """The architecture in a `config.json`, named after its folder."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PhotonsimError(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PhotonsimError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(config, dict):
        raise PhotonsimError(f"{path} holds no JSON object: a Hugging Face config.json starts with a brace.")
    return architecture(config, path.resolve().parent.name if path.stem == "config" else path.stem)


def architecture(config: Config, name: str = "model", **about: Any) -> Architecture:
    """The architecture that a config describes; `about` are its title, source and whether it is assumed.

    Raises `PhotonsimError` that names the fields that are missing.
    """
    kind = config.get("model_type", config.get("_class_name", ""))
    return _reader(kind)(_Fields(config, kind), name, about)


def _reader(kind: str) -> Callable[["_Fields", str, dict[str, Any]], Architecture]:
    if kind in ENCODERS:
        return _encoder
    if kind in IMAGES:
        return _image_encoder
    known = {"whisper": _whisper, "t5": _t5, DIFFUSION: _diffusion}
    return known.get(kind, _decoder)


class _Fields:
    """A config whose sizes are found under any of their names; a decoder inside a model of images is taken out."""

    def __init__(self, config: Config, kind: str):
        inner = config.get("text_config")
        self.kind = inner.get("model_type", kind) if isinstance(inner, Mapping) else kind
        self._config = {**config, **inner} if isinstance(inner, Mapping) else dict(config)

    def get(self, name: str, default: Any = None) -> Any:
        """A field by our name, or the default where it is absent or null."""
        for each in SIZES.get(name, (name,)):
            if self._config.get(each) is not None:
                return self._config[each]
        return default

    def needs(self, *names: str) -> list[Any]:
        """Fields that the model cannot do without, all whole numbers; names every one that is missing."""
        missing = [name for name in names if self.get(name) is None]
        if missing:
            what = f"of type {self.kind!r} " if self.kind else ""
            raise PhotonsimError(f"The model's config {what}lacks {', '.join(missing)}: add what it cannot do without.")
        for name in names:
            if not self.count(name):
                raise PhotonsimError(f"The model's config has {name} = {self.get(name)!r}: at least 1 is needed.")
        return [self.get(name) for name in names]

    def count(self, name: str, default: int = 0) -> int:
        """A whole number of at least 0; a field that is `false` is 0."""
        value = self.get(name, default)
        value = 0 if value is False else value
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise PhotonsimError(f"The model's config has {name} = {value!r}: a whole number is needed.")
        return value

    def tied(self) -> bool:
        """Whether the head uses the embedding table."""
        return bool(self.get("tie_word_embeddings", self.kind in TIED))


# Decoders


def _decoder(fields: _Fields, name: str, about: dict[str, Any]) -> Architecture:
    vocab, hidden, depth, _ = fields.needs("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
    if fields.get("intermediate_size") is None and fields.kind not in UNGATED:
        fields.needs("intermediate_size")
    tabled = fields.kind in TABLED_POSITIONS
    positions = (fields.count("n_positions") or fields.count("max_position_embeddings", 0)) if tabled else 0
    norm = LAYER_NORM if fields.kind in UNGATED else RMS_NORM
    head = Linear("lm_head", hidden, vocab, shared=fields.tied())
    main = Stack(hidden, _grouped(fields, hidden, depth), (head,), norm)
    return Architecture(name, main, vocab=vocab, tables=(vocab + positions) * hidden, **about)


def _grouped(fields: _Fields, hidden: int, depth: int) -> tuple[Layers, ...]:
    """The layers, equal ones together in the order of their first."""
    norms = 4 if fields.kind in FOUR_NORMS else 2
    kinds = [(_window(fields, number), _is_sparse(fields, number)) for number in range(depth)]
    return tuple(
        Layers(
            kinds.count(kind),
            _attention(fields, hidden, kind[0]),
            _experts(fields) if kind[1] else _feed_forward(fields, hidden),
            norms=norms,
        )
        for kind in dict.fromkeys(kinds)
    )


def _window(fields: _Fields, number: int) -> int:
    """Tokens that layer `number` looks back at; 0 for all."""
    window = fields.count("sliding_window")
    if not window or fields.get("use_sliding_window") is False:
        return 0
    kinds = fields.get("layer_types")
    if kinds is not None:
        return window if number < len(kinds) and "sliding" in kinds[number] else 0
    pattern = fields.get("sliding_window_pattern") or fields.get("_sliding_window_pattern")
    pattern = pattern or {"gemma3_text": 6, "gemma3": 6, "gemma2": 2, "gpt_oss": 2}.get(fields.kind, 0)
    return 0 if pattern and (number + 1) % pattern == 0 else window


def _attention(fields: _Fields, hidden: int, window: int) -> Attention | LatentAttention:
    heads = fields.count("num_attention_heads")
    if fields.get("kv_lora_rank"):
        kv_rank, nope, rope, value = fields.needs(*LATENT)
        return LatentAttention(heads, fields.count("q_lora_rank"), kv_rank, nope, rope, value)
    rotary = fields.kind not in TABLED_POSITIONS | {"bloom"}
    qk_norm = bool(fields.get("use_qk_norm", fields.kind in QK_NORM))
    kv_heads = fields.count("num_key_value_heads") or (1 if fields.get("multi_query") else heads)
    head_dim = fields.count("head_dim") or hidden // max(heads, 1)
    return Attention(heads, kv_heads, head_dim, window, rotary, qk_norm)


def _feed_forward(fields: _Fields, hidden: int) -> FeedForward:
    intermediate = fields.count("intermediate_size") or 4 * hidden
    return FeedForward(intermediate, fields.kind not in UNGATED, _activation(fields))


def _activation(fields: _Fields) -> str:
    """The kind of activation function, whatever the family's name for the field and the function's variants."""
    default = "gelu" if fields.kind in UNGATED | ENCODERS | IMAGES else "silu"
    names = ("hidden_act", "hidden_activation", "activation_function", "activation", "dense_act_fn")
    word = str(next((fields.get(name) for name in names if fields.get(name)), default)).lower()
    return GELU if "gelu" in word else RELU if "relu" in word else SILU


def _expert_count(fields: _Fields) -> int:
    return next((fields.count(n) for n in ("n_routed_experts", "num_local_experts", "num_experts") if fields.get(n)), 0)


def _is_sparse(fields: _Fields, number: int) -> bool:
    """Whether layer `number` is a mixture of experts."""
    if not _expert_count(fields) or number < fields.count("first_k_dense_replace"):
        return False
    step = fields.count("decoder_sparse_step") or fields.count("moe_layer_freq") or 1
    return number not in (fields.get("mlp_only_layers") or []) and (number + 1) % step == 0


def _experts(fields: _Fields) -> Experts:
    (per_token,) = fields.needs("num_experts_per_tok")
    intermediate = fields.count("moe_intermediate_size") or fields.count("intermediate_size")
    activation = _activation(fields)
    shared = fields.count("n_shared_experts") * intermediate or fields.count("shared_expert_intermediate_size")
    always = FeedForward(shared, True, activation) if shared else None
    return Experts(_expert_count(fields), per_token, FeedForward(intermediate, True, activation), always)


# Encoders


def _encoder(fields: _Fields, name: str, about: dict[str, Any]) -> Architecture:
    """BERT and its kin: masked-language head where the config says so, else the pooler."""
    vocab, hidden, depth, heads = fields.needs("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
    fields.needs("intermediate_size", "max_position_embeddings")
    tables = (vocab + fields.count("max_position_embeddings") + fields.count("type_vocab_size", 2)) * hidden
    masked = any("MaskedLM" in each for each in fields.get("architectures", []))
    head = (Linear("transform", hidden, hidden), Linear("decoder", hidden, vocab, shared=True))
    linears = head if masked else (Linear("pooler", hidden, hidden, per_sequence=1),)
    attention = Attention(heads, heads, hidden // heads, rotary=False)
    layers = (Layers(depth, attention, FeedForward(fields.count("intermediate_size"), False, _activation(fields))),)
    main = Stack(hidden, layers, linears, LAYER_NORM)
    return Architecture(name, main, vocab=vocab, tables=tables, generates=False, **about)


def _image_encoder(fields: _Fields, name: str, about: dict[str, Any]) -> Architecture:
    """ViT and DeiT: patches, a class token (and one of distillation), a head for each of the two."""
    hidden, depth, heads, intermediate, image, patch = fields.needs(
        "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "image_size", "patch_size"
    )
    patches, distilled = (image // patch) ** 2, fields.kind == "deit"
    tokens, labels = patches + 1 + distilled, len(fields.get("id2label", {})) or fields.count("num_labels", 1000)
    linears = (
        Linear("patch embedding", fields.count("num_channels", 3) * patch**2, hidden, per_sequence=patches),
        Linear("classifier", hidden, labels, per_sequence=1, count=1 + distilled),
    )
    attention = Attention(heads, heads, hidden // heads, rotary=False)
    layers = (Layers(depth, attention, FeedForward(intermediate, False, _activation(fields))),)
    main = Stack(hidden, layers, linears, LAYER_NORM)
    tables = (tokens + 1 + distilled) * hidden  # positions, and the tokens that are no patch
    pixels = fields.count("num_channels", 3) * image**2
    return Architecture(name, main, tables=tables, generates=False, fixed_tokens=tokens, input_numbers=pixels, **about)


def _diffusion(fields: _Fields, name: str, about: dict[str, Any]) -> Architecture:
    """A diffusion transformer with adaptive norms (DiT, arXiv 2212.09748): one pass is one step of denoising."""
    depth, heads, head_dim, size, patch, channels = fields.needs(
        "num_layers", "num_attention_heads", "attention_head_dim", "sample_size", "patch_size", "in_channels"
    )
    hidden, tokens, out = heads * head_dim, (size // patch) ** 2, fields.count("out_channels") or 2 * channels
    linears = (
        Linear("patch embedding", channels * patch**2, hidden),
        Linear("timestep embedding 1", 256, hidden, per_sequence=1),
        Linear("timestep embedding 2", hidden, hidden, per_sequence=1),
        Linear("modulation", hidden, 6 * hidden, per_sequence=1, count=depth),
        Linear("final modulation", hidden, 2 * hidden, per_sequence=1),
        Linear("final projection", hidden, patch**2 * out),
    )
    attention = Attention(heads, heads, head_dim, rotary=False)
    layers = (Layers(depth, attention, FeedForward(4 * hidden, False, GELU)),)
    classes = (fields.count("num_embeds_ada_norm", 1000) + 1) * hidden
    main = Stack(hidden, layers, linears, LAYER_NORM)
    latent = channels * size**2
    return Architecture(name, main, tables=classes, generates=False, fixed_tokens=tokens, input_numbers=latent, **about)


# Encoder-decoders


def _whisper(fields: _Fields, name: str, about: dict[str, Any]) -> Architecture:
    """Speech: 30 seconds of spectrogram through two convolutions into the encoder; the prompt is the decoder's."""
    vocab, hidden, bands = fields.needs("vocab_size", "hidden_size", "num_mel_bins")
    depths = fields.needs("encoder_layers", "decoder_layers")
    heads = fields.needs("encoder_attention_heads", "decoder_attention_heads")
    widths = fields.needs("encoder_ffn_dim", "decoder_ffn_dim")
    source, target = fields.needs("max_source_positions", "max_target_positions")
    reading, writing = (Attention(each, each, hidden // each, rotary=False) for each in heads)
    parts = [FeedForward(width, False, GELU) for width in widths]
    convolutions = (
        Linear("convolution 1", 3 * bands, hidden, per_sequence=2 * source),
        Linear("convolution 2", 3 * hidden, hidden, per_sequence=source),
    )
    encoder = Stack(hidden, (Layers(depths[0], reading, parts[0]),), convolutions, LAYER_NORM)
    head = (Linear("proj_out", hidden, vocab, shared=True),)
    main = Stack(hidden, (Layers(depths[1], writing, parts[1], cross=writing, norms=3),), head, LAYER_NORM)
    tables = (vocab + source + target) * hidden
    return Architecture(
        name, main, encoder, vocab, tables, encoder_tokens=source, input_numbers=2 * source * bands, **about
    )


def _t5(fields: _Fields, name: str, about: dict[str, Any]) -> Architecture:
    """T5: the encoder reads the prompt, the decoder starts from a single token."""
    vocab, hidden, depth, heads, intermediate, head_dim = fields.needs(
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "d_kv"
    )
    gated = "gated" in str(fields.get("feed_forward_proj", "relu"))
    part = FeedForward(intermediate, gated, GELU if gated else RELU)
    attention = Attention(heads, heads, head_dim, rotary=False)
    encoder = Stack(hidden, (Layers(depth, attention, part),))
    writing = Layers(fields.count("num_decoder_layers") or depth, attention, part, cross=attention, norms=3)
    main = Stack(hidden, (writing,), (Linear("lm_head", hidden, vocab, shared=fields.tied()),))
    return Architecture(name, main, encoder, vocab, vocab * hidden, **about)
