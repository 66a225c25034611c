"""The phase shifter: the knob of every interferometer, and what it costs to turn and to hold.

Three ways to change the phase of light in a waveguide, and their prices:

- *thermo-optic*: a heater. Any phase, low loss, but it draws power for as long as it holds, `P = P_π |φ| / π`, settles
  in microseconds, and warms its neighbours;
- *MEMS*: a movable guide. Holds for nanowatts, moves in microseconds, loses a little more light;
- *electro-optic*: a field, in lithium niobate or a junction. Picoseconds, no holding power, but long and lossy.
"""

import math

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.errors import PhotonsimError, check_bits, check_number


class PhaseShifter(eqx.Module):
    """A phase φ in (−π, π], set once and held.

    Left out: the loss that comes with some electro-optic phases, hysteresis.

    - `pi_power_w`: power that holds a phase of π, W; 0 where holding is free.
    - `response_time_s`: time to settle at a new phase, s.
    - `insertion_loss_db`: loss of one pass, dB.
    - `write_energy_j`: energy to set a phase once, its DAC included, J.
    - `bits`: resolution of the phase over a whole turn; `None` is ideal.
    - `phase_sigma_rad`: standard deviation of the phase that is left wrong when it is set, rad.
    - `crosstalk`: share of a neighbour's phase that its heat adds here, at a distance of one cell.
    """

    pi_power_w: float
    response_time_s: float
    insertion_loss_db: float = 0.0
    write_energy_j: float = 0.0
    bits: int | None = eqx.field(static=True, default=None)
    phase_sigma_rad: float = 0.0
    crosstalk: float = 0.0

    def __check_init__(self):
        for name in ("pi_power_w", "response_time_s", "insertion_loss_db", "write_energy_j", "phase_sigma_rad"):
            check_number(f"phase_shifter.{name}", getattr(self, name), at_least=0.0)
        check_bits("phase_shifter.bits", self.bits)
        check_number("phase_shifter.crosstalk", self.crosstalk, at_least=0.0)
        if isinstance(self.crosstalk, int | float) and self.crosstalk >= 1:
            raise PhotonsimError(
                f"phase_shifter.crosstalk = {self.crosstalk:g}: a heater warms its own guide most, so give less than 1."
            )

    def hold_power_w(self, phase_rad):
        """Power that holds a phase, `P_π |φ| / π`, W."""
        return self.pi_power_w * jnp.abs(phase_rad) / math.pi

    @property
    def mean_hold_power_w(self):
        """Power that holds a phase spread evenly over (−π, π], `P_π / 2`, W."""
        return self.pi_power_w / 2

    def set_phases(self, wanted_rad: Float[Array, "*b"], deviates: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """Phases as DAC and trimming leave them: in (−π, π], rounded to `bits`, and wrong by `phase_sigma_rad`.

        `deviates`: a standard normal number for each shifter, its own for as long as it is not trimmed again.
        """
        phase = math.pi - jnp.remainder(math.pi - wanted_rad, 2 * math.pi)
        if self.bits is not None:
            step = 2 * math.pi / 2**self.bits
            phase = phase + jax.lax.stop_gradient(jnp.round(phase / step) * step - phase)  # gradients pass straight
        return phase + self.phase_sigma_rad * deviates

    def heat_neighbours(self, phase_rad: Float[Array, "*b n"]) -> Float[Array, "*b n"]:
        """Phases of a row of heaters that warm one another: `φ_i + Σ_j γ^|i−j| |φ_j|`, j ≠ i, γ the `crosstalk`.

        The form of SCATTER's model (Yin et al., ICCAD 2024), with an exponential decay along the row.
        """
        place = jnp.arange(phase_rad.shape[-1])
        distance = jnp.abs(place[:, None] - place)
        power = jnp.maximum(distance, 1).astype(phase_rad.dtype)
        coupling = jnp.where(distance == 0, 0.0, self.crosstalk**power)
        return phase_rad + jnp.matmul(jnp.abs(phase_rad), coupling, precision="highest")


# Loss, P_π and time of the three: SimPhony's device library, configs/devices (30 mW and 10 µs; nW and 2 µs). The
# electro-optic loss is Lightening-Transformer's MZM, 1.2 dB; its time is that of a 12.5 GHz modulator.
THERMO_OPTIC = PhaseShifter(pi_power_w=30e-3, response_time_s=10e-6, insertion_loss_db=0.25)
MEMS = PhaseShifter(pi_power_w=1e-9, response_time_s=2e-6, insertion_loss_db=0.33)
ELECTRO_OPTIC = PhaseShifter(pi_power_w=0.0, response_time_s=80e-12, insertion_loss_db=1.2)
