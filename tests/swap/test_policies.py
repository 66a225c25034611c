"""Policies by name: what each leaves to the digital unit, and why routers are left to it by all but one."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import load_chip
from photonsim.errors import PhotonsimError
from photonsim.models import LlamaConfig, llama, parameter_shapes
from photonsim.swap import POLICIES, OutliersDigital, Rule, check_rules, policy, simulate

TIED = LlamaConfig(
    vocab_size=64,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=3,
    num_attention_heads=2,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=16,
    tie_word_embeddings=True,
)
SHAPES = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in parameter_shapes(TIED).items()}
TOKENS = jax.ShapeDtypeStruct((1, 8), jnp.int32)
LAYER = 8 * 16 * (4 * 16 + 3 * 32)  # MACs of the weights of one layer, 8 tokens
ATTENTION = 2 * 2 * 8 * 8 * 8  # of its two products of activations
HEAD = 8 * 16 * 64


@functools.cache
def decoder(name):
    """Coverage of a small Llama under a policy."""
    simulation = simulate(lambda params, tokens: llama(params, tokens, TIED), load_chip("ideal"), policy(name))
    return simulation.coverage(SHAPES, TOKENS)


@pytest.mark.parametrize(
    ("name", "digital"),
    [
        ("everything", 0),
        ("weights-only", 3 * ATTENTION),
        ("no-head", HEAD),
        ("first-last-digital", 2 * (LAYER + ATTENTION) + HEAD),
        ("outliers-digital", 0),  # how many columns only a run can tell
    ],
)
def test_a_policy_leaves_what_it_says_to_the_digital_unit(name, digital):
    table = decoder(name)
    assert table.macs_total == 3 * (LAYER + ATTENTION) + HEAD
    assert table.macs_total - table.macs_on_chip == digital
    assert all("policy" in str(row.reason) for row in table.digital)
    check_rules(policy(name), [row.site for row in table.rows])


def test_every_policy_is_tested_here():
    assert set(POLICIES) == {"everything", "weights-only", "no-head", "first-last-digital", "outliers-digital"}


@pytest.mark.parametrize(
    "head",
    ["lm_head.weight", "transformer.wte.weight", "score.weight", "lm_head", "cls.predictions.decoder.weight"],
)
def test_a_head_is_known_by_its_usual_names(exact, head):
    params = {"layers.0.head.q_proj.weight": jnp.ones((4, 4)), head: jnp.ones((4, 4))}
    table = simulate(lambda p, x: x @ p["layers.0.head.q_proj.weight"] @ p[head], exact, policy("no-head"))
    assert [row.name for row in table.coverage(params, jnp.ones((2, 4))).digital] == [head]


def test_a_policy_that_finds_no_head_says_so(exact):
    sites = [row.site for row in simulate(jnp.matmul, exact).coverage(jnp.ones((4, 4)), jnp.ones((4, 4))).rows]
    with pytest.raises(PhotonsimError, match="matches no matrix product"):
        check_rules(policy("no-head"), sites)


def test_rules_of_ones_own_come_before_those_of_a_policy():
    rules = [Rule("*.1.*", "chip"), *policy("weights-only")]
    table = simulate(lambda p, t: llama(p, t, TIED), load_chip("ideal"), rules).coverage(SHAPES, TOKENS)
    assert {row.site.layer for row in table.digital} == {0, 2}


def test_an_unknown_policy_is_answered_with_the_nearest():
    with pytest.raises(PhotonsimError, match=r"Did you mean no-head\?"):
        policy("nohead")


# A mixture of experts: 16 experts of which each token takes 2

EXPERTS, CHOSEN, WIDTH = 16, 2, 64


def mixture(params, x):
    """Sum of the chosen experts' answers, weighted; beside it, which were chosen."""
    logits = x @ params["layers.0.mlp.gate.weight"].T
    weights, chosen = jax.lax.top_k(logits, CHOSEN)
    experts = params["layers.0.mlp.experts.weight"][chosen]  # (tokens, chosen, width, width)
    answers = jnp.einsum("th,tchw->tcw", x, experts)
    return jnp.einsum("tc,tcw->tw", jax.nn.softmax(weights), answers), jnp.sort(chosen)


@pytest.fixture(scope="module")
def experts():
    keys = jax.random.split(jax.random.key(0), 3)
    params = {
        "layers.0.mlp.gate.weight": jax.random.normal(keys[0], (EXPERTS, WIDTH)) / 8,
        "layers.0.mlp.experts.weight": jax.random.normal(keys[1], (EXPERTS, WIDTH, WIDTH)) / 8,
    }
    return params, jax.random.normal(keys[2], (2000, WIDTH))


class NoisyUnit:
    """The exact product and white noise of a given standard deviation; the expert products stay exact."""

    name = "noisy"

    def __init__(self, sigma):
        self.sigma = sigma

    def program(self, w):
        return w

    def compact(self, programmed):
        return programmed

    def matmul(self, x, programmed, key, engine="auto", row_offset=0):
        exact = jnp.matmul(x, programmed, precision=jax.lax.Precision.HIGHEST)
        return exact + self.sigma * jax.random.normal(key, exact.shape)


def flips(params, x, sigma, rules=()):
    """Share of tokens whose experts are not those of the digital router, and the relative error of the answer."""
    only_router = [*rules, Rule("*.gate.weight", "chip"), Rule("*", "digital")]
    answer, chosen = simulate(mixture, NoisyUnit(sigma), only_router)(params, x)
    exact, expected = mixture(params, x)
    error = float(jnp.linalg.norm(answer - exact) / jnp.linalg.norm(exact))
    return float(jnp.any(chosen != expected, axis=-1).mean()), error


def test_noise_on_a_router_flips_its_choice_in_proportion(experts):
    """A choice flips where the gap between the 2nd and the 3rd logit is below the noise on their difference.

    The density of gaps at zero is finite, so for small noise the share is proportional to it: exponent 1. With 2000
    tokens the smallest share, some 3 %, is known to sqrt(0.03 / 2000) = 0.4 %, 13 % of itself; over a factor of 8 in
    noise the slope is known to about 0.13 / ln 8 = 0.06, and saturation bends it down.
    """
    sigmas = np.array([0.01, 0.02, 0.04, 0.08])
    params, x = experts
    shares, errors = zip(*(flips(params, x, sigma) for sigma in sigmas), strict=True)
    slope = np.polyfit(np.log(sigmas), np.log(shares), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.2)
    assert all(np.diff(errors) > 0)


def test_a_flipped_expert_costs_more_than_the_noise_that_flipped_it(experts):
    """5 % noise on the router's logits alone: what it does to the weights is small, what it does to the choice not."""
    params, x = experts
    share, error = flips(params, x, 0.05)
    assert share > 0.05
    assert error > 3 * 0.05


@pytest.mark.parametrize(("name", "on_chip"), [(None, False), ("weights-only", False), ("everything", True)])
def test_only_the_policy_everything_puts_routers_on_the_chip(experts, name, on_chip):
    params, x = experts
    rules = [] if name is None else policy(name)
    rows = simulate(mixture, NoisyUnit(0.1), rules).coverage(params, x).rows
    router = next(row for row in rows if row.name == "layers.0.mlp.gate.weight")
    assert router.on_chip is on_chip
    assert on_chip or "noise would flip its choice" in str(router.reason)


def test_outliers_digital_puts_the_split_around_the_given_chip():
    chips = {row.kind: row.chip for row in decoder("outliers-digital").rows}
    assert isinstance(chips["weight"], OutliersDigital)
    assert chips["weight"].chip is chips["activation"]
