"""Rules: first match wins, defaults come last, and a rule that decides nothing does not stay silent."""

from typing import cast

import jax
import pytest
from jax import numpy as jnp

from photonsim.chip import Chip, load_chip
from photonsim.errors import PhotonsimError
from photonsim.swap import Rule, check_rules, layer_counts, parse_rule, simulate

PARAMS = {
    "layers.0.self_attn.q.weight": jax.ShapeDtypeStruct((8, 8), jnp.float32),
    "layers.0.mlp.gate.weight": jax.ShapeDtypeStruct((8, 2), jnp.float32),
    "layers.1.mlp.up.weight": jax.ShapeDtypeStruct((8, 8), jnp.float32),
}
X = jax.ShapeDtypeStruct((5, 8), jnp.float32)


def model(params, x):
    q = x @ params["layers.0.self_attn.q.weight"]
    x = jax.nn.softmax(q @ q.T) @ x
    gate = jax.nn.softmax(x @ params["layers.0.mlp.gate.weight"])
    return (x * gate[:, :1]) @ params["layers.1.mlp.up.weight"]


def placed(unit, *rules, **options):
    return {row.name: row.chip for row in simulate(model, unit, rules, **options).coverage(PARAMS, X).rows}


def test_by_default_all_but_the_router_is_on_the_chip(exact):
    table = simulate(model, exact).coverage(PARAMS, X)
    assert [(row.name, row.reason) for row in table.digital] == [
        ("layers.0.mlp.gate.weight", "a router: noise would flip its choice (default)")
    ]
    assert table.unused_rules == ()


def test_the_first_rule_that_matches_decides(exact):
    chips = placed(exact, Rule("*.mlp.up.*", "chip"), Rule("*.mlp.*", "digital"))
    assert chips["layers.1.mlp.up.weight"] is exact
    assert chips["layers.0.mlp.gate.weight"] is None


def test_a_rule_of_the_user_overrides_a_default(exact):
    assert placed(exact, Rule("*.gate.weight", "chip"))["layers.0.mlp.gate.weight"] is exact


def test_a_rule_can_name_a_chip_of_its_own(exact, noisy):
    chips = placed(exact, Rule("re:.*layers\\.1\\..*", noisy))
    assert chips["layers.1.mlp.up.weight"] is noisy
    assert chips["layers.0.self_attn.q.weight"] is exact


def test_a_rule_can_be_restricted_to_a_kind(exact):
    chips = placed(exact, Rule("*", "digital", kind="activation"))
    assert [name for name, chip in chips.items() if chip is None] == [
        "layers.0.self_attn.q:product",
        "layers.0.self_attn.q:product#1",
        "layers.0.mlp.gate.weight",
    ]


def test_a_rule_on_a_parameter_finds_it_in_a_fused_or_repeated_product(exact):
    def fused(p, x):
        return x @ jnp.concatenate([p["q.weight"], p["k.weight"]], 1), x @ p["k.weight"], x @ p["k.weight"]

    params = {"q.weight": PARAMS["layers.1.mlp.up.weight"], "k.weight": PARAMS["layers.1.mlp.up.weight"]}
    table = simulate(fused, exact, [Rule("k.weight", "digital")]).coverage(params, X)
    assert [row.name for row in table.digital] == ["{k,q}.weight", "k.weight", "k.weight#1"]


def test_rules_are_parsed_from_text():
    assert parse_rule("*.mlp.*=digital") == Rule("*.mlp.*", "digital")
    assert parse_rule("re:a=b.*=chip") == Rule("re:a=b.*", "chip")


@pytest.mark.parametrize("text", ["*.mlp.*", "=chip", "*.mlp.*=", ""])
def test_text_that_is_no_rule_is_refused(text):
    with pytest.raises(PhotonsimError, match="write PATTERN=digital or PATTERN=chip"):
        parse_rule(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("* kind=activation=digital", Rule("*", "digital", kind="activation")),
        ("* layer=0-2,-1=digital", Rule("*", "digital", layers=(0, 1, 2, -1))),
        ("*.mlp.* k>=64 n<4096 = chip", Rule("*.mlp.*", "chip", shape="k>=64 n<4096")),
        ("*=chip(adc.bits=8, die.correction=column)", Rule("*", {"adc.bits": 8, "die.correction": "column"})),
        ("re:(a|b)=c=digital", Rule("re:(a|b)=c", "digital")),
    ],
)
def test_conditions_and_settings_can_be_written_as_text(text, rule):
    assert parse_rule(text) == rule


