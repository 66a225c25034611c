"""A classifier of handwritten digits, trained twice: without a chip, and through one's shot noise, to need less light.

Rounding and noise pass gradients on, so a network can be trained with the chip in the loop: it learns to spread its
decisions over more light. Needs `pip install photonsim[train]`.
"""

import jax
from jax import numpy as jnp

from photonsim.evaluate.shapes import accuracy_at, light_used, photons_for, shot_noise_chip
from photonsim.models.digits import classify, load_digits
from photonsim.models.digits.train import accuracy, digital, through, train
from photonsim.swap import simulate

EPOCHS = 8
TRAINING_PHOTONS = 16.0  # of one multiply-accumulate with input and weight both at full scale
PHOTONS = (1.0, 4.0, 16.0, 64.0, 256.0)

training, test = load_digits()
images, labels = jnp.asarray(training.images), jnp.asarray(training.labels)
key = jax.random.key(0)

# 1 · Two networks, from the same first weights and the same order of images.
on_chip = through(simulate(classify, shot_noise_chip(TRAINING_PHOTONS)))
networks = {
    "trained digitally": train(key, digital, images, labels, EPOCHS),
    "trained through the chip": train(key, on_chip, images, labels, EPOCHS),
}

# 2 · Both on chips with more and more light. Most products are far from full scale, so few of the photons are detected.
print(
    f"accuracy on {len(test.labels)} digits, %\n\nphotons/MAC at full scale ", *(f"{n:>6g}" for n in PHOTONS), " exact"
)
curves = {}
for name, params in networks.items():
    curves[name] = [accuracy_at(params, test, photons, draws=2) for photons in PHOTONS]
    exact = accuracy(digital, params, test, key)
    print(f"{name:26}", *(f"{100 * share:6.1f}" for share in curves[name]), f"{100 * exact:6.1f}")

# 3 · The light that each needs for the same accuracy.
plain, aware = (photons_for(0.7, PHOTONS, curve) for curve in curves.values())
used = light_used(networks["trained digitally"], test.images)
print(f"\n70 % takes {plain:.1f} and {aware:.1f} photons: {plain / aware:.1f} times less light for the same answers")
print(f"(a multiply-accumulate detects {100 * used:.1f} % of them in the mean)")

assert plain / aware > 1.2, "a network that has met the noise should need less light"
