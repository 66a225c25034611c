"""The main job on the tiny model: an ideal chip is the digital run, a real one is worse, and its error adds up."""

import dataclasses
import math

import pytest

from photonsim.chip import load_chip, override
from photonsim.errors import PhotonsimError
from photonsim.evaluate import error_budget, run
from photonsim.evaluate.budget import Effect, silent_effects
from photonsim.models import load, sample_text
from photonsim.swap import Rule


@pytest.fixture(scope="module")
def ideal():
    return run(load("tiny"), load_chip("ideal"), sample_text(), tokens=128, context=64)


@pytest.fixture(scope="module")
def budget():
    return error_budget(load_chip("lightmatter-envise-2025"))


def test_the_ideal_chip_is_the_digital_run(ideal):
    assert ideal.on_chip.perplexity == pytest.approx(ideal.digital.perplexity, rel=1e-3)
    assert abs(float(ideal.on_chip.kl_to_digital.mean())) < 1e-5
    assert float(ideal.on_chip.top1_agrees.mean()) == 1
    assert ideal.digital.nll.size == 128


def test_the_ideal_chip_has_no_effects_and_no_warnings(ideal):
    assert [effect.name for effect in ideal.effects if effect.on] == ["all together"]
    assert ideal.effects[-1].relative_error < 1e-6
    assert ideal.warnings == []


def test_the_bill_of_a_result_adds_up(ideal):
    energy = ideal.as_dict()["energy"]
    assert sum(energy["by_component_j_per_token"].values()) == pytest.approx(energy["total_j_per_token"])
    assert energy["by_boundary_j_per_token"][energy["boundary"]] == pytest.approx(energy["total_j_per_token"])
    nested = list(energy["by_boundary_j_per_token"].values())
    assert nested == sorted(nested)


def test_a_rule_that_decides_nothing_stops_the_run_before_it_starts():
    with pytest.raises(PhotonsimError, match=r"'\*\.nonsense=digital' matches no matrix product"):
        run(load("tiny"), load_chip("ideal"), sample_text(), 128, 64, rules=[Rule("*.nonsense", "digital")])


def test_every_effect_alone_is_less_than_all_together(budget):
    *alone, total = (effect for effect in budget if effect.relative_error is not None)
    assert len(alone) >= 6
    # Alone, an effect misses the parts it shares with others; each stays below the total but for rounding's own luck.
    assert max(effect.relative_error for effect in alone) < 1.05 * total.relative_error


def test_the_effects_add_in_quadrature(budget):
    """Independent errors add as squares. The measured noise passes the same column gain (0.834, corrected for the
    mean), which makes it 1 / 0.834 = 1.2 larger together than alone; so the total lies between 1 and 1.2 of the sum.
    """
    *alone, total = (effect.relative_error for effect in budget if effect.relative_error is not None)
    quadrature = math.sqrt(sum(error**2 for error in alone))
    assert 0.97 < total / quadrature < 1.25


def test_an_effect_that_is_switched_off_is_off_in_the_budget():
    chip = override(load_chip("lightmatter-envise-2025"), {"adc.noise_rms": 0.0, "die.noise_spread": 0.0})
    effect = next(effect for effect in error_budget(chip) if effect.name == "measured noise")
    assert (effect.on, effect.relative_error) == (False, None)


def test_an_effect_that_does_nothing_is_named(ideal):
    effects = (
        Effect("shot noise", "", True, 0.0),
        Effect("column gain", "", False),
        Effect("all together", "", True, 1),
    )
    assert silent_effects(list(effects)) == ["shot noise"]
    assert dataclasses.replace(ideal, effects=effects).warnings == ["shot noise is on but changed nothing"]
