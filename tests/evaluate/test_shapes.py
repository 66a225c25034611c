"""Published shapes, as laws of single products where they can be derived, and on small models where they cannot."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from photonsim.chip import override
from photonsim.errors import PhotonsimError
from photonsim.evaluate.shapes import (
    GRANULARITIES,
    LINEAR_LAYERS,
    Passage,
    abfp_chip,
    accuracy_at,
    coarse_inputs,
    light_used,
    noisy_operands,
    photons_for,
    shot_noise_chip,
)
from photonsim.models import load, sample_text
from photonsim.models.digits import classify, initial_params, load_digits
from photonsim.models.digits.train import digital, train


@pytest.fixture(scope="module")
def passage():
    return Passage.read(load("tiny"), sample_text(), 128, 128)


def relative_error(unit, x, w, key=0):
    exact = np.asarray(x, np.float64) @ np.asarray(w, np.float64)
    return np.asarray(unit.matmul(x, unit.program(w), jax.random.key(key), "jax"), np.float64) - exact


def normal(*shape, key=0):
    return jax.random.normal(jax.random.key(key), shape, jnp.float32)


def exponent(x, y):
    """Slope of a line through the logarithms."""
    return np.polyfit(np.log(x), np.log(y), 1)[0]


# Gain of adaptive block floating point


@pytest.fixture(scope="module")
def narrow():
    """Inputs and weights whose sums never reach a converter that is amplified 8 times: normal numbers, K of 512."""
    return normal(64, 512), normal(512, 64, key=1)


def test_the_rounding_of_the_output_falls_as_one_over_the_gain(narrow):
    """An error of LSB/√12 for each block, LSB = n / (127 G): exponent -1 while nothing clips; inputs are exact."""
    gains = np.array([1.0, 2.0, 4.0])
    chips = [override(abfp_chip(128, gain), {"input_dac.bits": "none", "cell.bits": "none"}) for gain in gains]
    errors = [relative_error(chip, *narrow).std() for chip in chips]
    assert exponent(gains, errors) == pytest.approx(-1.0, abs=0.05)  # 4,096 outputs: 1 % each, a decade of 0.6


def test_the_rounding_of_the_output_grows_as_the_root_of_the_block():
    """K / n blocks of n / (127 √12) each, as squares: √(n K). Uniform numbers fill the scale of any block."""
    x, w = (jax.random.uniform(jax.random.key(k), shape, minval=-1) for k, shape in enumerate([(64, 2048), (2048, 64)]))
    blocks = np.array([32, 128, 512])
    exact = {"input_dac.bits": "none", "cell.bits": "none"}
    errors = [relative_error(override(abfp_chip(int(block), 1.0), exact), x, w).std() for block in blocks]
    assert exponent(blocks, errors) == pytest.approx(0.5, abs=0.06)


def test_the_loss_of_a_model_is_an_inverted_u_in_the_gain(passage):
    """At blocks of 128 neither no gain nor 64 times comes near the best between them: four standard errors apart."""
    scores = {gain: passage.score(abfp_chip(128, gain)) for gain in (1.0, 8.0, 64.0)}
    for worse in (1.0, 64.0):
        difference, error = scores[worse].nll_difference(scores[8.0])
        assert difference > 4 * error
    difference, error = scores[8.0].nll_difference(passage.digital_scores)
    assert difference < 0.1  # nats: recovered


# Bits and scales


def test_a_bit_halves_the_rounding_of_the_inputs(narrow):
    bits = np.array([4, 6, 8])
    errors = [relative_error(coarse_inputs("block", int(b)), *narrow).std() for b in bits]
    steps = 2.0 ** (bits - 1) - 1
    assert exponent(steps, errors) == pytest.approx(-1.0, abs=0.03)


def test_values_that_share_a_scale_are_rounded_by_the_largest_of_them():
    """One entry 64 times the others: what shares its scale is rounded 64 times coarser, and nothing else."""
    x = jnp.clip(normal(8, 256), -3, 3).at[:, ::128].set(3.0).at[0, 0].set(192.0)
    w = jnp.eye(256, dtype=jnp.float32)
    rms = {}
    for granularity in GRANULARITIES:
        error = relative_error(coarse_inputs(granularity, 10), x, w)
        rms[granularity] = [np.sqrt((part**2).mean()) for part in (error[0, 128:], error[1:, :])]
    fine = rms["block"][0]
    assert rms["vector"][0] == pytest.approx(64 * fine, rel=0.2)  # the other block of its vector
    assert rms["vector"][1] == pytest.approx(rms["block"][1], rel=0.01)  # other vectors
    assert rms["tensor"][1] == pytest.approx(64 * fine, rel=0.2)


def test_a_model_loses_most_under_one_scale_for_all(passage):
    scores = {name: passage.score(coarse_inputs(name, 4), LINEAR_LAYERS) for name in ("block", "tensor")}
    difference, error = scores["tensor"].nll_difference(scores["block"])
    assert difference > 4 * error


def test_unrounded_inputs_change_nothing(narrow):
    """512 terms of float32 in an order of their own: a few roundings of their sum of magnitudes."""
    assert np.abs(relative_error(coarse_inputs("tensor", None), *narrow)).max() < 512 * 2.0**-24 * 8


def test_an_unknown_granularity_is_refused():
    with pytest.raises(PhotonsimError, match="granularity = 'row' is unknown"):
        coarse_inputs("row", 8)


# Photons


@pytest.fixture(scope="module")
def trained():
    images, labels = load_digits()[0]
    return train(jax.random.key(0), digital, jnp.asarray(images), jnp.asarray(labels), 10)


def test_an_error_falls_as_the_root_of_the_photons(narrow):
    photons = np.array([1.0, 16.0, 256.0])
    errors = [relative_error(shot_noise_chip(float(n)), *narrow).std() for n in photons]
    assert exponent(photons, errors) == pytest.approx(-0.5, abs=0.02)


def test_accuracy_rises_with_the_photons_from_guessing_to_what_the_network_can(trained):
    """597 images, 2 draws: a share is known to 1.5 points at worst, so steps of 20 points are far outside of chance."""
    test = load_digits()[1]
    curve = [accuracy_at(trained, test, photons, 2) for photons in (0.25, 8.0, 2048.0)]
    ideal = float((np.asarray(classify(trained, jnp.asarray(test.images))).argmax(-1) == test.labels).mean())
    assert curve[0] < 0.25
    assert curve[0] + 0.2 < curve[1] < curve[2]
    assert curve[2] == pytest.approx(ideal, abs=0.015)


def test_the_light_that_is_used_is_that_of_the_products():
    """Against a sum over every product of a small network, in a loop."""
    params = initial_params(jax.random.key(0), (4, 3, 2))
    images = np.abs(np.asarray(normal(5, 4)))
    total, macs, hidden = 0.0, 0, images
    for layer in range(2):
        weight = np.asarray(params[f"layers.{layer}.weight"])
        for row in hidden:
            for column in weight.T:
                if row.max() > 0:  # a block of zeros has no light
                    total += np.sum(np.abs(row * column)) / row.max() / np.abs(column).max() / len(hidden)
        macs += weight.size
        hidden = np.maximum(hidden @ weight, 0)
    assert light_used(params, images) == pytest.approx(total / macs, rel=1e-5)


def test_photons_for_an_accuracy_lie_on_the_curve():
    assert photons_for(0.5, [1.0, 100.0], [0.0, 1.0]) == pytest.approx(10.0)
    with pytest.raises(PhotonsimError, match="does not pass"):
        photons_for(0.9, [1.0, 2.0], [0.1, 0.5])


# Lightening-Transformer's operands

QUIET = {
    "input_dac.bits": "none",
    "weight_dac.bits": "none",
    "adc.bits": "none",
    "channel_spacing_m": 0.0,
    "output_sigma": 0.0,
}


def test_phase_does_next_to_nothing_beside_magnitude(narrow):
    """For σ_m of both operands an error of 2 σ_m² of the squares; for σ_φ the mean (1 - e^(-σ²/2))² of the sum's square
    and the variance (1 - e^(-σ²))² / 2 of the squares: at 7 degrees 1.3 % of what 0.08 does."""
    magnitude, phase = (
        (relative_error(override(noisy_operands(*errors), QUIET), *narrow) ** 2).mean()
        for errors in ((0.08, 0.0), (0.0, 7.0))
    )
    sigma = np.deg2rad(7.0)
    expected = ((1 - np.exp(-(sigma**2) / 2)) ** 2 + (1 - np.exp(-(sigma**2))) ** 2 / 2) / (2 * 0.08**2)
    assert phase / magnitude == pytest.approx(expected, rel=0.1)  # 4,096 outputs each: 2.2 % twice; σ_m⁴ is 0.3 %
