"""Analog to digital: the converter behind every detector, and the loss of precision that decides most results.

A tile of R rows adds R products, each within ±1 in normalised units (input and weight at full scale). The sum lies
within ±R but is nearly always close to zero: for zero-mean data its spread is about √R. A converter that spans ±R
therefore spends most of its codes on values that never occur. Three policies set the span, `±full scale`:

- `"gain"`: full scale = R / gain. A fixed amplification lets the rare large sums clip and resolves the common small
  ones better: each doubling of the gain recovers one low bit for one high bit (Basumallik et al., arXiv 2205.06287).
- `"sigma"`: full scale = `sigmas` standard deviations of the sum, column by column, from the programmed weights and
  inputs whose root mean square is `INPUT_RMS` of their block's largest. It needs an amplifier with a gain for each
  column and tile.
- `"calibrated"`: full scale = `full_scale_products`, found beforehand on recorded sums by one of the rules of
  `ranges.py` (the absolute maximum, a percentile, k·σ) and then held.

`bits` is the label of the converter. Its effective bits are fewer: the noise of detector, amplifier and converter
together, where it has been measured as a fraction of full scale, is `noise_rms` and is added before the rounding.

What a bit costs. Converters of one kind and speed follow Walden's law, `E = FOM · 2^ENOB` (IEEE J. Sel. Areas Commun.
17:539, 1999), as long as their comparators and logic decide; `energy.py` has it beside the other laws. `energy_at`
scales a converter's own known energy by Walden's law.
"""

import math

import equinox as eqx
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters.nonlinearity import Bend
from photonsim.converters.quantizer import full_scale_code
from photonsim.errors import check_bits, check_choice, check_count, check_number

RANGE_POLICIES = ("gain", "sigma", "calibrated")
INPUT_RMS = 0.3  # of a block's largest magnitude: a normal variable among 128 draws has 1/2.8 = 0.36, heavy tails less


class Adc(eqx.Module):
    """An output converter with its range policy and its measured noise.

    - `bits`: label resolution, sign included; `None` is ideal, without rounding or clipping.
    - `energy_j`: energy of one conversion, J.
    - `range_policy`: `"gain"`, `"sigma"` or `"calibrated"`, see the module's header.
    - `gain`: over-amplification of the `"gain"` policy, 1 or more for a span within ±R.
    - `sigmas`: half-span of the `"sigma"` policy in standard deviations.
    - `full_scale_products`: half-span of the `"calibrated"` policy in full-scale products; no default is right.
    - `noise_rms`: measured noise at the converter over its full scale (+L codes); a property of the chain at this
      span, so it stays when `bits` is changed.
    - `rate_hz`: conversions per second of one converter; the default keeps pace with any symbol.
    - `lanes`: columns that take turns at one converter.
    - `bend`: transfer curve of amplifier and converter, alike in all columns; what each column adds is its die's.
    """

    bits: int | None = eqx.field(static=True)
    energy_j: float
    range_policy: str = eqx.field(static=True, default="gain")
    gain: float = 1.0
    sigmas: float = 4.0
    full_scale_products: float = 0.0
    noise_rms: float = 0.0
    rate_hz: float = 1e12
    lanes: int = eqx.field(static=True, default=1)
    bend: Bend = Bend()

    def __check_init__(self):
        check_bits("adc.bits", self.bits)
        check_number("adc.energy_j", self.energy_j, at_least=0.0)
        check_choice("adc.range_policy", self.range_policy, RANGE_POLICIES)
        check_number("adc.gain", self.gain, above=0.0)
        check_number("adc.sigmas", self.sigmas, above=0.0)
        check_number("adc.full_scale_products", self.full_scale_products, at_least=0.0)
        if self.range_policy == "calibrated":
            check_number(
                'adc.full_scale_products, which range_policy = "calibrated" needs,', self.full_scale_products, above=0.0
            )
        check_number("adc.noise_rms", self.noise_rms, at_least=0.0)
        check_number("adc.rate_hz", self.rate_hz, above=0.0)
        check_count("adc.lanes", self.lanes)

    def full_scale(self, rows: int, weights: Float[Array, "*b t r n"]) -> Float[Array, "*b t n"]:
        """Half-span of the converter in normalised products, for tiles holding normalised `weights` (within ±1)."""
        if self.range_policy != "sigma":
            span = rows / self.gain if self.range_policy == "gain" else self.full_scale_products
            return jnp.full(weights.shape[:-2] + weights.shape[-1:], span, weights.dtype)
        spread = INPUT_RMS * jnp.sqrt(jnp.sum(weights**2, axis=-2))
        return self.sigmas * jnp.maximum(spread, rows * 2.0**-20)  # an empty column still has a range

    def energy_at(self, bits: int):
        """Energy of one conversion if the converter had `bits`, by Walden's law: `E · 2^(bits − own bits)`, J.

        Of an ideal converter, whose energy belongs to no number of bits, the energy unchanged.
        """
        return self.energy_j if self.bits is None else self.energy_j * 2.0 ** (bits - self.bits)

    @property
    def span_in_words(self) -> str:
        """What sets the range: `gain 1.86`, `range ±4σ`, `calibrated range`."""
        words = {"gain": f"gain {self.gain:g}", "sigma": f"range ±{self.sigmas:g}σ", "calibrated": "calibrated range"}
        return words[self.range_policy]

    @property
    def full_scale_code(self) -> int:
        """The largest code."""
        return full_scale_code(self.bits)

    @property
    def noise_limited_enob(self):
        """Effective bits of a full-scale sine under the measured noise and the rounding together.

        `SNDR = (1/2) / (noise_rms² + LSB²/12)`, both over full scale; infinite for an ideal, noiseless converter.
        """
        rounding = 0.0 if self.bits is None else (1.0 / self.full_scale_code) ** 2 / 12
        variance = self.noise_rms**2 + rounding
        if variance == 0:
            return math.inf
        return (10 * math.log10(0.5 / variance) - 10 * math.log10(1.5)) / (20 * math.log10(2))
