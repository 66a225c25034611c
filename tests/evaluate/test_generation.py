"""Answers of a chip beside digital ones: equal where the light is exact, and every joule of every pass on the bill."""

import dataclasses

import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import describe, load_chip, override
from photonsim.cost import baselines
from photonsim.errors import PhotonsimError
from photonsim.evaluate.bill import decoder_shape
from photonsim.evaluate.generation import Photonic, first_difference, generate
from photonsim.evaluate.routing import MEASURES, Route, confidence, layer_rules, route
from photonsim.evaluate.samples import (
    Answer,
    Samples,
    affordable_samples,
    batch_joules,
    likeliest,
    pass_coverage,
    sample_answers,
    score_samples,
    vote,
)
from photonsim.models import LlamaConfig, Model, load, parameter_shapes, sample_text
from photonsim.models.generation import Sampler
from photonsim.models.gpt2 import Gpt2Config
from photonsim.models.gpt2 import parameter_shapes as gpt2_shapes
from photonsim.report.generation import generation_tables, samples_tables
from photonsim.swap import Rule, policy

PROMPT, TOKENS = "The state of the union", 6
ENVISE = override(load_chip("lightmatter-envise-2025"), {"adc.gain": 4.0})


def random_model(layers):
    """A small decoder with random weights, and the tokenizer of the tiny model: quick to compile."""
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=128,
    )
    rng = np.random.default_rng(layers)
    shapes = parameter_shapes(config).items()
    params = {name: jnp.array(rng.normal(0, 0.3, shape) + (len(shape) == 1), jnp.float32) for name, shape in shapes}
    return Model("random", config, params, load("tiny").tokenizer, "")


@pytest.fixture(scope="module")
def model():
    return random_model(layers=1)


@pytest.fixture(scope="module")
def photonic(model):
    return Photonic(model, ENVISE)


@pytest.fixture(scope="module")
def generation(photonic):
    return generate(photonic, PROMPT, TOKENS)


def test_the_ideal_chip_gives_the_digital_answer(model):
    exact = generate(Photonic(model, load_chip("ideal")), PROMPT, TOKENS)
    assert exact.differs_at is None
    assert exact.on_chip.tokens == exact.digital.tokens
    assert exact.on_chip.log_likelihood == pytest.approx(exact.digital.log_likelihood, abs=1e-3)


def test_a_gpt2_answers_too_and_its_bill_is_that_of_a_gpt2(model):
    config = Gpt2Config(vocab_size=512, n_embd=32, n_layer=1, n_head=4, n_inner=128, n_positions=64)
    rng = np.random.default_rng(0)
    shapes = gpt2_shapes(config).items()
    params = {name: jnp.array(rng.normal(0, 0.3, shape) + (len(shape) == 1), jnp.float32) for name, shape in shapes}
    photonic = Photonic(dataclasses.replace(model, config=config, params=params), load_chip("ideal"))
    exact = generate(photonic, PROMPT, 3)
    assert exact.differs_at is None
    assert len(exact.coverage.products) == 7
    matrices = sum(
        value.size for value in params.values() if value.ndim == 2
    )  # an ungated network, positions in a table
    assert decoder_shape(photonic.model).parameters == matrices


def test_a_seed_is_an_answer(photonic, generation):
    again = generate(photonic, PROMPT, TOKENS)
    assert again.on_chip == generation.on_chip
    assert again.digital == generation.digital
    other = generate(photonic, PROMPT, TOKENS, seed=1)
    assert other.on_chip.log_likelihood != generation.on_chip.log_likelihood
    assert other.digital == generation.digital


@pytest.mark.parametrize(
    ("one", "other", "at"), [((1, 2), (1, 2), None), ((1, 2), (1, 3), 1), ((1, 2), (1,), 1), ((), (4,), 0)]
)
def test_the_first_difference(one, other, at):
    assert first_difference(one, other) == at


def test_watch_is_shown_every_token_as_it_comes(photonic):
    seen = []
    generate(photonic, PROMPT, 3, watch=lambda digital, on_chip: seen.append((len(digital), len(on_chip))))
    assert seen[:3] == [(1, 1), (2, 2), (3, 3)]


# The bill


def test_decoding_steps_add_up_and_cost_more_the_longer_the_past(photonic):
    short, long = (photonic.expenses(5, tokens)[0] for tokens in (4, 9))
    assert (short.decode.passes, long.decode.passes) == (3, 8)
    assert short.prefill == long.prefill
    ours, _ = photonic.pass_joules(5, 9, baselines()["h100-int8"])
    assert sum(ours[1:]) == pytest.approx(long.decode.joules)
    assert all(np.diff(ours[1:]) > 0)


