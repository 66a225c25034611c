"""Curves whose shape others published, on models small enough to draw them in minutes.

Four experiments, each a chip with one number swept:

- `abfp_chip`: block floating point with an amplifier before a coarse output converter (Basumallik et al., arXiv
  2205.06287). Too little gain, and the converter rounds away the common small sums; too much, and it clips the rare
  large ones: accuracy against gain is an inverted U. Small blocks have smaller sums, and are easier.
- `coarse_inputs`: inputs of b bits under one scale for each block, vector or tensor. Transformers have a few channels a
  hundred times larger than the rest; the more values share a scale, the more of them such a channel rounds to nothing.
- `shot_noise_chip`: shot noise alone. Whatever K is, a product is off by 1 part in √(photons), so accuracy against
  photons per multiply-accumulate is an S; a network trained with the noise needs fewer of them.
- `noisy_operands`: the dynamic coherent crossbar of Lightening-Transformer with more or less noise on its operands.

What is swept here is a number alone. What a network makes of it, `Passage.score` says of a language model, and
`photonsim.models.digits` of a classifier.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from photonsim.chip import Chip, load_chip, override
from photonsim.converters.quantizer import full_scale_code, quantize
from photonsim.errors import PhotonsimError, check_bits, check_choice, check_number
from photonsim.evaluate.perplexity import TokenScores, Window, compare, join, model_windows
from photonsim.models import Model
from photonsim.models.digits import Digits, classify
from photonsim.models.digits.classifier import Params
from photonsim.swap import Rule, simulate
from photonsim.swap.site import AbstractMatmulUnit
from photonsim.tiles import Crossbar

GRANULARITIES = ("block", "vector", "tensor")
LINEAR_LAYERS = (Rule("*_proj.weight", "chip"), Rule("*", "digital"))


@dataclasses.dataclass(frozen=True)
class Passage:
    """A stretch of text in windows, with the model's digital logits of each, which chips are held against."""

    model: Model
    windows: tuple[Window, ...]
    digital: tuple[Float[Array, "1 length vocab"], ...]

    @classmethod
    def read(cls, model: Model, text: str, tokens: int, context: int) -> "Passage":
        """The first `tokens` of a text, in windows of `context`."""
        windows = model_windows(model, text, tokens, context)
        digital = tuple(model.apply(model.params, jnp.asarray(window.tokens)) for window in windows)
        return cls(model, tuple(windows), digital)

    def score(self, unit: AbstractMatmulUnit, rules: Sequence[Rule] = (), seed: int = 0) -> TokenScores:
        """Scores on a chip; nothing is compiled as a whole, since a sweep would pay for that at every point."""
        simulation = simulate(self.model.apply, unit, rules, seed=seed)

        def on_chip(number, tokens):
            return simulation(self.model.params, tokens, seed=jax.random.fold_in(jax.random.key(seed), number))

        return join([chip for _, chip in compare(lambda number, _: self.digital[number], on_chip, self.windows)])

    @property
    def digital_scores(self) -> TokenScores:
        """Scores of the model itself."""
        pairs = compare(lambda number, _: self.digital[number], lambda number, _: self.digital[number], self.windows)
        return join([digital for digital, _ in pairs])


def abfp_chip(block: int, gain: float, bits: int = 8) -> Chip:
    """A crossbar of `block` rows whose inputs, weights and outputs have `bits`, amplified by `gain`; no noise."""
    settings = {"tile.rows": block, "input_dac.bits": bits, "cell.bits": bits, "adc.bits": bits, "adc.gain": gain}
    return override(load_chip("ideal"), settings)


def coarse_inputs(granularity: str, bits: int | None, block: int = 128, longest: int = 2048) -> AbstractMatmulUnit:
    """Inputs of `bits`, all else exact, with one scale per `block` of a vector, per vector (up to `longest`) or tensor.

    Block and vector are crossbars of as many rows. No tile of ours shares a scale between vectors, for that needs to
    know all of them first: a scale per tensor is this evaluation's alone.
    """
    check_choice("granularity", granularity, GRANULARITIES)
    if granularity == "tensor":
        return TensorScaled(load_chip("ideal"), bits)
    rows = block if granularity == "block" else longest
    return override(load_chip("ideal"), {"tile.rows": rows, "input_dac.bits": "none" if bits is None else bits})


