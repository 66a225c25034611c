"""The input modulator: writes one value onto the light in each symbol period.

Every modulator passes a share `T` of the light, from `T_max` (what its insertion loss leaves) down to `T_min`, which
its finite extinction ratio keeps from being dark. Its transfer curve against voltage is bent: a cosine, an exponential,
a resonance. A table in front of the DAC undoes the bend, at the price of one to three more DAC bits, so that a value u
between 0 and 1 becomes

    T(u) = T_min + (T_max - T_min) u          T_max = 10^(-IL/10),  T_min = T_max 10^(-ER/10)

The term `T_min` does not depend on u: it adds `Σ_j w_j T_min` to every dot product. Balanced rails or a measured offset
take it away; the shot noise of its light stays, and about `T_max / T_min` levels are all that can be told apart.
"""

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
from jax import numpy as jnp
from jaxtyping import Array, Float

from photonsim.errors import check_number
from photonsim.units import ratio_from_db

DARK_EXTINCTION_DB = 200.0  # as good as dark: one photon in 1e20


class AbstractModulator(eqx.Module):
    """What every modulator answers: what it passes, what it costs, and how its voltage bends the light.

    - `energy_j`: drive energy of one symbol, J.
    - `static_power_w`: bias and tuning, W.
    - `insertion_loss_db`: at its most transparent, dB.
    - `extinction_ratio_db`: brightest over darkest, dB.
    """

    if TYPE_CHECKING:  # a property may stand for any of these, which type checkers hold to be fields of every class

        def __getattr__(self, name: str) -> Any: ...
    else:
        energy_j: eqx.AbstractVar[Any]
        static_power_w: eqx.AbstractVar[Any]
        insertion_loss_db: eqx.AbstractVar[Any]
        extinction_ratio_db: eqx.AbstractVar[Any]

    @property
    def dark_settings(self) -> Mapping[str, float]:
        """The settings that would make it dark at the value 0."""
        return {"extinction_ratio_db": DARK_EXTINCTION_DB}

    @property
    def leaks(self) -> bool:
        """Whether light worth the name passes at the value 0; a traced setting may let it."""
        values = ((getattr(self, name), dark) for name, dark in self.dark_settings.items())
        return any(not isinstance(value, int | float) or value < dark for value, dark in values)

    @property
    def is_straight(self) -> bool:
        """Whether the light follows the drive without a table."""
        return False

    @property
    def leakage(self):
        """`T_min / T_max`: the light that passes at the value 0 over that at the value 1."""
        return 10.0 ** (-self.extinction_ratio_db / 10)

    @property
    @abc.abstractmethod
    def brightest(self) -> Array:
        """`T_max`: the share of the light that passes at the value 1."""

    @property
    @abc.abstractmethod
    def darkest(self) -> Array:
        """`T_min`: the share that still passes at the value 0."""

    @abc.abstractmethod
    def voltage_v(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """The drive voltage that makes the value u: what the table in front of the DAC holds."""

    @abc.abstractmethod
    def transfer(self, voltage_v: Float[Array, "..."]) -> Float[Array, "..."]:
        """Share of the light that passes at a drive voltage, insertion loss included."""

    def transmission(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """Share of the light that passes when the value u in [0, 1] is written through the table."""
        return self.darkest + (self.brightest - self.darkest) * u

    def untabled_transmission(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """The same without a table: the voltage runs straight from that of the value 0 to that of the value 1."""
        dark_v, bright_v = self.voltage_v(jnp.asarray(0.0)), self.voltage_v(jnp.asarray(1.0))
        return self.transfer(dark_v + (bright_v - dark_v) * u)


class LinearModulator(AbstractModulator):
    """A modulator of known loss and contrast whose light follows its drive, without a table: `V = u`.

    Left out: bandwidth and inter-symbol interference.

    - `energy_j`: drive energy for one symbol, J.
    - `insertion_loss_db`, `extinction_ratio_db`: of the data sheet.
    - `static_power_w`: bias and tuning power of one modulator, W.
    """

    energy_j: float
    insertion_loss_db: float
    extinction_ratio_db: float
    static_power_w: float = 0.0

    def __check_init__(self):
        check_number("modulator.energy_j", self.energy_j, at_least=0.0)
        check_number("modulator.insertion_loss_db", self.insertion_loss_db, at_least=0.0)
        check_number("modulator.extinction_ratio_db", self.extinction_ratio_db, above=0.0)
        check_number("modulator.static_power_w", self.static_power_w, at_least=0.0)

    @property
    def is_straight(self) -> bool:
        """It is."""
        return True

    @property
    def brightest(self) -> Array:
        """See `AbstractModulator`."""
        return brightest_and_darkest(self.insertion_loss_db, self.extinction_ratio_db)[0]

    @property
    def darkest(self) -> Array:
        """See `AbstractModulator`."""
        return brightest_and_darkest(self.insertion_loss_db, self.extinction_ratio_db)[1]

    def voltage_v(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """The drive in units of its swing: u itself."""
        return u

    def transfer(self, voltage_v: Float[Array, "..."]) -> Float[Array, "..."]:
        """A straight line."""
        return self.transmission(voltage_v)


class Modulator(AbstractModulator):
    """An amplitude modulator of known energy and no other property: `T(u) = u`.

    For chips of which no more is published. Its loss belongs to the tile's `insertion_loss_db`. Left out: residual
    curvature, finite extinction, bandwidth and inter-symbol interference.

    - `energy_j`: drive energy for one symbol, J.
    - `static_power_w`: bias and tuning power of one modulator, W.
    """

    energy_j: float
    static_power_w: float = 0.0

    def __check_init__(self):
        check_number("modulator.energy_j", self.energy_j, at_least=0.0)
        check_number("modulator.static_power_w", self.static_power_w, at_least=0.0)

    @property
    def insertion_loss_db(self) -> float:
        """None."""
        return 0.0

    @property
    def extinction_ratio_db(self) -> float:
        """As good as dark."""
        return DARK_EXTINCTION_DB

    @property
    def is_straight(self) -> bool:
        """It is."""
        return True

    @property
    def brightest(self) -> Array:
        """All."""
        return jnp.asarray(1.0)

    @property
    def darkest(self) -> Array:
        """Nothing."""
        return jnp.asarray(0.0)

    def voltage_v(self, u: Float[Array, "..."]) -> Float[Array, "..."]:
        """The drive in units of its swing: u itself."""
        return u

    def transfer(self, voltage_v: Float[Array, "..."]) -> Float[Array, "..."]:
        """A straight line."""
        return voltage_v


def brightest_and_darkest(insertion_loss_db, extinction_ratio_db) -> tuple[Array, Array]:
    """`T_max` and `T_min` of a modulator's data sheet."""
    brightest = 1.0 / ratio_from_db(insertion_loss_db)
    return brightest, brightest / ratio_from_db(extinction_ratio_db)


def switching_energy_j(capacitance_f, swing_v, activity):
    """Energy to charge a modulator's capacitance, `½ α C V²`, J.

    `activity` α is the mean squared voltage step from symbol to symbol over the squared swing: 1/2 for random bits,
    1/6 for values spread evenly and independently over the swing (of a linear drive).
    """
    return 0.5 * activity * capacitance_f * swing_v**2
