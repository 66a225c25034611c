"""The traced adapter against the eager one: same sites, same noise, same answers; and what only it can do."""

from typing import Any

import jax
import numpy as np
import pytest
import torch
from jax import numpy as jnp

import photonsim
from photonsim.hf import simulate, trace
from photonsim.hf.architectures import architectures, output

ALL = {architecture.name: architecture for architecture in architectures()}


def arrays(inputs):
    return {name: jnp.asarray(tensor.numpy()) for name, tensor in inputs.items()}


@pytest.mark.parametrize("name", ["GPT-2", "Llama", "Mixtral", "ViT"])
def test_both_adapters_find_the_same_sites_and_give_the_same_noisy_answer(name, envise):
    model, inputs = ALL[name].model("sdpa"), dict[str, Any](ALL[name].inputs)
    if ALL[name].generate:
        inputs["use_cache"] = False
    with torch.no_grad():
        eager = simulate(model, envise)
        answer, plain = output(eager(**inputs)).numpy(), output(model(**inputs)).numpy()
    function, weights = trace(model)
    flags = {name: value for name, value in inputs.items() if not isinstance(value, torch.Tensor)}
    traced = photonsim.simulate(lambda weights, tensors: output(function(weights, **tensors, **flags)), envise)
    tensors = arrays({name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)})

    def facts(table):
        return [(row.name, row.kind, row.m, row.k, row.n, row.on_chip) for row in table.rows if row.k > 1]

    assert facts(traced.coverage(weights, tensors)) == facts(eager.executed)
    difference = np.abs(np.asarray(jax.jit(traced)(weights, tensors)) - answer)
    # An input within rounding of the middle between two codes may fall to either: then a few results are a code apart.
    assert np.median(difference) < 1e-4
    assert difference.max() < 0.3 * np.abs(answer - plain).max()


def test_a_traced_model_is_mapped_over_dies_and_differentiated(envise):
    layer = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    function, weights = trace(layer)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 6)), jnp.float32)
    sim = photonsim.simulate(function, envise)

    def loss(weights, seed):
        return (sim(weights, x, seed=seed) ** 2).mean()

    losses = jax.jit(jax.vmap(loss, (None, 0)))(weights, jnp.arange(3))
    assert len(set(losses.tolist())) == 3
    gradient = jax.jit(jax.grad(loss))(weights, 0)
    assert set(gradient) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert all(jnp.abs(each).max() > 0 for each in gradient.values())
