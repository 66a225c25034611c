"""Dollars: hours of hardware, tokens, training, break-even; and what thinking costs."""

import re
from typing import cast

import equinox as eqx
import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photonsim.chip import load_chip
from photonsim.cost import ForwardPass, architecture, baselines, energy, forward, load_architecture
from photonsim.cost.baselines import Board
from photonsim.cost.money import (
    Rate,
    break_even_price,
    chips_needed,
    digital_offer,
    photonic_offer,
    rented_usd,
    train_digitally,
    train_on_light,
)
from photonsim.cost.prices import PHOTONIC, Prices, default_prices, listed, price_names, with_prices
from photonsim.cost.reasoning import Question, answers, digital_answers
from photonsim.cost.serving import Request, serve
from photonsim.errors import PhotonsimError

CHIP = load_chip("lightening-transformer-b-4bit")
H100 = cast(Board, baselines()["h100-int8"])
PRICES = default_prices()
MODEL = architecture(
    {
        "vocab_size": 512,
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "tie_word_embeddings": True,
    },
    "small",
)
REQUEST = Request(prompt=64, output=33, batch=4)


@pytest.fixture(scope="module")
def light():
    return photonic_offer(CHIP, MODEL, REQUEST, PRICES)


@pytest.fixture(scope="module")
def digital():
    return digital_offer(H100, CHIP, MODEL, REQUEST, PRICES)


# Prices


def test_an_accelerator_pays_for_its_server_and_network_over_its_life():
    """30,000 $ with 1.64 for the server and 19 % of the cluster for the network, in 5 years, and 5 % upkeep a year."""
    capital = 30_000 * 1.64 / (1 - 0.19)
    assert PRICES.capital_usd(30_000) == pytest.approx(capital)
    assert PRICES.hour_usd(30_000) == pytest.approx(capital * (1 / 5 + 0.05) / 8766)
    assert PRICES.hour_usd(30_000, 0.25) == pytest.approx(4 * PRICES.hour_usd(30_000))


@given(st.floats(0.001, 0.2), st.floats(1.0, 10.0))
def test_yearly_payments_are_worth_the_capital_at_the_interest(interest, years):
    """The sum of the discounted payments of a continuous life is that of an annuity: 1 by definition."""
    prices = with_prices({"interest_per_year": interest, "lifetime_years": years})
    worth = prices.recovery_per_year * (1 - (1 + interest) ** -years) / interest
    assert worth == pytest.approx(1.0)
    assert prices.recovery_per_year > 1 / years


def test_interest_that_vanishes_is_none():
    nearly = with_prices({"interest_per_year": 1e-9}).recovery_per_year
    assert nearly == pytest.approx(PRICES.recovery_per_year, rel=1e-6)


def test_every_price_has_a_source_and_those_that_are_guesses_a_range_around_them():
    found = list(listed(PRICES))
    assert len(found) > 20
    for name, value, source in found:
        assert source.text, name
        if source.assumed:
            assert re.search(r"\b20\d\d\b", source.text), f"{name} has no date"
            assert source.low is not None, name
            assert source.high is not None, name
            assert source.low <= value <= source.high, name


def test_a_changed_price_is_the_users_and_changes_nothing_else():
    changed = with_prices({"h100-int8.price_usd": 20_000.0})
    before, after = ({name: value for name, value, _ in listed(each)} for each in (PRICES, changed))
    assert {name for name in before if before[name] != after[name]} == {"h100-int8.price_usd"}
    assert "h100-int8.price_usd" not in dict(changed.sources)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"electricity_usd_per_kwh": -0.1}, "electricity_usd_per_kwh = -0.1 must be at least 0"),
        ({"lifetime_years": 0.0}, "lifetime_years = 0 must be above 0"),
        ({"busy_share": 0.0}, "busy_share = 0"),
        ({"busy_share": 1.5}, "busy_share = 1.5"),
        ({"network_share": 1.0}, "not the whole cluster"),
        ({"server_ratio": 0.5}, "server_ratio = 0.5 must be at least 1"),
        ({"h100-int8.price_usd": -1.0}, "h100-int8.price_usd = -1"),
        ({"h100.price_usd": 1.0}, "Did you mean h100-int8.price_usd"),
        ({"h100-int8.colour": 1.0}, "is unknown"),
        ({"electricity": 0.1}, "Did you mean electricity_usd_per_kwh"),
        ({"accelerators": 1.0}, "is unknown"),
    ],
)
def test_prices_that_cannot_be_are_refused(change, message):
    with pytest.raises(PhotonsimError, match=message):
        with_prices(change)


