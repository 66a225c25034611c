"""The coverage of a model that is known only by its `config.json`: made on PyTorch's `meta` device, without weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import transformers

from photonsim.errors import PhotonsimError
from photonsim.hf.simulation import ModelOnChip
from photonsim.swap import AbstractMatmulUnit, Coverage, Rule

CONTEXT = 512
AUDIO_FRAMES = 3000  # 30 s of Whisper's spectrogram
DTYPE = torch.bfloat16  # the only one in which PyTorch knows the shapes of grouped products on `meta`


def coverage_of_config(
    config: Mapping[str, Any], chip: AbstractMatmulUnit, rules: Sequence[Rule] = (), context: int | None = None
) -> Coverage:
    """Where the products of one pass run: `context` tokens (512 if none are given), one image, or 30 s of sound."""
    model = empty_model(config)
    length = min(CONTEXT, getattr(model.config, "max_position_embeddings", None) or CONTEXT)
    with torch.device("meta"):
        inputs = _inputs(model, length if context is None else context)
    return ModelOnChip(model, chip, rules).coverage(**inputs)


def empty_model(config: Mapping[str, Any]) -> torch.nn.Module:
    """The model of a configuration, in the class that it names, with shapes for weights."""
    kind = config.get("model_type")
    if kind not in transformers.CONFIG_MAPPING:
        raise PhotonsimError(
            f"The model type {kind!r} is unknown to transformers {transformers.__version__}: update transformers, or "
            "load the model yourself and ask photonsim.hf.simulate(model, chip).coverage(...)."
        )
    settings = transformers.AutoConfig.for_model(**config)
    names = [name for name in config.get("architectures") or () if hasattr(transformers, name)]
    make: Callable[..., Any] = getattr(transformers, names[0])._from_config if names else _any_class(settings)
    try:
        with torch.device("meta"):
            return make(settings).to(DTYPE).eval()
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise PhotonsimError(f"transformers cannot make a {kind} of this configuration: {error}.") from error


def _any_class(settings: Any) -> Callable[..., Any]:
    known = transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    return (transformers.AutoModelForCausalLM if type(settings) in known else transformers.AutoModel).from_config


def _inputs(model: Any, length: int) -> dict[str, torch.Tensor]:
    """What the model's forward takes, by the name of its main input; a decoder behind an encoder reads as much."""
    settings = model.config
    name = model.main_input_name
    tokens = torch.zeros((1, length), dtype=torch.long)
    inputs = {name: tokens}  # of the usual `input_ids`
    if name == "pixel_values":
        vision = getattr(settings, "vision_config", settings)
        size = vision.image_size
        height, width = size if isinstance(size, list | tuple) else (size, size)
        inputs = {name: torch.zeros((1, vision.num_channels, height, width), dtype=DTYPE)}
    elif name == "input_features":
        inputs = {name: torch.zeros((1, settings.num_mel_bins, AUDIO_FRAMES), dtype=DTYPE)}
    elif name != "input_ids":
        raise PhotonsimError(
            f"The model takes {name}, whose shape its configuration does not say: load it and ask "
            "photonsim.hf.simulate(model, chip).coverage(...)."
        )
    if settings.is_encoder_decoder:
        inputs["decoder_input_ids"] = tokens
    return inputs