class TensorScaled(eqx.Module):
    """A chip behind inputs of `bits` under one scale for all of a product's rows: the largest magnitude of them."""

    chip: Chip
    bits: int | None = eqx.field(static=True)

    def __check_init__(self):
        check_bits("bits", self.bits)

    def program(self, w: Float[Array, "*b k n"]):
        """As the chip does."""
        return self.chip.program(w)

    def compact(self, programmed):
        """As the chip does."""
        return self.chip.compact(programmed)

    def matmul(self, x: Float[Array, "*b m k"], programmed, key: PRNGKeyArray, engine: str = "auto", row_offset=0):
        """The chip's product of the rounded inputs."""
        if self.bits is not None:
            per_unit = full_scale_code(self.bits) / jnp.maximum(jnp.abs(x).max(), 2.0**-100)
            x = quantize(x * per_unit, self.bits) / per_unit
        return self.chip.matmul(x, programmed, key, engine, row_offset)


def shot_noise_chip(photons_per_mac, rows: int = 512) -> Chip:
    """Perfect but for shot noise, with `photons_per_mac` detected where input and weight are both at full scale."""
    chip = override(load_chip("ideal"), {"tile.rows": rows, "receiver.shot_noise": True, "laser.power_w": 1.0})
    tile = chip.tile
    if not isinstance(tile, Crossbar):
        raise PhotonsimError(f"{chip.name} is no crossbar: its light is not divided over rows and columns.")
    power_w = tile.laser.power_w * (photons_per_mac / tile.photons_per_mac)
    return eqx.tree_at(lambda chip: chip.tile.laser.power_w, chip, power_w)


def light_used(params: Params, images: Float[np.ndarray, "count pixels"]) -> float:
    """Mean of |input × weight| over that at full scale, over all multiply-accumulates of the classifier.

    Times the photons at full scale, these are the photons that a multiply-accumulate detects in the mean.
    """
    used, macs = 0.0, 0
    hidden = jnp.asarray(images)
    for layer in range(len(params) // 2):
        weight = params[f"layers.{layer}.weight"]
        inputs = jnp.abs(hidden) / jnp.maximum(jnp.abs(hidden).max(1, keepdims=True), 2.0**-100)
        columns = jnp.abs(weight) / jnp.abs(weight).max(0)
        used += float((inputs.mean(0) @ columns).sum())
        macs += weight.size
        hidden = jax.nn.relu(hidden @ weight + params[f"layers.{layer}.bias"])
    return used / macs


@functools.partial(jax.jit, static_argnums=0)
def _correct(make_chip, params, images, labels, settings, key):
    """Share of right answers of one network on `make_chip(*settings)`; compiled once for all settings."""
    return (simulate(classify, make_chip(*settings), seed=key)(params, images).argmax(-1) == labels).mean()


def accuracy_on(
    make_chip: Callable[..., Chip],
    settings: Sequence[float],
    params: Params,
    digits: Digits,
    draws: int,
    seed: int = 0,
) -> float:
    """Share of images put into their class on `make_chip(*settings)`, over `draws` of its noise."""
    values = tuple(jnp.float32(setting) for setting in settings)
    keys = jax.random.split(jax.random.key(seed), draws)
    return float(np.mean([_correct(make_chip, params, digits.images, digits.labels, values, key) for key in keys]))


def accuracy_at(params: Params, digits: Digits, photons_per_mac: float, draws: int, seed: int = 0) -> float:
    """The same under shot noise alone, at photons per multiply-accumulate at full scale."""
    return accuracy_on(shot_noise_chip, (photons_per_mac,), params, digits, draws, seed)


def photons_for(accuracy: float, photons: Sequence[float], accuracies: Sequence[float]) -> float:
    """Photons at which a rising curve passes `accuracy`, on a line between points over the logarithm of photons."""
    rising = np.maximum.accumulate(np.asarray(accuracies, float))
    if not rising[0] <= accuracy <= rising[-1]:
        raise PhotonsimError(f"The curve from {rising[0]:.3f} to {rising[-1]:.3f} does not pass {accuracy:.3f}.")
    return math.exp(float(np.interp(accuracy, rising, np.log(np.asarray(photons, float)))))


def noisy_operands(magnitude_sigma, phase_deg) -> Chip:
    """Lightening-Transformer at 4 bits with these errors of its operands: relative magnitude, and phase in degrees."""
    check_number("magnitude_sigma", magnitude_sigma, at_least=0.0)
    check_number("phase_deg", phase_deg, at_least=0.0)

    def errors(chip):
        return chip.tile.magnitude_sigma, chip.tile.phase_sigma_rad

    values = magnitude_sigma, phase_deg * (math.pi / 180)
    return eqx.tree_at(errors, load_chip("lightening-transformer-b-4bit"), values)
