"""Models for Door 2 from where they are: a Hugging Face folder, a GGUF file, or a name that photonsim itself knows."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from photonsim.errors import PhotonsimError
from photonsim.models import Model
from photonsim.models import load as load_own
from photonsim.models.llama import LlamaConfig


def load(source: str | Path) -> torch.nn.Module:
    """The model of a Hugging Face folder, in the class its `config.json` names; else one of photonsim's, in Hugging
    Face's class. In evaluation mode."""
    folder = Path(source)
    if folder.is_dir():
        return _model_class(folder).from_pretrained(folder, local_files_only=True).eval()
    return hugging_face_twin(load_own(source))


def _model_class(folder: Path) -> Any:
    """The class in transformers that wrote a folder."""
    try:
        names = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or []
    except (OSError, ValueError) as error:
        raise PhotonsimError(f"{folder} has no readable config.json ({error}): give a Hugging Face folder.") from error
    for name in names:
        if hasattr(transformers, name):
            return getattr(transformers, name)
    raise PhotonsimError(
        f"{folder / 'config.json'} names the architectures {names}, of which transformers {transformers.__version__} "
        "has none: load the model yourself and pass it to simulate."
    )


def hugging_face_twin(model: Model) -> torch.nn.Module:
    """Hugging Face's own model with the parameters of one of ours."""
    if not isinstance(model.config, LlamaConfig):
        raise PhotonsimError(f"{model.name} is no Llama: give its Hugging Face folder, or the model itself.")
    config = transformers.LlamaConfig(**dataclasses.asdict(model.config))
    with torch.device("meta"):
        twin = transformers.LlamaForCausalLM(config)
    weights = {name: torch.from_numpy(np.array(value)) for name, value in model.params.items()}
    if model.config.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    twin.load_state_dict(weights, assign=True)
    twin.tie_weights()
    twin.model.rotary_emb = type(twin.model.rotary_emb)(config)  # its tables are no parameters, and still on `meta`
    return twin.eval()
