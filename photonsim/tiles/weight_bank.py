"""A microring weight bank: every input on a wavelength of its own, broadcast to all outputs, weighted by rings.

    λ₁ x₁ ─┐            ┌──(○)─(○)─(○)── through ──╲
    λ₂ x₂ ─┼─ combined ─┤    δ₁  δ₂  δ₃             ▷ balanced diodes: Σ (drop − through) = Σ w x
    λ₃ x₃ ─┘  on a bus  └──────────────── drop ────╱
                        └──(○)─(○)─(○)── …                one bank of rings per output

Broadcast and weight (Tait et al., Sci. Rep. 7:7430, 2017), the scheme of DEAP-CNN and, with Mach-Zehnder modulators in
front, of Albireo. A ring near its channel drops a share H of it, set by a heater, and lets the rest through: a weight
`2 H − 1` in [−1, 1], signs included, for one wavelength.

Three things make the matrix another one, all at programming time, so that a product is as fast as any:

- *crosstalk*: each ring drops a little of its neighbours' channels as well. A ring is detuned by at most half the
  spacing S, which leaves the weights ±ŵ with `ŵ = 1 − 2 H(S/2)`. Errors fall as (FWHM / S)².
- *temperature*: all resonances move by some 75 pm/K, half a width, unless the rings are locked;
- *locking*: what the lock of each ring leaves wrong.

A weight w moves with its ring by `dw/dδ = −(8 / FWHM) H^(3/2) (1 − H)^(1/2)`, H = (1 + w) / 2.
"""

from typing import Any

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.converters import Adc, Bend, Dac, full_scale_code, straight_through
from photonsim.devices import AbstractModulator, AbstractPassive, Laser, Microring, Receiver, WeightCell
from photonsim.devices.microring import channel_capacity, detunings_against_crosstalk_m
from photonsim.errors import PhotonsimError, check_number
from photonsim.tiles.base import Disturbance
from photonsim.tiles.cell_errors import CellErrors
from photonsim.tiles.die import Die, landing_places
from photonsim.tiles.encodings import AbstractEncoding, Differential
from photonsim.tiles.fast_rings import bank_drop_fast
from photonsim.tiles.incoherent import AbstractIncoherentTile
from photonsim.tiles.readout import is_on
from photonsim.tiles.written_cells import Known, WrittenCells

RING_KEY = 11  # of the die's seed: the lock errors of its rings
CLOSEST = 1e-6  # that a share comes to 0 and 1: a code may exceed its scale's bfloat16 by 0.4 %


