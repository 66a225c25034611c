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
from photonsim.models.safetensors import INDEX, weight_files
from photonsim.models.vit import VitConfig


def load(source: str | Path) -> torch.nn.Module:
    """The model of a Hugging Face folder, in the class its `config.json` names; else one of photonsim's, in Hugging
    Face's class. In evaluation mode."""
    folder = Path(source)
    if folder.is_dir():
        made = _model_class(folder)
        if (folder / INDEX).exists():
            weight_files(folder)  # says which shards are missing
        return made.from_pretrained(folder, local_files_only=True).eval()
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
    weights = {name: torch.from_numpy(np.array(value)) for name, value in model.params.items()}
    if isinstance(model.config, VitConfig) and model.config.dinov2:
        return _dinov2_twin(model.config, weights)
    if isinstance(model.config, LlamaConfig):
        return _llama_twin(model.config, weights)
    raise PhotonsimError(
        f"{model.name} is neither a Llama nor a DINOv2: give its Hugging Face folder, or the model itself."
    )


def _llama_twin(config: LlamaConfig, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    settings = transformers.LlamaConfig(**dataclasses.asdict(config))
    with torch.device("meta"):
        twin = transformers.LlamaForCausalLM(settings)
    if config.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    twin.load_state_dict(weights, assign=True)
    twin.tie_weights()
    twin.model.rotary_emb = type(twin.model.rotary_emb)(settings)  # its tables are no parameters, and still on `meta`
    return twin.eval()


def _dinov2_twin(config: VitConfig, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    """transformers renames what checkpoints hold, and leaves at random what it does not find: nothing, but the token
    that stands for hidden patches, which training alone needs."""
    settings = transformers.Dinov2Config(
        **dataclasses.asdict(config), mlp_ratio=config.intermediate_size // config.hidden_size
    )
    weights["embeddings.mask_token"] = torch.zeros(1, config.hidden_size)
    twin, found = transformers.Dinov2Model.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues]
        None, config=settings, state_dict=weights, output_loading_info=True
    )
    assert not any(found.values()), found
    return twin.eval()