def test_the_action_of_a_text_can_be_the_name_of_a_chip():
    assert parse_rule("*.mlp.*=ideal").action == load_chip("ideal")
    with pytest.raises(PhotonsimError, match=r"Did you mean neurophos-t100\?"):
        parse_rule("*.mlp.*=neurophos")


@pytest.mark.parametrize(("text", "message"), [("* layer=a=chip", "layer=0,5-7,-1"), ("* q>=3=chip", "no condition")])
def test_a_condition_that_cannot_be_is_refused(text, message):
    with pytest.raises(PhotonsimError, match=message):
        parse_rule(text)


def test_a_rule_can_be_restricted_to_layers_counted_from_either_end(exact):
    for layers, expected in [((0,), {0}), ((-1,), {1}), ((0, -1), {0, 1}), (-2, {0})]:
        rows = simulate(model, exact, [Rule("*.weight", "digital", layers=layers)]).coverage(PARAMS, X).rows
        ruled = {row.site.layer for row in rows if str(row.reason).startswith("rule")}
        assert ruled == expected


def test_layers_are_counted_for_each_stack_on_its_own():
    names = ["encoder.layers.0.a", "encoder.layers.3.a", "decoder.layers.1.a", "head"]
    assert layer_counts(names) == {"encoder.layers": 4, "decoder.layers": 2}


@pytest.mark.parametrize(("shape", "count"), [("k=5", 1), ("n>=8 m=5", 3), ("macs>319 macs<=320", 2), ("batch>1", 0)])
def test_a_rule_can_be_restricted_to_shapes(exact, shape, count):
    # (5, 8) @ (8, 8) twice, QKᵀ (5, 8) @ (8, 5), AV (5, 5) @ (5, 8); the router's n is 2
    rows = simulate(model, exact, [Rule("*", "digital", shape=shape)]).coverage(PARAMS, X).rows
    assert sum(str(row.reason).startswith("rule") for row in rows) == count


def test_a_rule_can_change_settings_of_the_chip():
    envise = load_chip("lightmatter-envise-2025")
    rows = simulate(model, envise, [Rule("*.up.*", {"adc.bits": 8})]).coverage(PARAMS, X).rows
    chips = {row.name: row.chip for row in rows}
    assert chips["layers.0.self_attn.q.weight"] is envise
    changed = cast(Chip, chips["layers.1.mlp.up.weight"])
    assert changed.name == "lightmatter-envise-2025 (adc.bits=8)"
    assert changed.tile.converter_bits[2] == 8
    assert envise.tile.converter_bits[2] == 11


def test_settings_can_be_changed_of_a_chip_only(exact):
    with pytest.raises(PhotonsimError, match="ExactUnit is not a Chip"):
        simulate(model, exact, [Rule("*", {"adc.bits": 8})]).coverage(PARAMS, X)


def test_an_optional_rule_may_decide_nothing(exact):
    rules = [Rule("nowhere", "digital", optional=True)]
    assert simulate(model, exact, rules, strict=True).coverage(PARAMS, X).unused_rules == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("re:(", "chip"), "not a regular expression"),
        (("*", "optical"), "is `digital` or `chip`"),
        (("*", "chip", "linear"), "neither `weight` nor `activation`"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(PhotonsimError, match=message):
        Rule(*arguments)


def test_a_rule_that_matches_nothing_is_reported_and_refused_on_demand(exact):
    rules = [Rule("*.mlp.upp.weight", "digital")]
    table = simulate(model, exact, rules).coverage(PARAMS, X)
    assert table.unused_rules == tuple(rules)
    with pytest.raises(PhotonsimError, match=r"matches no matrix product .* nearest are layers\.\*\.mlp\.up\.weight"):
        check_rules(rules, [row.site for row in table.products])
    with pytest.raises(PhotonsimError, match="strict: the rule"):
        simulate(model, exact, rules, strict=True).program(PARAMS, X)


def test_a_rule_behind_another_that_takes_all_it_matches_is_told_so(exact):
    rules = [Rule("*", "chip"), Rule("*.up.*", "digital")]
    sites = [row.site for row in simulate(model, exact, rules).coverage(PARAMS, X).products]
    with pytest.raises(PhotonsimError, match="earlier rules match all it matches"):
        check_rules(rules, sites)
