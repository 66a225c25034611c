"""A DINOv2 from ONNX, the format of graphs: weights and the operations that read them, and no configuration.

PyTorch's exporter leaves a parameter its name, behind the module's own prefix (`backbone.`), where the graph reads it
as it is. What it changed on the way is anonymous, and known by what the graph does with it:

    onnx::MatMul_1966   (in, out), the transpose of a checkpoint's    MatMul, then Add of `….key.bias`: `….key.weight`
    onnx::Concat_1957   (1, 1, hidden)                                the positions, cut in two: of the class token,
    onnx::Reshape_1962  (1, n, hidden)                                and of a square of n patches

What lies outside the prefix, such as a decoder behind the backbone, is left out: the model here ends with the hidden
states. The epsilon of its norms is DINOv2's own, 1e-6.
"""

import importlib.util
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from photonsim.errors import PhotonsimError
from photonsim.models.damage import damage_as_a_sentence
from photonsim.models.model import Model, collect_params, sha256_of
from photonsim.models.vit import VitConfig

Tensors = dict[str, np.ndarray]
LACKS = "has no {} in its graph: of ONNX, only a DINOv2 that PyTorch exported can be read."
CLASS_TOKEN = "embeddings.cls_token"
POSITIONS = "embeddings.position_embeddings"
QUERY = "encoder.layer.0.attention.attention.query.bias"


def load_onnx(path: str | Path, name: str | None = None) -> Model:
    """The DINOv2 of an `.onnx` file, called `name` or else after the file; it takes images, so it has no tokenizer."""
    path = Path(path)
    config, tensors = _read(path)
    params = collect_params(((key, lambda value=value: value) for key, value in tensors.items()), config, path)
    return Model(name or path.stem, config, params, None, sha256_of([path]))


def onnx_config(path: str | Path) -> VitConfig:
    """The configuration of the DINOv2 in an `.onnx` file."""
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[VitConfig, Tensors]:
    """Configuration and tensors, under the names of a checkpoint."""
    if importlib.util.find_spec("onnx") is None:
        raise PhotonsimError(f"Reading {path} needs the package onnx: pip install 'photonsim[onnx]'.")
    import onnx

    with damage_as_a_sentence(path, "ONNX", LACKS):
        graph = onnx.load(path).graph
        stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        prefix = next((name.removesuffix(CLASS_TOKEN) for name in stored if name.endswith(CLASS_TOKEN)), None)
        if prefix is None:
            raise KeyError(CLASS_TOKEN)
        tensors = {name.removeprefix(prefix): value for name, value in stored.items() if name.startswith(prefix)}
        for bias, weight in _linear_layers(graph):
            if bias.startswith(prefix) and weight in stored:
                tensors[f"{bias.removeprefix(prefix).removesuffix('bias')}weight"] = stored[weight].T
        if POSITIONS not in tensors:
            tensors[POSITIONS] = _joined_positions(stored, tensors[CLASS_TOKEN].shape[-1])
        heads = onnx.numpy_helper.to_array(_heads(graph, prefix + QUERY)).item()
        return _config(tensors, heads), tensors


def _linear_layers(graph: Any) -> Iterator[tuple[str, str]]:
    """Bias and weight of each linear layer: what is added to a product, and what the product was with."""
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        if node.op_type == "Add" and node.input[1] in products:
            yield node.input[0], products[node.input[1]]


def _joined_positions(stored: Tensors, hidden: int) -> np.ndarray:
    """The learned positions (1, 1 + n, hidden) from the two anonymous parts into which they were cut."""
    parts = [value for name, value in stored.items() if name.startswith("onnx::") and value.ndim == 3]
    if [part.shape[::2] for part in parts] != [(1, hidden)] * 2:
        raise KeyError(POSITIONS)
    return np.concatenate(sorted(parts, key=lambda part: part.shape[1]), axis=1)


def _heads(graph: Any, bias: str) -> Any:
    """The number of heads, a tensor: queries are cut up into (batch, positions, heads, features)."""
    made = {name: node for node in graph.node for name in node.output}
    query = next((node.output[0] for node in graph.node if bias in node.input), None)
    shape = next((node.input[1] for node in graph.node if node.op_type == "Reshape" and node.input[0] == query), None)
    if shape is None:
        raise KeyError(bias)
    return made[made[shape].input[2]].attribute[0].t


def _config(tensors: Mapping[str, np.ndarray], heads: int) -> VitConfig:
    hidden, channels, patch, _ = tensors["embeddings.patch_embeddings.projection.weight"].shape
    layers = {name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")}
    return VitConfig(
        hidden_size=hidden,
        intermediate_size=len(tensors["encoder.layer.0.mlp.fc1.bias"]),
        num_hidden_layers=len(layers),
        num_attention_heads=heads,
        image_size=math.isqrt(tensors[POSITIONS].shape[1] - 1) * patch,
        patch_size=patch,
        num_channels=channels,
        layer_norm_eps=1e-6,
        dinov2=True,
    )
