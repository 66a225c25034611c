"""Passive parts: what light loses on its way from the laser to the photodiode.

Two kinds of decibel must not be confused: *excess* loss is light gone, as heat and scatter; *splitting* is light that
went to somebody else, `10 log₁₀ N` for a fan-out of N, and no waste while every branch is used. Each part below answers
both. Usual values, from published simulators and critiques of such chips (SimPhony; Lightening-Transformer, HPCA 2024;
Mukherjee, Lis and Shekhar, "Shining light on silicon photonic DNN accelerators", here UBC):

    grating coupler   2 dB (1 to 3)          crossing               0.16 to 0.25 dB, crosstalk -30 to -45 dB
    edge coupler      0.6 to 1.5 dB          directional coupler    0.06 to 0.33 dB
    silicon strip     1.5 dB/cm (0.5 to 3)   phase shifter          0.03 to 0.9 dB
    silicon nitride   0.03 to 0.1 dB/cm      Y-branch               0.05 to 0.4 dB a stage
"""

import abc
import math

import equinox as eqx

from photonsim.errors import check_count, check_number


class AbstractPassive(eqx.Module):
    """A part of a path: how much light it loses and how much it sends elsewhere, both in dB."""

    @property
    @abc.abstractmethod
    def excess_loss_db(self) -> float:
        """Light lost, dB."""

    @property
    @abc.abstractmethod
    def split_loss_db(self) -> float:
        """Light sent to other branches, dB."""


class Loss(AbstractPassive):
    """Any part, or a margin, known by its loss alone, met `count` times: a coupler, a modulator, a bias point.

    - `name`: what it is.
    - `loss_db`: of one, dB.
    - `count`: how many lie in the path.
    """

    name: str = eqx.field(static=True)
    loss_db: float
    count: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_number(f"loss of the {self.name}, dB,", self.loss_db, at_least=0.0)
        check_count(f"count of the {self.name}", self.count)

    @property
    def excess_loss_db(self) -> float:
        """`count` times the loss of one, dB."""
        return self.count * self.loss_db

    @property
    def split_loss_db(self) -> float:
        """None."""
        return 0.0


class Waveguide(AbstractPassive):
    """A length of waveguide: `α L`.

    - `loss_db_per_cm`: α, dB/cm.
    - `length_m`: L, m.
    """

    loss_db_per_cm: float
    length_m: float

    def __check_init__(self):
        check_number("waveguide.loss_db_per_cm", self.loss_db_per_cm, at_least=0.0)
        check_number("waveguide.length_m", self.length_m, at_least=0.0)

    @property
    def excess_loss_db(self) -> float:
        """`α L`, dB."""
        return self.loss_db_per_cm * (100 * self.length_m)

    @property
    def split_loss_db(self) -> float:
        """None."""
        return 0.0


class SplitterTree(AbstractPassive):
    """A tree of 1 × 2 splitters (Y-branches) to `fan_out` ends: `⌈log₂ N⌉` stages deep.

               ┌── 1
          ┌────┤
    in ───┤    └── 2        every end receives 1/N of the light, less the excess of the stages it passed
          └── …  N

    - `fan_out`: N, branches in use.
    - `stage_loss_db`: excess loss of one splitter, dB.
    """

    fan_out: int = eqx.field(static=True)
    stage_loss_db: float = 0.0

    def __check_init__(self):
        check_count("splitter.fan_out", self.fan_out)
        check_number("splitter.stage_loss_db", self.stage_loss_db, at_least=0.0)

    @property
    def stages(self) -> int:
        """Splitters between the root and an end."""
        return math.ceil(math.log2(self.fan_out))

    @property
    def excess_loss_db(self) -> float:
        """`⌈log₂ N⌉` times the excess of a stage, dB."""
        return self.stages * self.stage_loss_db

    @property
    def split_loss_db(self) -> float:
        """`10 log₁₀ N`, dB."""
        return 10 * math.log10(self.fan_out)


class Crossings(AbstractPassive):
    """Waveguides that cross the path, each with a loss and a leak: `count` of them add up.

    - `count`: crossings in the path; 0 for none.
    - `loss_db`: of one, dB.
    - `crosstalk_db`: light that one lets over from the waveguide crossed, dB (negative).
    """

    count: int = eqx.field(static=True)
    loss_db: float
    crosstalk_db: float = -40.0

    def __check_init__(self):
        check_number("crossings.count", self.count, at_least=0)
        check_number("crossings.loss_db", self.loss_db, at_least=0.0)
        check_number("crossings.crosstalk_db", self.crosstalk_db)

    @property
    def excess_loss_db(self) -> float:
        """`count` times the loss of one, dB."""
        return self.count * self.loss_db

    @property
    def split_loss_db(self) -> float:
        """None."""
        return 0.0

    @property
    def leaked(self):
        """Light that leaks in from waveguides crossed, all as bright as this one at its place: a share of its own.

        Powers add, as for sources without a fixed phase between them; coherent leaks may be `count` times that.
        """
        return self.count * 10.0 ** (self.crosstalk_db / 10)
