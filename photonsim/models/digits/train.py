"""Trains the classifier of this folder, digitally or through a simulated chip. Needs `pip install photonsim[train]`.

Noise-aware training is training with the chip in the loop: every forward pass draws new noise, every rounding passes
its gradient straight through, and the network learns to leave room for both. Nothing else is different.
"""

import functools
from collections.abc import Callable
from typing import cast

import jax
import numpy as np
import optax
from jax import numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from photonsim.models.digits.classifier import Params, classify, initial_params
from photonsim.models.digits.images import Digits
from photonsim.swap.simulation import Simulation

BATCH = 100
PEAK_LEARNING_RATE = 3e-3

Forward = Callable[[Params, Array, PRNGKeyArray], Array]  # parameters, images, noise key -> scores


def digital(params: Params, images: Array, key: PRNGKeyArray) -> Array:
    """The exact classifier; it needs no key."""
    return classify(params, images)


def through(simulation: Simulation) -> Forward:
    """The classifier on a chip, programmed anew at every step: `through(simulate(classify, chip))`."""
    return lambda params, images, key: simulation(params, images, seed=key)


@functools.partial(jax.jit, static_argnums=(1, 4))
def train(key: PRNGKeyArray, forward: Forward, images: Array, labels: Array, epochs: int) -> Params:
    """Adam with a cosine to zero on batches of 100; the key decides first weights, order and noise.

    One compiled loop, so `jax.vmap` over keys trains several networks.
    """
    batches = len(images) // BATCH
    schedule = optax.cosine_decay_schedule(PEAK_LEARNING_RATE, epochs * batches)
    optimizer = optax.adam(schedule)
    start, order_key, noise = jax.random.split(key, 3)

    def loss(params, chosen, step_key):
        scores = forward(params, images[chosen], step_key)
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels[chosen]).mean()

    def step(carry, number):
        params, state = carry
        order = jax.random.permutation(jax.random.fold_in(order_key, number // batches), len(images))
        chosen = jax.lax.dynamic_slice(order, [(number % batches) * BATCH], [BATCH])
        gradient = jax.grad(loss)(params, chosen, jax.random.fold_in(noise, number))
        with jax.numpy_dtype_promotion("standard"):  # optax raises floats to whole powers
            updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), None

    params = initial_params(start)
    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(epochs * batches))
    return cast(Params, params)


def accuracy(forward: Forward, params: Params, digits: Digits, key: PRNGKeyArray, draws: int = 1) -> float:
    """Share of images put into their class, over `draws` of the noise."""
    scores = jax.lax.map(lambda each: forward(params, jnp.asarray(digits.images), each), jax.random.split(key, draws))
    return float(np.mean(np.asarray(scores).argmax(-1) == digits.labels))