def test_every_name_that_is_listed_can_be_set():
    for name in price_names():
        assert isinstance(with_prices({name: 1.0 if "share" not in name else 0.5}), Prices)


# Serving


def test_a_token_costs_its_seconds_of_hardware_and_its_joules(light):
    service, priced = light.service, PRICES.accelerators[PHOTONIC]
    assert light.accelerators == 1
    for rate, phase in ((light.input, service.prefill), (light.output, service.decode)):
        hours = phase.latency.seconds / phase.tokens / 3600
        assert rate.hardware_usd == pytest.approx(1e6 * hours * PRICES.hour_usd(priced.price_usd, PRICES.busy_share))
        kwh = phase.site.total_j / phase.tokens / 3.6e6
        assert rate.energy_usd == pytest.approx(1e6 * kwh * PRICES.electricity_usd_per_kwh)


def test_the_dollars_of_a_request_are_those_of_its_joules_and_its_seconds(light):
    """A batch shares the hardware; the first token out is the prefill's."""
    service = serve(CHIP, MODEL, REQUEST)
    assert light.request_energy_usd == pytest.approx(PRICES.energy_usd(service.site_j_per_request), rel=1e-12)
    hour_usd = PRICES.hour_usd(PRICES.accelerators[PHOTONIC].price_usd, PRICES.busy_share)
    hours = service.s_per_request / REQUEST.batch / 3600
    assert light.request_hardware_usd == pytest.approx(hours * hour_usd, rel=1e-12)


def test_at_the_break_even_price_both_cost_the_same(light, digital):
    found = break_even_price(light, PRICES.accelerators[PHOTONIC].price_usd, digital)
    for at, cost in (
        (found.request_usd, lambda offer: offer.request_usd),
        (found.input_usd, lambda offer: offer.input.usd),
        (found.output_usd, lambda offer: offer.output.usd),
    ):
        assert at is not None
        there = photonic_offer(CHIP, MODEL, REQUEST, with_prices({f"{PHOTONIC}.price_usd": at}))
        assert float(cost(there)) == pytest.approx(float(cost(digital)), rel=1e-9)


def test_no_price_evens_out_electricity_that_alone_costs_more(light, digital):
    free = digital._replace(input=Rate(0.0, 0.0), output=Rate(0.0, 0.0))
    assert break_even_price(light, 1000.0, free) == (None, None, None)
    half = free._replace(input=Rate(0.0, 2 * float(light.input.energy_usd)))
    assert break_even_price(light, 1000.0, half).output_usd is None
    assert break_even_price(light, 1000.0, half).input_usd == pytest.approx(
        1000 * float(light.input.energy_usd / light.input.hardware_usd)
    )


def test_a_pipeline_of_chips_costs_each_token_what_one_chip_does(light):
    """N chips pay N times as much an hour and write N times as many tokens in it; the hand-over is extra."""
    several = photonic_offer(CHIP, MODEL, REQUEST, PRICES, chips=2, split="pipeline")
    assert several.output is not None
    handed_s = several.service.decode.latency.steps[-1].network_s  # type: ignore[union-attr]
    one = light.output.hardware_usd
    share = handed_s / light.service.decode.latency.seconds
    assert several.output.hardware_usd == pytest.approx(one * (1 + share), rel=1e-6)


def test_memory_sets_the_number_of_chips():
    model = load_architecture("llama-3.1-405b")
    small = eqx.tree_at(lambda chip: chip.memory.dram_capacity_bits, CHIP, 8 * 80e9)
    full = Request(prompt=700, output=1)
    assert chips_needed(small, model, Request(500, 200)) == chips_needed(small, model, full) == 6


def test_dollars_are_differentiable_in_prices(light):
    """The slope over the price of electricity is the energy, in kWh."""

    def request_usd(tariff):
        prices = eqx.tree_at(lambda each: each.electricity_usd_per_kwh, PRICES, tariff)
        return photonic_offer(CHIP, MODEL, REQUEST, prices).request_usd

    slope = jax.grad(request_usd)(PRICES.electricity_usd_per_kwh)
    assert float(slope) == pytest.approx(light.service.site_j_per_request / 3.6e6, rel=1e-5)


