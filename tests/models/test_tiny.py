"""The tiny model as it ships: it reads English, and its script can make it again."""

import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.models import load, sample_text
from photonsim.models.tiny import train


def test_the_held_out_perplexity_is_the_one_on_the_card():
    model = load("tiny")
    report = train.held_out_report(model.params, model.tokenizer)
    assert report == "held-out perplexity 16.54 per token, 1.923 bits per byte"


def test_the_weights_are_small_and_the_shapes_those_of_the_script():
    model = load("tiny")
    assert model.config == train.CONFIG
    assert sum(value.size for value in model.params.values()) == 361_088


def test_any_text_can_be_written_and_read_but_for_typographic_punctuation():
    model = load("tiny")
    for text in ("Fourscore and seven years ago", " naïve\t漢字 \n", ""):
        assert model.decode(model.encode(text)) == text
    assert model.decode(model.encode("“It’s light” — so")) == '"It\'s light" -- so'


@pytest.mark.slow
def test_training_lowers_the_loss_on_what_it_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CONTEXT", 32)
    (tmp_path / "1950_somebody.txt").write_text(sample_text()[:8000], encoding="utf-8")
    (tmp_path / "2021_held_out.txt").write_text("never read", encoding="utf-8")
    texts = train.training_text(tmp_path)
    assert len(texts) == 1
    tokenizer = train.train_tokenizer(texts)
    tokens = np.array(tokenizer.encode(texts[0]).ids, np.int32)
    before = train.initial_params(jax.random.key(0))
    windows = jnp.array(tokens[: 32 * 32].reshape(32, 32))
    start = float(train.mean_loss(before, windows))
    assert abs(start - math.log(tokenizer.get_vocab_size())) < 0.3  # small weights: every word as likely as another
    with jax.numpy_dtype_promotion("standard"):  # optax counts its steps in integers
        after = train.train(before, tokens, steps=30)
    assert float(train.mean_loss(after, windows)) < start - 0.5
    train.save(tmp_path / "model", after, tokenizer)
    reloaded = load(tmp_path / "model")
    np.testing.assert_allclose(reloaded.params["model.norm.weight"], after["model.norm.weight"], rtol=1e-3)
