"""ONNX files: a small DINOv2 written as PyTorch exports one, read back and damaged."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from photonsim.errors import PhotonsimError
from photonsim.models import load
from photonsim.models.vit import VitConfig, parameter_shapes

CONFIG = VitConfig(16, 32, 2, 4, image_size=21, patch_size=7, layer_norm_eps=1e-6, dinov2=True)
MODULE = "model.backbone."


def weights_of(config: VitConfig) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in parameter_shapes(config).items()}


def write_onnx(path: Path, weights: dict[str, np.ndarray], config: VitConfig = CONFIG) -> Path:
    """Tensors and the nodes that read them as PyTorch's exporter leaves them: linear weights without their names and
    transposed, positions in two parts, the head count in a shape."""
    stored = {"decoder.bias": np.zeros(3, np.float32)}
    nodes = []
    for name, value in weights.items():
        if name.endswith("position_embeddings"):
            stored |= {"onnx::Reshape_7": value[:, 1:], "onnx::Concat_6": value[:, :1]}
        elif name.endswith(".weight") and value.ndim == 2:
            anonymous, bias = f"onnx::MatMul_{len(stored)}", name.replace("weight", "bias")
            stored[anonymous] = np.ascontiguousarray(value.T)
            nodes += [
                helper.make_node("MatMul", ["x", anonymous], [f"{name}/product"]),
                helper.make_node("Add", [MODULE + bias, f"{name}/product"], [f"{name}/sum"]),
            ]
        else:
            stored[MODULE + name] = value
    head = config.hidden_size // config.num_attention_heads
    sizes = [numpy_helper.from_array(np.array([n])) for n in (1, -1, config.num_attention_heads, head)]
    nodes += [helper.make_node("Constant", [], [f"size{i}"], value=size) for i, size in enumerate(sizes)]
    nodes.append(helper.make_node("Concat", [f"size{i}" for i in range(4)], ["shape"], axis=0))
    query = "encoder.layer.0.attention.attention.query.weight/sum"
    nodes.append(helper.make_node("Reshape", [query, "shape"], ["heads"]))
    tensors = [numpy_helper.from_array(value, name) for name, value in stored.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "exported", [], [], tensors)), path)
    return path


def test_an_exported_model_gives_back_configuration_and_weights(tmp_path):
    weights = weights_of(CONFIG)
    model = load(write_onnx(tmp_path / "small.onnx", weights))
    assert (model.name, model.config, model.tokenizer) == ("small", CONFIG, None)
    assert model.params.keys() == weights.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(model.params[name], value, err_msg=name)


def without(*names: str):
    return lambda weights: {name: value for name, value in weights.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("embeddings.cls_token"), "has no embeddings.cls_token in its graph: of ONNX, only a DINOv2"),
        (without("embeddings.position_embeddings"), "has no embeddings.position_embeddings"),
        (
            without("encoder.layer.0.attention.attention.query.weight"),
            r"has no model\.backbone\.encoder\.layer\.0\..*query\.bias",
        ),
        (without("encoder.layer.1.mlp.fc2.weight"), "lacks the weights encoder.layer.1.mlp.fc2.weight"),
        (lambda weights: weights | {"layernorm.bias": np.full(16, np.nan, np.float32)}, "layernorm.bias holds NaN"),
    ],
)
def test_a_graph_that_is_no_whole_dinov2_is_refused(tmp_path, change, message):
    with pytest.raises(PhotonsimError, match=message):
        load(write_onnx(tmp_path / "other.onnx", change(weights_of(CONFIG))))


def test_a_file_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    whole = write_onnx(tmp_path / "whole.onnx", weights_of(CONFIG))
    (tmp_path / "cut.onnx").write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(PhotonsimError, match=r"cut\.onnx is not a complete ONNX file \(truncated or corrupt\)"):
        load(tmp_path / "cut.onnx")
    with pytest.raises(PhotonsimError, match=r"Cannot read .*absent\.onnx: No such file"):
        load(tmp_path / "absent.onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PhotonsimError, match=r"needs the package onnx: pip install 'photonsim\[onnx\]'"):
        load(whole)