def test_a_baseline_without_a_price_is_named():
    board = cast(Board, baselines()["tpu-v7-fp8"])
    with pytest.raises(PhotonsimError, match="tpu-v7-fp8 has no price"):
        digital_offer(board, CHIP, MODEL, REQUEST, PRICES)


# Training


def test_training_takes_six_operations_for_each_weight_and_token():
    """DeepSeek-V3's 14.8 trillion tokens at 40 % of 989 TFLOP/s."""
    model = load_architecture("deepseek-v3")
    run = train_digitally(H100, CHIP, model, 14.8e12, PRICES)
    hours = 6 * model.active_parameters * 14.8e12 / (989e12 * 0.4) / 3600
    assert run.accelerator_hours == pytest.approx(hours)
    assert run.days(2048) == pytest.approx(hours / 2048 / 24)
    assert run.joules == pytest.approx(3600 * hours * (700 + CHIP.host.power_w) * CHIP.host.pue)
    assert run.usd == pytest.approx(run.hardware_usd + run.energy_usd + 100 * 300e3 + 5e6)
    assert run.rented_usd == pytest.approx(rented_usd(hours, 2.0))


def test_experiments_repeat_the_hardware_but_not_the_people():
    runs = [train_digitally(H100, CHIP, MODEL, 1e9, with_prices({"experiments_ratio": ratio})) for ratio in (0.0, 1.5)]
    assert runs[1].hardware_usd == pytest.approx(2.5 * runs[0].hardware_usd)
    assert runs[1].people_usd == runs[0].people_usd


def test_training_on_light_is_three_forward_passes():
    run = train_on_light(CHIP, MODEL, 1e9, PRICES, context=128, sequences=2)
    passes = 3 * 1e9 / 256
    bill = energy(CHIP, forward(MODEL, ForwardPass(2, 128)))
    assert run.accelerator_hours == pytest.approx(passes * bill.seconds / 3600)
    assert run.joules > passes * bill.total_j  # the host and the building beside it


@pytest.mark.parametrize("tokens", [0.0, -1.0, float("nan")])
def test_a_training_on_nothing_is_refused(tokens):
    for train in (
        lambda: train_digitally(H100, CHIP, MODEL, tokens, PRICES),
        lambda: train_on_light(CHIP, MODEL, tokens, PRICES),
    ):
        with pytest.raises(PhotonsimError, match="tokens"):
            train()


# Reasoning


def test_thinking_costs_every_step_at_its_own_context():
    """All steps, one by one, and the part of them that a growing context adds; exact, since a board pads nothing."""
    (found,) = digital_answers(H100, CHIP, MODEL, Question(prompt=32, answer=4), [28], PRICES)

    def step_j(past):
        return H100.energy(CHIP, forward(MODEL, ForwardPass(1, 1, past))).total_j

    first_j = H100.energy(CHIP, forward(MODEL, ForwardPass(1, 32))).total_j
    total_j = first_j + sum(step_j(32 + n) for n in range(1, 32))
    assert found.joules == pytest.approx(total_j, rel=1e-9)
    assert found.growth_share == pytest.approx(1 - (first_j + 31 * step_j(32)) / total_j, rel=1e-6)
    assert found.cache_bits == 2 * 2 * 256 * 16 * (32 + 32)  # keys and values of two layers, 16 bits a number


def test_each_thinking_token_costs_more_than_the_one_before():
    question = Question(prompt=32, answer=4)
    for found in (
        answers(CHIP, MODEL, question, [0, 5000, 10000], PRICES),
        digital_answers(H100, CHIP, MODEL, question, [0, 5000, 10000], PRICES),
    ):
        none, some, much = (each.joules for each in found)
        assert much - some > some - none
        assert [each.growth_share for each in found] == sorted(each.growth_share for each in found)
        assert [each.usd for each in found] == sorted(each.usd for each in found)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: answers(CHIP, MODEL, Question(), [-1], PRICES), "thinking = -1"),
        (lambda: answers(CHIP, MODEL, Question(answer=0), [10], PRICES), "answer = 0"),
        (lambda: answers(CHIP, load_architecture("bert-base"), Question(), [10], PRICES), "writes no tokens"),
    ],
)
def test_thinking_that_cannot_be_is_refused(call, message):
    with pytest.raises(PhotonsimError, match=message):
        call()