class WeightBank(AbstractIncoherentTile):
    """`columns` banks of `rows` rings, each ring one weight for one of `rows` wavelengths.

    - `insertion_loss_db`: all between laser and photodiode but the division over rows and columns, rings included, dB.
    - `ring`: its resonance is that of the middle channel; its loss belongs to `insertion_loss_db`.
    - `cell`: bits, writing and, as `hold_power_w`, what a ring draws beside its heater (its lock).
    - `channel_spacing_m`: of neighbouring wavelengths; all channels fit into the free spectral range.
    - `crosstalk`: whether rings act on other channels than their own; `crosstalk_corrected`: whether the compiler
      knows, and detunes them to make up for it, as far as they can.
    - `resonance_offset_m`: mean distance from where rings are made to their channels, which the heaters make up for.
    - `temperature_offset_k`: of the rings since they were set, K; `locking_gain`: by which locks reduce its effect.
    - `cell_errors`: of rings; a dead one is out of resonance and lets all through, an open one drops all it can.
    - `locking_sigma_m`: standard deviation of the error that a ring's lock leaves, fixed by the die's seed.

    Left out: rings of unequal width, self-heating, the heat of neighbours, reflections, dispersion of the broadcast.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    clock_hz: float
    insertion_loss_db: float
    channel_spacing_m: float
    laser: Laser
    input_dac: Dac
    modulator: AbstractModulator
    ring: Microring
    cell: WeightCell
    receiver: Receiver
    adc: Adc
    crosstalk: bool = eqx.field(static=True, default=True)
    crosstalk_corrected: bool = eqx.field(static=True, default=False)
    resonance_offset_m: float = 0.0
    temperature_offset_k: float = 0.0
    locking_gain: float = 1.0
    locking_sigma_m: float = 0.0
    die: Die = Die()
    encoding: AbstractEncoding = Differential()
    predistortion: str = eqx.field(static=True, default="exact")
    input_dnl_rms: float = 0.0
    input_bend: Bend = Bend()
    cell_errors: CellErrors = CellErrors()
    stages: dict[str, AbstractPassive] = eqx.field(default_factory=dict)

    def __check_init__(self):
        self.check_fields()
        self.check_detects_intensities()
        check_number("tile.channel_spacing_m", self.channel_spacing_m, above=0.0)
        check_number("tile.temperature_offset_k", self.temperature_offset_k)
        check_number("tile.locking_gain", self.locking_gain, at_least=1.0)
        for name in ("resonance_offset_m", "locking_sigma_m"):
            check_number(f"tile.{name}", getattr(self, name), at_least=0.0)
        ring, spacing_m = self.ring, self.channel_spacing_m
        if is_on(ring.insertion_loss_db):
            raise PhotonsimError("tile.ring.insertion_loss_db must be 0: tile.insertion_loss_db holds a ring's loss.")
        known = all(isinstance(value, int | float) for value in (spacing_m, *jax.tree.leaves(ring)))
        if known and self.full_scale_share <= 0:
            raise PhotonsimError(
                f"tile.channel_spacing_m = {spacing_m:g} is too close to a ring's width of {ring.fwhm_m:.3g} m: its "
                "neighbours' light leaves no weights. Take a wider spacing or a higher quality_factor."
            )
        if known and self.rows > (most := channel_capacity(ring, spacing_m)):
            raise PhotonsimError(
                f"tile.rows = {self.rows} wavelengths, {spacing_m:g} m apart, do not fit into the rings' free spectral "
                f"range of {ring.free_spectral_range_m:g} m: at most {most}."
            )

    @property
    def full_scale_share(self):
        """ŵ, the largest weight of either sign: `1 − 2 H(S/2)` of a ring detuned by half the spacing.

        A compiler that corrects crosstalk leaves room for what the neighbours drop at most, each detuned towards this
        channel by half the spacing: `H((k − ½) S)` on one side and `H(k S)` on the other, k = 1 … rows − 1.
        """
        widths = self.channel_spacing_m / self.ring.fwhm_m
        places = [0.5]
        if self.corrects:
            places += [place for k in range(1, self.rows) for place in (k - 0.5, float(k))]
        return 1.0 - 2.0 * sum(1.0 / (1.0 + (2.0 * place * widths) ** 2) for place in places)

    @property
    def corrects(self) -> bool:
        """Whether there is crosstalk and the compiler makes up for it."""
        return self.crosstalk and self.crosstalk_corrected

    @property
    def rings(self) -> int:
        """Rings of a tile."""
        return self.cells_per_weight * self.rows * self.columns

    @property
    def ring_hold_power_w(self):
        """Mean power that holds a ring, W: from where it was made to its channel, to a weight of 0, and its lock."""
        return self.ring.hold_power_w(self.resonance_offset_m + self.ring.fwhm_m / 2) + self.cell.hold_power_w

    @property
    def drift_m(self):
        """Movement of all resonances that the locks do not follow, m."""
        return self.ring.drift_m_per_k * self.temperature_offset_k / self.locking_gain

    @property
    def cell_light(self) -> tuple[float, Any]:
        """See `AbstractIncoherentTile.cell_light`: all of it, whatever the weight."""
        return 0.0, 1.0 / self.full_scale_share

    @property
    def exact_cells(self) -> bool:
        """See `AbstractIncoherentTile.exact_cells`."""
        return not (self.crosstalk or is_on(self.temperature_offset_k) or is_on(self.locking_sigma_m))

    def dead_signal(self, light: Float[Array, "*b t r n"]) -> Float[Array, "*b t r n"]:
        """See `AbstractIncoherentTile.dead_signal`: all of it on the minus diode."""
        return -light

    def cell_disturbances(self) -> tuple[Disturbance, ...]:
        """See `AbstractIncoherentTile.cell_disturbances`; crosstalk that is made up for is none."""
        spacing = f"channels {float(self.channel_spacing_m / self.ring.fwhm_m):.3g} widths apart"
        crosstalk = Disturbance("ring crosstalk", spacing, {"crosstalk": False})
        return (
            *(() if self.corrects else (crosstalk,)),
            Disturbance("ring temperature", f"{self.temperature_offset_k:g} K", {"temperature_offset_k": 0.0}),
            Disturbance("ring locking", f"± {self.locking_sigma_m * 1e12:g} pm", {"locking_sigma_m": 0.0}),
        )

    def write_cells(self, codes: Float[Array, "*b t r n"], known: Known) -> WrittenCells:
        """Detune the rings, let resonances move, and see what the banks drop."""
        largest = full_scale_code(self.cell.bits)
        light = jnp.full_like(codes, largest) * self.cell_light[1]
        if known.exact:
            return WrittenCells(codes, light)
        wanted = jnp.clip((1.0 + codes / light) / 2, CLOSEST, 1.0 - CLOSEST)
        if self.corrects:
            target = jax.lax.stop_gradient(wanted)
            detunings_m = detunings_against_crosstalk_m(
                self.ring, self.channel_spacing_m, target, dropped=bank_drop_fast
            )
        else:
            detunings_m = self.ring.detuning_for_drop_m(wanted)
        locks = self._lock_deviates(known.cores, codes.shape[-3], codes.shape[-1])
        moved_m = detunings_m + self.drift_m + self.locking_sigma_m * locks
        drop = bank_drop_fast(self.ring, self.channel_spacing_m, moved_m) if self.crosstalk else self.ring.drop(moved_m)
        made = (2 * drop - 1) * light
        return WrittenCells(straight_through(codes, made) if self.corrects else made, light)

    def _lock_deviates(self, cores: int, blocks: int, width: int) -> Float[Array, "t r n"]:
        """Standard normal numbers of the rings that blocks land on; a ring has its own for as long as the die lives."""
        key = jax.random.fold_in(jax.random.key(self.die.seed), RING_KEY)
        deviates = jax.random.normal(key, (cores, self.rows, self.columns))
        core, column = landing_places(cores, self.columns, blocks, width)
        return jnp.swapaxes(deviates[core, :, column], -1, -2)
