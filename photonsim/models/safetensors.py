"""Models from a Hugging Face folder: `config.json`, `tokenizer.json`, and weights in one safetensors file or in shards.

    config.json                      shapes; `model_type` says which of `families.py` it is
    model.safetensors                or model.safetensors.index.json, whose `weight_map` names the shards
    tokenizer.json                   any tokenizer of the `tokenizers` library

The weights may be of any floating type; they become float32.
"""

import contextlib
import functools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from photonsim.errors import PhotonsimError
from photonsim.models.families import Config, read_config
from photonsim.models.model import Model, NamedTensor, collect_params, sha256_of
from photonsim.models.vit import VitConfig

INDEX = "model.safetensors.index.json"  # names the shards


def load_folder(folder: str | Path, name: str | None = None) -> Model:
    """The model of a folder, called `name` or else after the folder. One tensor is read at a time."""
    folder = Path(folder)
    config = read_description(folder)
    tokenizer = None if isinstance(config, VitConfig) else read_tokenizer(folder)
    shards = weight_files(folder)
    params = collect_params(read_tensors(shards), config, folder)
    return Model(name or folder.resolve().name, config, params, tokenizer, sha256_of(shards))


def read_description(folder: Path) -> Config:
    """The configuration in the folder's `config.json`."""
    try:
        return read_config(read_json(folder / "config.json"))
    except PhotonsimError as error:
        raise PhotonsimError(f"{folder} cannot be read: {error}") from None


def weight_files(folder: Path) -> list[Path]:
    """The folder's weight files, all of them present."""
    index = folder / INDEX
    if not index.exists():
        whole = folder / "model.safetensors"
        if not whole.exists():
            raise PhotonsimError(f"{folder} holds neither model.safetensors nor {INDEX}.")
        return [whole]
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise PhotonsimError(f"{index} has no weight_map, so it names no shards: download it again.")
    shards = [folder / shard for shard in sorted(set(weight_map.values()))]
    missing = [shard.name for shard in shards if not shard.exists()]
    if missing:
        raise PhotonsimError(f"{folder} lacks {', '.join(missing)}, named in its index: download the missing shards.")
    return shards


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or a sentence."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PhotonsimError(f"Cannot read {path}: {error.strerror}. Give a complete Hugging Face folder.") from error
    except ValueError as error:
        raise PhotonsimError(f"{path} is not JSON ({error}): download it again.") from error
    if not isinstance(content, dict):
        raise PhotonsimError(f"{path} holds no JSON object: download it again.")
    return content


def read_tensors(shards: Iterable[Path]) -> Iterator[NamedTensor]:
    """Each tensor of the shards, to be read before the next one is asked for."""
    for shard in shards:
        with _damage_as_a_sentence(shard), safe_open(shard, framework="np") as file:
            names = list(file.keys())
            for name in names:
                yield name, functools.partial(_read_tensor, file, name, shard)


def _read_tensor(file: Any, name: str, shard: Path) -> np.ndarray:
    with _damage_as_a_sentence(shard):
        return file.get_tensor(name)


@contextlib.contextmanager
def _damage_as_a_sentence(shard: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise PhotonsimError(f"{shard} is truncated or corrupt ({error}): copy or download it again.") from error


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in the folder's `tokenizer.json`."""
    path = folder / "tokenizer.json"
    if not path.exists():
        raise PhotonsimError(f"{folder} has no tokenizer.json: save the model's fast tokenizer there.")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise PhotonsimError(f"{path} cannot be read as a tokenizer ({error}): download it again.") from error
