"""Models from a Hugging Face folder: `config.json`, `tokenizer.json`, and weights in one safetensors file or in shards.

    config.json                      shapes; `model_type` must be llama
    model.safetensors                or model.safetensors.index.json, whose `weight_map` names the shards
    tokenizer.json                   any tokenizer of the `tokenizers` library

The weights may be of any floating type; they become float32.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from photonsim.errors import PhotonsimError
from photonsim.models.llama import LlamaConfig
from photonsim.models.model import Model, collect_params, sha256_of


def load_folder(folder: str | Path, name: str | None = None) -> Model:
    """The model of a folder, called `name` or else after the folder. One tensor is read at a time."""
    folder = Path(folder)
    config = _config(_read_json(folder / "config.json"), folder)
    tokenizer = _tokenizer(folder / "tokenizer.json")
    shards = weight_files(folder)
    params = collect_params(_tensors(shards, config), config, folder)
    return Model(name or folder.resolve().name, config, params, tokenizer, sha256_of(shards))


def weight_files(folder: Path) -> list[Path]:
    """The folder's weight files, all of them present."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        whole = folder / "model.safetensors"
        if not whole.exists():
            raise PhotonsimError(f"{folder} holds neither model.safetensors nor model.safetensors.index.json.")
        return [whole]
    weight_map = _read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise PhotonsimError(f"{index} has no weight_map, so it names no shards: download it again.")
    shards = [folder / shard for shard in sorted(set(weight_map.values()))]
    missing = [shard.name for shard in shards if not shard.exists()]
    if missing:
        raise PhotonsimError(f"{folder} lacks {', '.join(missing)}, named in its index: download the missing shards.")
    return shards


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PhotonsimError(f"Cannot read {path}: {error.strerror}. Give a complete Hugging Face folder.") from error
    except ValueError as error:
        raise PhotonsimError(f"{path} is not JSON ({error}): download it again.") from error
    if not isinstance(content, dict):
        raise PhotonsimError(f"{path} holds no JSON object: download it again.")
    return content


def _config(description: dict[str, Any], folder: Path) -> LlamaConfig:
    """What `config.json` says, with the defaults of Hugging Face's own LlamaConfig for what it leaves out."""
    _refuse_other_architectures(description, folder)
    try:
        heads = description["num_attention_heads"]
        return LlamaConfig(
            vocab_size=description["vocab_size"],
            hidden_size=description["hidden_size"],
            intermediate_size=description["intermediate_size"],
            num_hidden_layers=description["num_hidden_layers"],
            num_attention_heads=heads,
            num_key_value_heads=description.get("num_key_value_heads") or heads,
            head_dim=description.get("head_dim") or _head_dim(description["hidden_size"], heads, folder),
            max_position_embeddings=description.get("max_position_embeddings", 2048),
            rope_theta=_rotary(description).get("rope_theta", description.get("rope_theta", 10_000.0)),
            rms_norm_eps=description.get("rms_norm_eps", 1e-6),
            tie_word_embeddings=description.get("tie_word_embeddings", False),
        )
    except KeyError as error:
        raise PhotonsimError(f"{folder / 'config.json'} lacks {error.args[0]}: download it again.") from error


def _head_dim(hidden_size: Any, heads: Any, folder: Path) -> int:
    try:
        return hidden_size // heads
    except (TypeError, ZeroDivisionError) as error:
        raise PhotonsimError(
            f"{folder / 'config.json'} gives no head_dim, and hidden_size {hidden_size!r} over {heads!r} heads is none."
        ) from error


def _rotary(description: dict[str, Any]) -> dict[str, Any]:
    """The rotary settings, under their name since transformers 5 or the one before it."""
    return description.get("rope_parameters") or description.get("rope_scaling") or {}


def _refuse_other_architectures(description: dict[str, Any], folder: Path) -> None:
    architecture = description.get("model_type")
    if architecture != "llama":
        raise PhotonsimError(f"{folder} holds a model of the type {architecture!r}; supported: llama.")
    rotary = _rotary(description)
    scaling = rotary.get("rope_type", rotary.get("type", "default"))
    unsupported = {
        f"rotary scaling {scaling!r}": scaling != "default",
        "attention_bias": description.get("attention_bias"),
        "mlp_bias": description.get("mlp_bias"),
        f"hidden_act {description.get('hidden_act')!r}": description.get("hidden_act", "silu") != "silu",
    }
    found = [feature for feature, present in unsupported.items() if present]
    if found:
        raise PhotonsimError(
            f"{folder} asks for {' and '.join(found)}; supported: plain rotary embedding, no biases, hidden_act 'silu'."
        )


def _tensors(shards: list[Path], config: LlamaConfig) -> Iterator[tuple[str, np.ndarray]]:
    """Each tensor of the shards. A tied head, and rotary tables of old checkpoints, repeat what is known: left out."""
    for shard in shards:
        try:
            with safe_open(shard, framework="np") as file:
                for name in file.keys():  # noqa: SIM118  (the handle is not a mapping)
                    repeats_embedding = name == "lm_head.weight" and config.tie_word_embeddings
                    if not repeats_embedding and not name.endswith("rotary_emb.inv_freq"):
                        yield name, file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise PhotonsimError(f"{shard} is truncated or corrupt ({error}): copy or download it again.") from error


def _tokenizer(path: Path) -> Tokenizer:
    if not path.exists():
        raise PhotonsimError(f"{path.parent} has no tokenizer.json: save the model's fast tokenizer there.")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise PhotonsimError(f"{path} cannot be read as a tokenizer ({error}): download it again.") from error
