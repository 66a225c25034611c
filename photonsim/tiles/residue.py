"""A residue-number tile: phases add up modulo 2π, which is arithmetic modulo m for free (Mirage).

    laser ──[x₁w₁]──[x₂w₂]── … ──[x_g w_g]──╮        a phase of 2π/m · x w from each term: together 2π/m · (Σ x w mod m)
      ╰──────────── reference ──────────────┴─ I, Q  read as two quadratures, whose angle has no more bits than m

A group of g terms is block floating point: integers of few bits under shared exponents. Their exact sum needs more bits
than any fast converter has; its remainders by three coprime moduli 2^k − 1, 2^k, 2^k + 1 need k each, and the Chinese
remainder theorem gives the sum back (`converters/residues.py`). Mirage (Demirkiran et al., ISCA 2024): k = 5, g = 16,
mantissas of four bits and a sign, 10 GHz.

Nothing is rounded away: a remainder is read right or wrong, wrong where its angle errs by more than half a step, π/m.
With an angle of standard deviation σ, which is that of a quadrature over the amplitude,

    P(wrong) = 2 Q(π / (m σ)) = erfc(π / (√2 m σ))

and then the sum is wrong by a multiple of M/m, M the product of the moduli: by up to half of its whole range.
So an error is rare or ruinous, and light buys the one for the other: with n photoelectrons on the diodes of a reading,
half of them on each quadrature's, σ² = 2 / n.
"""

import functools
import math

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, UInt32

from photonsim.converters import Adc, Dac, bits_in_words, full_scale_code
from photonsim.converters.formats import shared_exponent_scale
from photonsim.converters.residues import ResidueNumbers
from photonsim.devices import Laser, Modulator, Receiver, WeightCell
from photonsim.errors import PhotonsimError, check_choice, check_count, check_number
from photonsim.events import PARTIAL_SUM_BITS, EventCounts
from photonsim.tiles.base import AbstractTile, Converters, Devices, Disturbance, Reload, StoredBits
from photonsim.tiles.engine import ENGINES
from photonsim.tiles.ffi import register
from photonsim.tiles.noise import tile_keys
from photonsim.tiles.partial_sums import SMALLEST_SCALE, encode, split_blocks
from photonsim.tiles.readout import is_on
from photonsim.tiles.remainders import FAST_K, TARGET, Reading, ResidueProgrammed, sums_by_kernel, sums_of_groups
from photonsim.units import ELEMENTARY_CHARGE_C, ratio_from_db

DRAWS = 3  # of a modulus and reading: both quadratures, and the phase


