"""The digits and their classifier: the data are what they should be, and a network learns them, on a chip too."""

import equinox as eqx
import jax
import numpy as np
import pytest

from photonsim.chip import load_chip, override
from photonsim.models.digits import classify, initial_params, load_digits
from photonsim.models.digits.train import accuracy, digital, through, train
from photonsim.swap import simulate
from photonsim.tiles import Crossbar


@pytest.fixture(scope="module")
def noisy_chip():
    """Shot noise alone, 16 photons per multiply-accumulate at full scale."""
    chip = override(load_chip("ideal"), {"tile.rows": 512, "receiver.shot_noise": True, "laser.power_w": 1e-3})
    assert isinstance(chip.tile, Crossbar)
    return eqx.tree_at(lambda chip: chip.tile, chip, chip.tile.with_photons_per_mac(16.0))


def test_no_digit_is_trained_and_tested_with():
    train_set, test_set = load_digits()
    assert len(train_set.labels) + len(test_set.labels) == 1797
    assert set(np.unique(test_set.labels)) == set(range(10))
    assert (train_set.images.min(), train_set.images.max()) == (0.0, 1.0)
    training = {image.tobytes() for image in train_set.images}
    assert not training & {image.tobytes() for image in test_set.images}


@pytest.mark.slow
def test_training_through_a_noisy_chip_learns_the_digits(noisy_chip):
    """3 epochs: far above the tenth that guessing gives, and every parameter finite and moved."""
    train_set, test_set = load_digits()
    forward = through(simulate(classify, noisy_chip))
    key = jax.random.key(0)
    params = train(key, forward, jax.numpy.asarray(train_set.images), jax.numpy.asarray(train_set.labels), 3)
    start = initial_params(jax.random.split(key, 3)[0])
    for name, value in params.items():
        assert np.isfinite(value).all()
        assert not np.array_equal(value, start[name]), f"{name} has not moved"
    assert accuracy(digital, params, test_set, key) > 0.8
    assert accuracy(forward, params, test_set, key) > 0.5