def test_the_bill_of_a_step_is_that_of_its_own_length(photonic):
    """Sizes of a step are followed from two neighbouring lengths; here they are held against a trace of its own."""
    _, forward = photonic._steps(1, 5, 9)[7]
    followed = photonic._steps(1, 5, 9)[7][0]
    traced = photonic._rows(1, 1, 13)
    assert forward.past == 12
    assert sum(row.macs for row in followed) == sum(row.macs for row in traced)
    assert {(row.m, row.k, row.n) for row in followed} == {(row.m, row.k, row.n) for row in traced}


def test_keys_and_values_are_written_at_every_step(photonic):
    """One more token in the past is one more column of every Kᵀ and row of every V: 2 heads of 8 numbers each."""
    first, second = (photonic._steps(1, 5, 3)[step][0] for step in (0, 1))

    def written(rows):
        events = (ENVISE.events(row.batch, row.m, row.k, row.n) * row.trips for row in rows if row.kind == "activation")
        return sum(event.weight_writes for event in events)

    assert written(second) - written(first) == 2 * 2 * 8


def test_what_is_left_digital_is_on_the_bill_of_the_chip(model, photonic):
    table = Photonic(model, ENVISE, policy("no-head")).coverage(5)
    assert [row.name for row in table.digital] == ["lm_head.weight"]
    assert table.macs_total == photonic.coverage(5).macs_total


def test_the_record_and_the_tables_hold_both_answers(generation, photonic):
    record = generation.as_dict()
    assert record["digital"]["text"] == generation.digital.text
    assert record["on_chip"]["tokens"] == generation.on_chip.tokens
    assert record["expenses"][0]["name"] == "lightmatter-envise-2025"
    assert generation_tables(generation) is not None
    assert samples_tables(sample_answers(photonic, PROMPT, 2, 2), 9) is not None


# Several samples


def test_the_first_sample_is_the_answer_itself(photonic, generation):
    samples = sample_answers(photonic, PROMPT, 3, TOKENS)
    assert samples.answers[0] == generation.on_chip
    assert len({answer.log_likelihood for answer in samples.answers}) == 3
    assert sum(samples.votes.values()) == 3


def test_samples_draw_with_luck_of_their_own(photonic):
    samples = sample_answers(photonic, PROMPT, 4, TOKENS, Sampler(temperature=1.5))
    assert len(samples.votes) > 1


def test_samples_share_writes_and_memory_and_nothing_else(photonic):
    """n answers as one batch cost more than one and less than n: what is written and fetched is shared."""
    once, often = (photonic.expenses(5, 4, sequences=number)[0].total.joules for number in (1, 8))
    assert once < often < 8 * once


def answer(text, log_likelihood):
    return Answer(tuple(range(len(text))), text, log_likelihood)


def test_the_majority_is_the_most_common_and_the_best_the_likeliest():
    answers = (answer("yes", -3.0), answer("no", -1.0), answer("yes", -2.4), answer("maybe", -0.5))
    samples = Samples(answers, ())
    assert samples.majority.text == "yes"
    assert samples.best.text == "maybe"  # -0.1 a token
    tied = Samples(answers[1:3], ())
    assert tied.majority.text == "no"  # one vote each, -0.5 a token against -0.8


def test_votes_and_likelihoods_are_counted_position_by_position():
    logits = np.log(np.array([[[0.6, 0.4, 1e-9]], [[0.6, 0.4, 1e-9]], [[1e-9, 0.1, 0.9]]], np.float32))
    assert vote(logits).tolist() == [0]
    assert likeliest(logits).tolist() == [2]


def test_more_votes_agree_more_with_the_noiseless_choice():
    """A choice flips where noise exceeds a gap, so in proportion to the noise; 15 votes average it to about a quarter.

    2000 positions know a share of 0.2 to 0.009, so less than half of it is certain.
    """
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(2000, 64))
    noisy = (exact + 0.2 * rng.normal(size=(15, 2000, 64))).astype(np.float32)
    once = float((noisy[0].argmax(-1) != exact.argmax(-1)).mean())
    assert 0.05 < once < 0.5
    assert float((np.asarray(vote(noisy)) != exact.argmax(-1)).mean()) < 0.5 * once


