"""SmolLM2-135M as its package ships it: known perplexity, the logits of transformers, the ids of its tokenizer."""

import dataclasses
import math

import jax
import numpy as np
import pytest
import torch
import transformers
from jax import numpy as jnp

from photonsim.models import load, sample_text
from photonsim.models.registry import PACKAGED

pytestmark = pytest.mark.slow

CONTEXT, PREDICTED = 512, 2048


@pytest.fixture(scope="module")
def model():
    return load("smollm2-135m")


@pytest.fixture(scope="module")
def ids(model):
    return model.encode(sample_text())


def test_perplexity_of_the_sample_is_the_one_measured_with_transformers(model, ids):
    tokens = np.array(ids[: PREDICTED + 1], np.int32)

    @jax.jit
    def loss(params, inputs, targets):
        log_shares = jax.nn.log_softmax(model.apply(params, inputs[None])[0])
        return -jnp.take_along_axis(log_shares, targets[:, None], axis=1).mean()

    starts = range(0, PREDICTED, CONTEXT)
    losses = [loss(model.params, tokens[s : s + CONTEXT], tokens[s + 1 : s + 1 + CONTEXT]) for s in starts]
    assert math.exp(np.mean(losses)) == pytest.approx(22.22, abs=0.02)


def test_logits_are_those_of_transformers(model, ids):
    twin = transformers.LlamaForCausalLM(transformers.LlamaConfig(**dataclasses.asdict(model.config)))
    weights = {name: torch.tensor(np.asarray(value)) for name, value in model.params.items()}
    twin.load_state_dict(weights | {"lm_head.weight": weights["model.embed_tokens.weight"]})
    tokens = jnp.array([ids[:256]], jnp.int32)
    with torch.no_grad():
        expected = twin(torch.tensor([ids[:256]])).logits.numpy()
    logits = np.asarray(jax.jit(model.apply)(model.params, tokens))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-3)


def test_token_ids_are_those_of_transformers_on_the_same_file(model, ids):
    path = PACKAGED["smollm2-135m"].find()
    assert path is not None
    theirs = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    assert theirs.encode(sample_text(), add_special_tokens=False) == ids
    chat = "<|im_start|>user\nWhat is 2048 + 12?<|im_end|>\n"
    assert theirs.encode(chat, add_special_tokens=False) == model.encode(chat)
    assert model.decode(ids) == sample_text()


def test_the_sample_is_long_enough(ids):
    assert len(ids) >= 4096
