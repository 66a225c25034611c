"""The product of two light fields on a balanced detector: the definition for tiles whose operands are both live.

Two fields x and w meet in an equal splitter, with a quarter turn between them, and fall on two photodiodes:

    x ──╲ ╱── |x + w|²/2 ──▷|┐
         ═                    ├─ difference = 2 x w        signed, linear in both; the squares cancel
    w ──╱ ╲── |x − w|²/2 ──▷|┘

Photons are counted in the difference as they are in the sum: its variance is the number of all photons, whatever the
product. With n photoelectrons of each field at full scale, and both operands in units of full scale,

    Var[Σ x w] = (Σ x² + Σ w²) / (4 n)                                 shot noise, the standard quantum limit

which for equal powers N/2 on the arms is (||w|| ||x||)² / N: the law of Hamerly et al., PRX 9:021032 (2019). A splitter
that sends a power share κ = (1 + δ)/2 across lets some of the squares through: `√(1 − δ²) x w − δ (x² − w²)/2`.

Noise on the operands is carried as its mean and variance: with relative magnitude errors ε (standard deviation σ_m, one
per operand) and a phase error φ (σ), a product is `x w (1 + ε_x)(1 + ε_w) cos φ`, so that

    mean = x w e^{−σ²/2},     variance = x² w² [ (1 + σ_m²)² (1 + e^{−2σ²})/2 − e^{−σ²} ]

and a sum over R terms is taken as normal with the summed mean and variance. Left out by that: that outputs which share
an encoded operand share its error. The rest is as in `partial_sums.py`, whose quantities and noise stream these are:

    p[m,n]  = Σ_k q[m,k] s[k] levels[t,k,n] − Σ_k (δ[k]/2) q[m,k]² L_w/L_x           (the column's w² is in `offset`)
    var     = noise_variance[t,n] + shot_variance[t,n] Σ_k q² + gain² (v Σ_k q² levels² + (σ_out p)²)
"""

import abc
import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, UInt32

from photonsim.converters import Adc, Dac, bits_in_words, full_scale_code
from photonsim.devices.laser import Laser
from photonsim.devices.mach_zehnder_interferometer import phase_noise_mean
from photonsim.devices.receiver import Receiver
from photonsim.errors import PhotonsimError, check_choice
from photonsim.tiles.base import AbstractTile, Converters, Disturbance
from photonsim.tiles.die import Die
from photonsim.tiles.engine import ENGINES, KERNELS, multiply
from photonsim.tiles.noise import gaussian_deviates, shared_deviates, tile_keys
from photonsim.tiles.partial_sums import Programmed, Readout, block_scales, convert, encode, intensity, split_blocks
from photonsim.tiles.readout import (
    intensity_disturbance,
    is_on,
    reading_disturbances,
    readout_of,
    set_readout,
    shared_disturbances,
)
from photonsim.units import ELEMENTARY_CHARGE_C

FLOOR = 1e-30  # under the root of a variance: the gradient of the root of zero is infinite


class Interference(eqx.Module):
    """What meets on the detectors beside the product that is wanted.

    - `signal`: share of each term of a block that its splitter and the phase noise leave, (r,).
    - `imbalance`: δ of each term's splitter, (r,).
    - `product_variance`: relative variance v of one product.
    - `output_sigma`: standard deviation of a block's sum over that sum.
    - `relative_noise`: whether either of the last two is on.
    - `plain`: whether nothing is there but the product that is wanted.
    """

    signal: Float[Array, " r"]
    imbalance: Float[Array, " r"]
    product_variance: Float[Array, ""] | float
    output_sigma: Float[Array, ""] | float
    relative_noise: bool = eqx.field(static=True)
    plain: bool = eqx.field(static=True)


def interference(
    imbalance: Float[Array, " r"], magnitude_sigma, phase_sigma_rad, output_sigma, equal_splitters: bool
) -> Interference:
    """Interference of operands with relative magnitude errors and a phase error, on splitters of given imbalance.

    `equal_splitters`: whether it is known to be none.
    """
    relative_noise = any(is_on(value) for value in (magnitude_sigma, phase_sigma_rad, output_sigma))
    left = phase_noise_mean(phase_sigma_rad)
    # E cos² φ = (1 + exp(−2σ²)) / 2, and exp(−2σ²) is the mean cosine to the fourth power
    variance = (1 + magnitude_sigma**2) ** 2 * (1 + left**4) / 2 - left**2
    return Interference(
        signal=jnp.sqrt(1 - imbalance**2) * left,
        imbalance=imbalance,
        product_variance=variance,
        output_sigma=output_sigma,
        relative_noise=relative_noise,
        plain=equal_splitters and not relative_noise,
    )