def test_one_sample_is_its_own_majority_and_on_the_bill_once(model):
    score = score_samples(model, ENVISE, sample_text(), 1, tokens=32, context=32)
    assert score.agrees_by_vote == score.agrees_by_likelihood == score.agrees_once
    assert score.correct_by_vote == score.correct_by_likelihood == score.correct_once
    assert 0 <= score.agrees_once <= 1
    assert score.joules * 32 == pytest.approx(score_joules(model, ENVISE, 1))


def test_the_cheap_chip_gets_all_samples_that_the_dear_one_pays_for(model):
    dear = override(ENVISE, {"laser.power_w": 40 * describe(ENVISE)["tile"]["laser"]["power_w"]})
    number = affordable_samples(model, ENVISE, dear, 32)
    once, more, budget = (
        score_joules(model, chip, n) for chip, n in ((ENVISE, number), (ENVISE, number + 1), (dear, 1))
    )
    assert number > 1
    assert once <= budget < more
    with pytest.raises(PhotonsimError, match="the first is not the cheaper one"):
        affordable_samples(model, dear, ENVISE, 32)


def score_joules(model, chip, number):
    return batch_joules(model, chip, pass_coverage(model, chip, (), number, 32), number, 32)


# Routing


def test_a_threshold_of_zero_keeps_every_photonic_answer(photonic, generation):
    routed = route(photonic, PROMPT, Route(0.0), TOKENS)
    assert routed.answer == generation.on_chip
    assert routed.again == (False,) * TOKENS
    assert routed.digital_joules == 0
    assert routed.joules == pytest.approx(generation.expenses[0].total.joules)


@pytest.mark.parametrize("level", ["token", "request"])
def test_a_threshold_of_one_gives_the_digital_answer_and_both_bills(photonic, generation, level):
    routed = route(photonic, PROMPT, Route(1.0, level), TOKENS)
    assert routed.answer.tokens == generation.digital.tokens
    assert routed.answer.log_likelihood == pytest.approx(generation.digital.log_likelihood, abs=1e-3)
    assert routed.share_again == 1
    chip, digital = generation.expenses[:2]
    assert routed.digital_hardware == digital.name
    assert routed.chip_joules == pytest.approx(chip.total.joules)
    assert routed.digital_joules == pytest.approx(digital.total.joules)


def test_between_them_only_what_is_unsure_is_done_again(photonic):
    kept = route(photonic, PROMPT, Route(0.0), TOKENS)
    middle = float(np.median(kept.confidences))
    routed = route(photonic, PROMPT, Route(middle), TOKENS)
    assert routed.again == tuple(sure < middle for sure in routed.confidences)
    assert 0 < routed.share_again < 1
    assert kept.joules < routed.joules


def test_a_request_is_done_again_as_a_whole(photonic, generation):
    mean = float(np.mean(route(photonic, PROMPT, Route(0.0, "request"), TOKENS).confidences))
    below, above = (route(photonic, PROMPT, Route(mean + step, "request"), TOKENS) for step in (-0.01, 0.01))
    assert (below.share_again, above.share_again) == (0, 1)
    assert below.answer.tokens == generation.on_chip.tokens
    assert above.answer.tokens == generation.digital.tokens


@pytest.mark.parametrize("measure", MEASURES)
def test_confidence_runs_from_nearly_nothing_to_one(measure):
    flat, peaked = np.zeros(512), np.where(np.arange(512) == 3, 100.0, 0.0)
    assert confidence(flat, measure) < 0.01
    assert confidence(peaked, measure) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.5,), r"threshold = 1\.5 is above 1"),
        ((-0.1,), "at least 0"),
        ((0.5, "layers"), "level = 'layers' is unknown"),
        ((0.5, "token", "luck"), "measure = 'luck' is unknown"),
    ],
)
def test_a_route_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(PhotonsimError, match=message):
        Route(*arguments)


def test_layers_below_the_threshold_stay_digital():
    """The second layer's chip multiplies almost exactly, the first one's badly."""
    ideal = load_chip("ideal")
    bad = [Rule("*", {"adc.noise_rms": 0.3, "adc.bits": 12}, layers=0)]
    model = random_model(layers=2)
    rules, agreement = layer_rules(model, ideal, sample_text(), 0.9, tokens=64, context=64, rules=bad)
    assert agreement[0] < 0.9 <= agreement[1]
    assert [rule.layers for rule in rules if rule.action == "digital"] == [0]
    assert rules[-1] is bad[0]
    assert "layer 0 keeps" in str(rules[0].reason)


def test_an_answer_counts_its_own_tokens():
    assert dataclasses.replace(answer("yes", -3.0)).mean_log_likelihood == -1.0
