"""A bill: joules line by line, each line a count times a price, and the boundaries they fall into.

A line (`Charge`) says what happened, how often, at what price and from which source. Lines make components, components
make the bill, and the total is the sum of its components, nothing more. Every line belongs to one *boundary*. The
boundaries are nested, and a figure in TOPS/W means nothing until one of them is named: Lightmatter's Envise is
262 TOPS/W in its photonic core and 0.84 TOPS/W in its package.

    optical core        modulators, weight cells (programming and holding); the laser is not in it
    + converters        input DACs, amplifiers, ADCs
    + laser wall plug   the light, divided by the laser's efficiency
    + electronics       digital accumulation and scales, digital products, vector unit, whatever else the package draws
    + memory            on-chip SRAM and off-chip DRAM: all of the package, and the total of a chip's bill
    + host and cooling  the server's share and the building (`photonsim.cost.site`), only where they are added
"""

import equinox as eqx

from photonsim.chip import Source
from photonsim.errors import check_choice

OPTICAL_CORE = "optical core"
CONVERTERS = "+ converters"
LASER_WALL_PLUG = "+ laser wall plug"
ELECTRONICS = "+ electronics"
MEMORY = "+ memory"
HOST_AND_COOLING = "+ host and cooling"
BOUNDARIES = (OPTICAL_CORE, CONVERTERS, LASER_WALL_PLUG, ELECTRONICS, MEMORY)  # each holds the ones before it
SITE_BOUNDARIES = (*BOUNDARIES, HOST_AND_COOLING)


class Charge(eqx.Module):
    """One line of a bill: `joules = count × price`.

    - `component`, `boundary`: the part of the bill it belongs to, and the innermost boundary that holds it.
    - `what`: the thing that is counted.
    - `price_name`: the price by its path in the description of the hardware.
    - `price_unit`: joules for an event, watts where the count is in seconds, J/bit where it is in bits.
    - `sources`: the settings that make the price, each with where its number is from.
    """

    component: str = eqx.field(static=True)
    boundary: str = eqx.field(static=True)
    what: str = eqx.field(static=True)
    price_name: str = eqx.field(static=True)
    price_unit: str = eqx.field(static=True)
    sources: tuple[tuple[str, Source], ...] = eqx.field(static=True)
    count: float
    price: float

    @property
    def joules(self):
        """Energy of the line."""
        return self.count * self.price


class Bill(eqx.Module):
    """The energy of `macs` multiply-accumulates and all that goes with them, taking `seconds`."""

    name: str = eqx.field(static=True)
    components: tuple[str, ...] = eqx.field(static=True)
    charges: tuple[Charge, ...]
    macs: float
    seconds: float

    def component_j(self, component: str):
        """Joules of one component."""
        check_choice("component", component, self.components)
        return sum(charge.joules for charge in self.charges if charge.component == component)

    def by_component_j(self) -> dict[str, float]:
        """Joules of every component, in the order in which light and data travel."""
        return {component: self.component_j(component) for component in self.components}

    @property
    def total_j(self):
        """Joules of the whole: the sum of the components."""
        return sum(self.by_component_j().values())

    def per_token(self, tokens: int):
        """Joules per token of a pass of `tokens` tokens."""
        return self.total_j / tokens

    def within_j(self, boundary: str):
        """Joules inside a boundary, the ones it holds included."""
        check_choice("boundary", boundary, SITE_BOUNDARIES)
        inside = SITE_BOUNDARIES[: SITE_BOUNDARIES.index(boundary) + 1]
        return sum(charge.joules for charge in self.charges if charge.boundary in inside)

    def by_boundary_j(self) -> dict[str, float]:
        """Joules inside each boundary; the last is the total, up to rounding."""
        has_site = any(charge.boundary == HOST_AND_COOLING for charge in self.charges)
        return {boundary: self.within_j(boundary) for boundary in (SITE_BOUNDARIES if has_site else BOUNDARIES)}


def tops_per_w(bill: Bill, boundary: str):
    """Tera-operations per second and watt inside a boundary; a multiply-accumulate is two operations.

    `2 · MACs / joules / 10¹²`; infinite where nothing inside the boundary costs anything.
    """
    joules = bill.within_j(boundary)
    if isinstance(joules, int | float) and joules == 0:
        return float("inf")
    return 2e-12 * bill.macs / joules


def assumed(bill: Bill) -> list[str]:
    """Names of the assumed settings that a bill's non-zero lines rest on, in order, each once."""
    names = (name for charge in bill.charges if charge.joules for name, source in charge.sources if source.assumed)
    return list(dict.fromkeys(names))
