"""A product is called after its weight, whatever happens to the weight on the way."""

import equinox as eqx
import jax
import pytest
from jax import numpy as jnp

from photonsim.swap import simulate
from photonsim.swap.naming import layer_index, weight_name, without_layers

FLOAT = jnp.float32


def shape(*sizes, dtype=FLOAT):
    return jax.ShapeDtypeStruct(sizes, dtype)


def names(fn, *args, unit, **options):
    return [row.name for row in simulate(fn, unit, **options).coverage(*args).rows]


WAYS = {
    "plain": lambda p, x: x @ p["a.weight"],
    "transposed": lambda p, x: x @ p["a.weight"].T,
    "on the left": lambda p, x: p["a.weight"] @ x.T,
    "cast": lambda p, x: x.astype(jnp.bfloat16) @ p["a.weight"].astype(jnp.bfloat16),
    "sliced": lambda p, x: x[:, :4] @ p["a.weight"][:4, 2:6],
    "reshaped": lambda p, x: jnp.einsum("tk,khd->thd", x, p["a.weight"].reshape(8, 2, 4)),
    "stopped": lambda p, x: x @ jax.lax.stop_gradient(p["a.weight"]),
    "inside jit": lambda p, x: jax.jit(lambda w, x: x @ (2.0 * w))(p["a.weight"], x),
    "inside vmap": lambda p, x: jax.vmap(lambda row: p["a.weight"] @ row)(x),
    "inside remat": lambda p, x: jax.checkpoint(lambda x: jnp.tanh(x @ p["a.weight"]))(x),
    "picked by data": lambda p, x: x[:, :8] @ p["a.weight"][jnp.argsort(x[0])],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_weight_keeps_its_name(exact, way):
    assert names(WAYS[way], {"a.weight": shape(8, 8)}, shape(5, 8), unit=exact) == ["a.weight"]


def test_a_tied_weight_is_numbered_at_its_second_use(exact):
    def model(p, x):
        return (x @ p["embed"].T) @ p["embed"]

    assert names(model, {"embed": shape(7, 8)}, shape(5, 8), unit=exact) == ["embed", "embed#1"]


def test_an_embedding_lookup_is_no_product_and_its_rows_count_as_activations(exact):
    def model(p, tokens):
        x = p["embed"][tokens] * p["norm"]
        return (x @ p["up"]) @ p["embed"].T

    params = {"embed": shape(7, 8), "norm": shape(8), "up": shape(8, 8)}
    assert names(model, params, shape(5, dtype=jnp.int32), unit=exact) == ["up", "embed"]


def test_fused_weights_show_where_their_names_differ(exact):
    def model(p, x):
        return x @ jnp.concatenate([p["l.0.q_proj.weight"], p["l.0.k_proj.weight"]], axis=1)

    params = {"l.0.q_proj.weight": shape(8, 8), "l.0.k_proj.weight": shape(8, 2)}
    assert names(model, params, shape(5, 8), unit=exact) == ["l.0.{k_proj,q_proj}.weight"]


def test_a_dequantised_weight_is_named_with_its_scales(exact):
    def model(p, x):
        return x @ (p["up.weight"].astype(FLOAT) * p["up.scale"])

    params = {"up.weight": shape(8, 4, dtype=jnp.int8), "up.scale": shape(4)}
    assert names(model, params, shape(5, 8), unit=exact) == ["up.{scale,weight}"]


def test_the_braces_of_a_fused_name_do_not_grow_without_bound():
    assert weight_name([f"h.{i}.w" for i in range(9)]) == "h.{0,1,2,3,4,5,…}.w"


def test_nested_parameters_have_dotted_paths(exact):
    params = {"layers": [{"up": shape(8, 4)}, {"up": shape(4, 8)}]}
    assert names(lambda p, x: (x @ p["layers"][0]["up"]) @ p["layers"][1]["up"], params, shape(5, 8), unit=exact) == [
        "layers.0.up",
        "layers.1.up",
    ]


def test_a_parameter_that_is_the_whole_argument_is_called_after_the_argument(exact):
    assert names(lambda kernel, x: x @ kernel, shape(8, 4), shape(5, 8), unit=exact) == ["kernel"]


def test_parameters_may_be_several_arguments_at_any_position(exact):
    def model(x, body, head):
        return (x @ body["up"]) @ head["out"]

    found = names(model, shape(5, 8), {"up": shape(8, 4)}, {"out": shape(4, 3)}, unit=exact, weights=(1, 2))
    assert found == ["up", "out"]


def test_a_closed_over_matrix_is_a_weight_without_a_path(exact):
    matrix = jnp.ones((8, 4))
    assert names(lambda p, x: (x @ p["up"]) @ matrix, {"up": shape(8, 8)}, shape(5, 8), unit=exact) == ["up", "const.0"]


def attention(p, x, prefix="self_attn."):
    q, k, v = (x @ p[f"{prefix}{name}"] for name in ("q.weight", "k.weight", "v.weight"))
    probabilities = jax.nn.softmax(jnp.einsum("bqd,bkd->bqk", q, k))
    return jnp.einsum("bqk,bkd->bqd", probabilities, v) @ p[f"{prefix}o.weight"]


def test_both_attention_products_are_named_after_their_layer_and_program_keys_and_values(exact):
    params = {f"h.{i}.self_attn.{name}.weight": shape(8, 8) for i in range(2) for name in "qkvo"}

    def model(p, x):
        for i in range(2):
            x = x + attention(p, x, f"h.{i}.self_attn.")
        return x

    rows = simulate(model, exact).coverage(params, shape(3, 5, 8)).rows
    assert [row.name for row in rows if row.kind == "activation"] == [
        "h.0.self_attn:product",
        "h.0.self_attn:product#1",
        "h.1.self_attn:product",
        "h.1.self_attn:product#1",
    ]
    qk, av = (row for row in rows if row.name.startswith("h.0.self_attn:"))
    assert (qk.batch, qk.m, qk.k, qk.n) == (3, 5, 8, 5)
    assert (av.batch, av.m, av.k, av.n) == (3, 5, 5, 8)


def test_attention_below_a_fused_projection_is_named_after_its_module(exact):
    def model(p, x):
        q, k = jnp.split(x @ p["attn.qk.weight"], 2, axis=-1)
        return q @ k.T

    assert names(model, {"attn.qk.weight": shape(8, 16)}, shape(5, 8), unit=exact)[1] == "attn.qk:product"


def test_values_are_programmed_even_where_einsum_puts_them_on_the_left(exact):
    def model(p, x):
        x = x @ p["v"]
        scores = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", x, x))
        return jnp.einsum("bhqk,bkhd->bqhd", scores, x)

    *_, av = simulate(model, exact).coverage({"v": shape(4, 4)}, shape(2, 5, 3, 4)).rows
    assert av.site.tile_operand == 0  # JAX writes it as the product of v and the scores
    assert (av.batch, av.m, av.k, av.n) == (6, 5, 5, 4)


def test_weights_stacked_for_a_scan_have_one_name_and_its_trips(exact):
    def model(p, x):
        return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, p["layers"]["up"])[0]

    (row,) = simulate(model, exact).coverage({"layers": {"up": shape(3, 8, 8)}}, shape(5, 8)).rows
    assert (row.name, row.trips, row.macs) == ("layers.up", 3, 3 * 5 * 8 * 8)


def test_the_modules_of_equinox_give_dotted_paths(exact):
    mlp = eqx.nn.MLP(8, 4, 16, 2, key=jax.random.key(0))
    found = names(lambda model, x: jax.vmap(model)(x), mlp, shape(5, 8), unit=exact)
    assert found == ["layers.0.weight", "layers.1.weight", "layers.2.weight"]


def test_a_name_tells_its_layer():
    assert layer_index("model.layers.12.mlp.up_proj.weight") == 12
    assert layer_index("h.3:product") == 3
    assert layer_index("lm_head.weight") is None
    assert without_layers("h.3.experts.7.w2:product#1") == "h.*.experts.*.w2:product#1"


def test_names_do_not_depend_on_the_batch(exact):
    params = {f"self_attn.{name}.weight": shape(8, 8) for name in "qkvo"}
    assert names(attention, params, shape(1, 5, 8), unit=exact) == names(attention, params, shape(9, 5, 8), unit=exact)