class Residue(AbstractTile):
    """`columns` dot products of `rows` terms in each symbol, every one on a channel for each of three moduli.

    A channel's light divides evenly over signal and reference and both quadratures; with P on all its diodes,

        photocurrents R P/2 · (cos φ, sin φ),    shot noise of either as of P/2

    - `k`: moduli 2^k − 1, 2^k, 2^k + 1.
    - `rows`: terms of a group (g), which share an exponent.
    - `insertion_loss_db`: all between laser and photodiodes but the division over channels and columns, dB.
    - `input_dac`, `cell`: bits of a mantissa with its sign, and what it takes to turn one channel's phases. `"none"`
      leaves operands unrounded.
    - `modulator`: of one term of one channel.
    - `adc`: of one quadrature, whose range is its amplitude; its noise is over that range.
    - `phase_sigma_rad`: error of the phase that one term adds, drawn anew at each reading.

    Left out: steps between the segments of a phase shifter, loss that depends on the phase, drift, imbalance of the
    quadratures.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    clock_hz: float
    insertion_loss_db: float
    k: int = eqx.field(static=True)
    laser: Laser
    input_dac: Dac
    modulator: Modulator
    cell: WeightCell
    receiver: Receiver
    adc: Adc
    phase_sigma_rad: float = 0.0

    def __check_init__(self):
        check_count("tile.rows", self.rows)
        check_count("tile.columns", self.columns)
        check_number("tile.clock_hz", self.clock_hz, above=0.0)
        check_number("tile.laser.power_w", self.laser.power_w, above=0.0)
        for name in ("insertion_loss_db", "phase_sigma_rad"):
            check_number(f"tile.{name}", getattr(self, name), at_least=0.0)
        if self.input_dac.bits is not None and self.cell.bits is not None:
            self.numbers.check_fits(self.input_dac.bits, self.cell.bits, self.rows)
        if not self.adc.bend.is_off:
            raise PhotonsimError("tile.adc.bend must be straight here: a residue tile reads angles.")
        amplified = isinstance(self.adc.gain, int | float) and self.adc.gain != 1.0
        if self.adc.range_policy != "gain" or amplified:
            raise PhotonsimError(
                f'tile.adc.range_policy = "{self.adc.range_policy}" with gain {self.adc.gain}: a quadrature fills its '
                'converter\'s range. Take "gain" with gain = 1.'
            )

    # Numbers that a channel can tell apart, and its light

    @property
    def numbers(self) -> ResidueNumbers:
        """Arithmetic modulo the three."""
        return ResidueNumbers(self.k)

    @property
    def channels(self) -> int:
        """Channels of a dot product: one for each modulus."""
        return len(self.numbers.moduli)

    @property
    def largest_codes(self) -> tuple[int, int]:
        """Largest codes of an input and a weight; of unrounded ones, those whose longest sum still fits."""
        widest = int((self.numbers.largest / self.rows) ** 0.5)
        input_code, weight_code = (
            widest if bits is None else full_scale_code(bits) for bits in (self.input_dac.bits, self.cell.bits)
        )
        return input_code, weight_code

    @property
    def reading_power_w(self):
        """Light on all diodes of one channel's reading, W."""
        return self.laser.power_w / ratio_from_db(self.insertion_loss_db) / (self.columns * self.channels)

    @property
    def electrons_per_reading(self):
        """Photoelectrons of one channel's reading, in one symbol."""
        return self.receiver.responsivity_a_per_w * self.reading_power_w / (ELEMENTARY_CHARGE_C * self.clock_hz)

    @property
    def quadrature_variance(self):
        """Variance of a quadrature over its amplitude squared: light, amplifier, dark current, and measured noise."""
        bandwidth_hz = self.clock_hz / 2  # Nyquist: one sample per symbol
        variance_a2 = self.receiver.background_variance_a2(bandwidth_hz)
        if self.receiver.shot_noise:
            variance_a2 = variance_a2 + self.receiver.shot_variance_a2(self.reading_power_w / 2, bandwidth_hz)
        amplitude_a = self.receiver.responsivity_a_per_w * self.reading_power_w / 2
        return variance_a2 / amplitude_a**2 + self.adc.noise_rms**2

    @property
    def is_noisy(self) -> bool:
        """Whether anything but the converters' bits turns a phase."""
        receiver = self.receiver
        values = (receiver.tia_noise_a_per_sqrt_hz, receiver.dark_current_a, self.adc.noise_rms, self.phase_sigma_rad)
        return receiver.shot_noise or any(is_on(value) for value in values)

    @property
    def macs_per_cycle(self) -> float:
        """See `AbstractTile.macs_per_cycle`: a product's three channels count once."""
        return self.rows * self.columns

    @property
    def terms_per_readout(self) -> int:
        """See `AbstractTile.terms_per_readout`."""
        return self.rows

    @property
    def converters(self) -> Converters:
        """See `AbstractTile.converters`."""
        return Converters(self.input_dac, self.adc)

    @property
    def converter_bits(self) -> tuple[int | None, int | None, int | None]:
        """See `AbstractTile.converter_bits`."""
        return self.input_dac.bits, self.cell.bits, self.adc.bits

    @property
    def devices(self) -> Devices:
        """See `AbstractTile.devices`: every channel has its own, and reads two quadratures."""
        channels, readings = self.channels, 2 * self.columns * self.channels
        return Devices(self.rows * channels, self.rows * self.columns * channels, readings, readings)

    @property
    def reload(self) -> Reload:
        """See `AbstractTile.reload`."""
        return Reload(self.cell.tile_write_time_s, self.cell.double_buffered)

    def disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractTile.disturbances`."""
        receiver, adc = self.receiver, self.adc
        groups = f"groups of {self.rows}"
        amplifier = {"receiver.tia_noise_a_per_sqrt_hz": 0.0, "receiver.dark_current_a": 0.0}
        density = f"{receiver.tia_noise_a_per_sqrt_hz * 1e12:g} pA/√Hz"
        electrons = f"{float(self.electrons_per_reading):.3g} electrons a reading"
        return (
            Disturbance(
                "input mantissas", f"{bits_in_words(self.input_dac.bits)}, {groups}", {"input_dac.bits": "none"}
            ),
            Disturbance("weight mantissas", f"{bits_in_words(self.cell.bits)}, {groups}", {"cell.bits": "none"}),
            Disturbance("phase error", f"{self.phase_sigma_rad:.3g} rad a term", {"phase_sigma_rad": 0.0}),
            Disturbance("output converters", bits_in_words(adc.bits), {"adc.bits": "none"}),
            Disturbance("measured noise", f"{adc.noise_rms:.2e} of full scale", {"adc.noise_rms": 0.0}),
            Disturbance("amplifier and dark noise", density, amplifier),
            Disturbance("shot noise", electrons, {"receiver.shot_noise": False}),
        )

    # Numbers

    def program(self, w: Float[Array, "*b k n"], cores: int = 1) -> ResidueProgrammed:
        """Cut (k, n) weights into groups of rows and round each column of a group under its exponent."""
        return _program(w, self.rows, self.cell.bits, self.largest_codes[1])

    def compact(self, programmed: ResidueProgrammed) -> ResidueProgrammed:
        """See `AbstractTile.compact`."""
        if self.cell.bits is None:
            return programmed
        return ResidueProgrammed(
            programmed.codes.astype(jnp.int8 if self.cell.bits <= 8 else jnp.int16), programmed.scales
        )

    def matmul(self, x, programmed, key_data, engine="auto", row_offset=0):
        """See `AbstractTile.matmul`; unrounded operands, and k above 7, have no compiled kernel."""
        check_choice("engine", engine, ENGINES)
        if engine == "pallas":
            raise PhotonsimError('A tile Residue has no Pallas kernel: use engine="jax" or "auto".')
        if engine == "numba" and (reason := self._without_kernel):
            raise PhotonsimError(f'{reason} and has no Numba kernel: use engine="jax" or "auto".')
        read = self.is_noisy or self.adc.bits is not None  # else exact: a plain product, which XLA does as fast
        auto = read and not self._without_kernel and register(TARGET)[0]
        fast = engine == "numba" or (engine == "auto" and auto)
        return _over_batch(self, x, programmed, key_data, row_offset, self.is_noisy, fast)

    @property
    def _without_kernel(self) -> str | None:
        """Why no kernel computes this tile's products, if none does."""
        if self.input_dac.bits is None or self.cell.bits is None:
            return "A tile Residue of unrounded operands is a thought experiment"
        if self.k > FAST_K:
            return f"A tile Residue with k = {self.k} counts beyond the kernel's 32 bits"
        return None

    # The bill

    def events(self, batch: int, m: int, k: int, n: int, stored_bits: StoredBits | None = None) -> EventCounts:
        """Counts of `batch` products (m, k) × (k, n): three channels convert each operand and read two quadratures.

        `scale_operations`: shared exponents and three remainders of each input, and the way back for each sum.
        """
        down, across, channels = -(-k // self.rows), -(-n // self.columns), self.channels
        sums = m * n * down
        input_bits, weight_bits = stored_bits or self.operand_bits
        return EventCounts(
            macs=float(batch * m * k * n),
            tile_cycles=float(batch * m * down * across),
            input_conversions=float(batch * channels * m * k * across),
            weight_writes=float(batch * channels * k * n),
            tile_writes=float(batch * down * across),
            output_conversions=float(batch * 2 * channels * sums),
            accumulations=float(batch * sums),
            scale_operations=float(batch * ((1 + channels) * m * k + sums)),
            sram_read_bits=float(
                batch * (m * k * across * input_bits + k * n * weight_bits + (sums - m * n) * PARTIAL_SUM_BITS)
            ),
            sram_write_bits=float(batch * (m * k * input_bits + sums * PARTIAL_SUM_BITS)),
        )


def _codes(blocks: Float[Array, "..."], axis: int, bits: int | None, largest: int):
    """Codes of groups under shared exponents, and the value of one code; rounded where they have bits."""
    magnitude = jax.lax.stop_gradient(jnp.abs(blocks).max(axis=axis, keepdims=True))
    scales = jnp.where(magnitude < SMALLEST_SCALE, 0.0, shared_exponent_scale(magnitude))
    scales = jnp.where(jnp.isfinite(magnitude), scales, jnp.nan)
    codes = encode(blocks, scales, bits)
    return (codes * largest if bits is None else codes), scales / largest


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _program(w: Float[Array, "*b k n"], rows: int, bits: int | None, largest: int) -> ResidueProgrammed:
    codes, units = _codes(split_blocks(w, rows, axis=-2), -2, bits, largest)
    return ResidueProgrammed(codes, units[..., 0, :])


@functools.partial(jax.jit, static_argnames=("noisy", "fast"))
def _over_batch(tile: Residue, x, programmed: ResidueProgrammed, key_data, row_offset, noisy: bool, fast: bool):
    """`residue_matmul` over an optional leading batch axis, compiled as one piece."""
    if x.ndim == 2:
        return residue_matmul(tile, x, programmed, key_data, row_offset, noisy, fast)

    def one(operands):
        x, programmed, key_data = operands
        return residue_matmul(tile, x, programmed, key_data, row_offset, noisy, fast)

    return jax.lax.map(one, (x, programmed, key_data))


def residue_matmul(
    tile: Residue,
    x: Float[Array, "m k"],
    programmed: ResidueProgrammed,
    key_data: UInt32[Array, "2"],
    row_offset,
    noisy: bool,
    fast: bool = False,
) -> Float[Array, "m n"]:
    """`x @ w` group after group: the sum that its three remainders mean, within ±M/2. By the kernel if `fast`."""
    groups, rows, _ = programmed.codes.shape
    codes, units = _codes(split_blocks(x, rows, axis=-1), -1, tile.input_dac.bits, tile.largest_codes[0])
    keys = tile_keys(key_data, groups * tile.channels * DRAWS).reshape(groups, tile.channels, DRAWS, 2)
    reading = Reading(tile.numbers, tile.adc.bits, noisy, noisy and is_on(tile.phase_sigma_rad))
    offset = jnp.asarray(row_offset, jnp.uint32)
    run = sums_by_kernel if fast and jax.default_backend() == "cpu" else sums_of_groups
    return run(reading, codes, units[..., 0], programmed, keys, phase_spreads(tile), offset)


def phase_spreads(tile: Residue) -> Float[Array, "4"]:
    """Standard deviations of a quadrature over its amplitude, and of the sum's phase in steps of each modulus."""
    turns = jnp.asarray(tile.phase_sigma_rad * tile.rows**0.5 / (2 * math.pi), jnp.float32)
    quadrature = jnp.sqrt(jnp.asarray(tile.quadrature_variance, jnp.float32))
    return jnp.stack([quadrature, *[turns * modulus for modulus in tile.numbers.moduli]])