class AbstractBalancedTile(AbstractTile):
    """A tile of balanced detectors. A subclass says how many terms a reading adds up and how much light each has."""

    laser: eqx.AbstractVar[Laser]
    input_dac: eqx.AbstractVar[Dac]
    weight_dac: eqx.AbstractVar[Dac]
    receiver: eqx.AbstractVar[Receiver]
    adc: eqx.AbstractVar[Adc]
    die: eqx.AbstractVar[Die]

    @property
    @abc.abstractmethod
    def symbols_per_readout(self) -> int:
        """Symbol periods that are added up before one conversion."""

    @property
    @abc.abstractmethod
    def operand_power_w(self) -> Any:
        """Power of one operand at full scale at its detector, W."""

    @property
    @abc.abstractmethod
    def interference(self) -> Interference:
        """What meets on the detectors."""

    @property
    @abc.abstractmethod
    def photons_per_mac(self) -> Any:
        """Photons of both operands at full scale on the diodes, for one multiply-accumulate."""

    @abc.abstractmethod
    def operand_disturbances(self) -> tuple[Disturbance, ...]:
        """What goes wrong before the detectors."""

    @property
    def electrons_per_operand(self):
        """Photoelectrons of one operand at full scale in one symbol."""
        return self.receiver.responsivity_a_per_w * self.operand_power_w / (ELEMENTARY_CHARGE_C * self.clock_hz)

    @property
    def background_variance(self):
        """Variance that dark current and amplifier add to one reading, in units of one full-scale product squared.

        Of one symbol, read in the Nyquist bandwidth, times the symbols of a reading: charges add, noise in variance.
        """
        current_a = 2 * self.receiver.responsivity_a_per_w * self.operand_power_w
        return self.symbols_per_readout * self.receiver.background_variance_a2(self.clock_hz / 2) / current_a**2

    @property
    def readout(self) -> Readout:
        """What of the reading is fixed when a product is compiled."""
        return readout_of(self, self.input_dac.bits, shot_noise=self.receiver.shot_noise)

    @property
    def converters(self) -> Converters:
        """See `AbstractTile.converters`."""
        return Converters(self.input_dac, self.adc, self.weight_dac)

    @property
    def converter_bits(self) -> tuple[int | None, int | None, int | None]:
        """See `AbstractTile.converter_bits`."""
        return self.input_dac.bits, self.weight_dac.bits, self.adc.bits

    def disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractTile.disturbances`."""
        return (
            Disturbance("weight converter", bits_in_words(self.weight_dac.bits), {"weight_dac.bits": "none"}),
            *self.operand_disturbances(),
            *reading_disturbances(self.input_dac, self.receiver, self.adc, self.die, self.photons_per_mac),
            intensity_disturbance(self.laser),
        )

    def program(self, w: Float[Array, "*b k n"], cores: int = 1) -> Programmed:
        """Quantise (k, n) weights block by block and column by column: they are live, so nothing is written."""
        blocks = -(-w.shape[-2] // self.terms_per_readout)
        return _encode_weights(self, w, self.die.landing(cores, self.columns, blocks, w.shape[-1]))

    def compact(self, programmed: Programmed) -> Programmed:
        """See `AbstractTile.compact`."""
        return programmed.compact(self.weight_dac.bits)

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0):
        """See `AbstractTile.matmul`; with errors of the operands or splitters there is the definition only."""
        check_choice("engine", engine, ENGINES)
        bandwidth_hz = self.clock_hz / 2 / self.symbols_per_readout
        shared, light = shared_disturbances(self.laser, self.adc, self.die, bandwidth_hz), self.interference
        if light.plain:
            readout, squares = _by_squares(self.readout, programmed)
            return multiply(x, squares, readout, shared, key_data, row_offset, engine)
        if engine in KERNELS:
            raise PhotonsimError(
                f"The tile {type(self).__name__} has no {KERNELS[engine]} kernel for operands or splitters that err, "
                'since its noise then depends on every product: use engine="jax" or "auto".'
            )
        ratio = full_scale_code(self.weight_dac.bits) / full_scale_code(self.input_dac.bits)
        return _over_batch(x, programmed, key_data, (self.readout, light, ratio, shared), row_offset)


def _by_squares(readout: Readout, programmed: Programmed) -> tuple[Readout, Programmed]:
    """The same as settings of `partial_sums.py`, where shot noise goes by magnitudes, and other noise by squares."""
    squares = dataclasses.replace(programmed, square_variance=programmed.shot_variance)
    return dataclasses.replace(readout, shot_noise=False, square_noise=readout.shot_noise), squares


@jax.jit
def _encode_weights(tile: AbstractBalancedTile, w: Float[Array, "*b k n"], columns) -> Programmed:
    """`program` on known physical columns, compiled as one piece."""
    blocks = split_blocks(w, tile.terms_per_readout, axis=-2)  # (..., t, r, n)
    scales = block_scales(blocks, axis=-2)
    levels = encode(blocks, scales, tile.weight_dac.bits)
    input_code, weight_code = full_scale_code(tile.input_dac.bits), full_scale_code(tile.weight_dac.bits)
    values = levels / weight_code
    variance, shot_variance = jnp.asarray(tile.background_variance, w.dtype), 0.0
    if tile.receiver.shot_noise:
        per_square = 1 / (4 * tile.electrons_per_operand)
        variance = variance + per_square * jnp.sum(values**2, axis=-2)
        shot_variance = per_square * weight_code / input_code  # of each q², once divided by the codes of a product
    leaked = jnp.sum(tile.interference.imbalance[:, None].astype(w.dtype) / 2 * values**2, axis=-2)
    full_scale = tile.adc.full_scale(tile.terms_per_readout, jax.lax.stop_gradient(values))
    per_product = float(input_code * weight_code)
    return set_readout(
        levels, scales[..., 0, :], full_scale, per_product, tile.adc, columns, variance, shot_variance, leaked
    )


@jax.jit
def _over_batch(x, programmed, key_data, settings, row_offset):
    """`balanced_matmul` over an optional leading batch axis, compiled as one piece."""
    product = functools.partial(balanced_matmul, settings=settings, row_offset=row_offset)
    if x.ndim == 2:
        return product(x, programmed, key_data)
    return jax.lax.map(lambda operands: product(*operands), (x, programmed, key_data))


def balanced_matmul(
    x: Float[Array, "m k"], programmed: Programmed, key_data: UInt32[Array, "2"], settings: tuple, row_offset=0
) -> Float[Array, "m n"]:
    """`x @ w` as balanced detectors answer it: the equations of the module's header, one block after another.

    `settings`: the `Readout`, the `Interference`, L_w / L_x, and what the columns of a tile share. Key and row numbers
    as in `partial_sums.analog_matmul`.
    """
    blocks, rows, columns = programmed.levels.shape
    inputs = split_blocks(x, rows, axis=-1)  # (m, t, r)
    scales = block_scales(inputs, axis=-1)  # (m, t, 1)
    codes = encode(inputs, scales, settings[0].input_bits)

    def add_block(total, block):
        tile_key, q, s_x, tile = block
        return (_read(q, tile, settings, tile_key, row_offset) * tile.scale) * s_x + total, None

    steps = (tile_keys(key_data, blocks), codes.swapaxes(0, 1), scales.swapaxes(0, 1), programmed)
    return jax.lax.scan(add_block, jnp.zeros((x.shape[0], columns), x.dtype), steps)[0]


def _read(q: Float[Array, "m r"], tile: Programmed, settings: tuple, key_data, row_offset) -> Float[Array, "m n"]:
    """ADC codes of one block."""
    readout, light, ratio, shared = settings
    levels, squares = tile.levels.astype(q.dtype), q**2
    leaked = -(ratio / 2) * jnp.sum(squares * light.imbalance, axis=-1, keepdims=True)
    signal = (_dot(q * light.signal, levels) + leaked) * tile.gain
    rows, columns = signal.shape
    if readout.intensity_noise:
        signal = signal * intensity(readout, shared, key_data, rows, columns, row_offset)
    value = signal + tile.offset
    if readout.noise or readout.shot_noise or light.relative_noise:
        variance = tile.noise_variance + tile.shot_variance * jnp.sum(squares, axis=-1, keepdims=True)
        if light.relative_noise:
            products = light.product_variance * _dot(squares, levels**2) * tile.gain**2
            variance = variance + products + (light.output_sigma * signal) ** 2
        deviates = gaussian_deviates(key_data, rows, columns, row_offset)
        value = value + jnp.sqrt(jnp.maximum(variance, FLOOR)) * deviates
    if readout.common_mode:
        value = value + shared_deviates(key_data, rows, columns, readout.columns, row_offset, shared.common_mode_codes)
    return convert(value, tile, readout, shared)


def _dot(a, b):
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
