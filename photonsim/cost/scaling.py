"""Joules per token against the size of a model: what light gains with width, and what keeps it from the bill.

A dot product needs a number of photons that its precision asks for, whatever its length K: shot noise averages over the
K terms. So a multiply-accumulate of a model of width d needs `1/d` of the light: the law of Anderson et al. ("Optical
Transformers", TMLR 2024, arXiv 2302.10360). Digital hardware pays the same for every one, whatever d. The law is about
light that grows with the model, so the study enlarges the chip with it, in light's favour:

- every product has arrays as large as itself, up to the model's width, and so no padding but in its last block;
- a dot product has the photons that it has on the chip as described: laser power grows with the columns;
- energies of conversions, symbols, bits and operations stay, as does the overhead of a core's package;
- cores are always busy, with other requests while this one is elsewhere: nothing waits.

Joules of such a chip fall into five parts, each of which holds a different way out: light, what moves it (modulators
and cells), converters, digital work, memory. Converters and everything else that is paid per input or per output falls
as `1/d` too, from far above the light: they cap the advantage at a constant factor, not at a width. What is paid per
*weight* does not fall at all: weights that are fetched and written anew for each pass cost the same per
multiply-accumulate at every width, and more light or a larger array does nothing about it.

Three bills of the same pass say so: weights that *stay* in the arrays of as many chips as hold the model, weights that
are *fetched* (and written) once per pass, and the chip *as built*, its arrays as they are, one chip with as much memory
as needed, its laser burning while it waits.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.baselines import AbstractBaseline, ComputeFloor
from photonsim.cost.bill import CONVERTERS, ELECTRONICS, LASER_WALL_PLUG, MEMORY, OPTICAL_CORE, Bill
from photonsim.cost.energy import energy, laid_events, price
from photonsim.cost.forward import forward
from photonsim.cost.mapping import WEIGHT_STATIONARY, Layout, map_product
from photonsim.cost.workload import ForwardPass, MatrixProduct, Storage, Workload, kept_in_sram
from photonsim.errors import PhotonsimError, check_count
from photonsim.events import EventCounts
from photonsim.tiles import Crossbar

BASELINE_2023_J = 300e-15  # per multiply-accumulate: the digital hardware that Anderson et al. compare with
LIGHT, OPTICS = "light", "+ modulators, cells"
PARTS = {  # the parts of a bill, each by the boundary that its lines belong to, in order of the columns of a study
    LIGHT: LASER_WALL_PLUG,
    OPTICS: OPTICAL_CORE,
    "+ converters": CONVERTERS,
    "+ digital": ELECTRONICS,
    "+ memory": MEMORY,
}


class Point(NamedTuple):
    """One model, all energies in joules per token.

    - `parts`, `fetched`: of a chip that grew with the model, by the names of `PARTS`, not summed up: weights that stay,
      and weights that are fetched for each pass.
    - `as_built_j`: of the chip as it is.
    - `digital_j`: by baseline.
    """

    model: Architecture
    macs: float
    parts: dict[str, float]
    fetched: dict[str, float]
    as_built_j: float
    digital_j: dict[str, float]

    @property
    def width(self) -> int:
        """Length of a token's vector."""
        return self.model.main.hidden

    @property
    def total_j(self) -> float:
        """All parts: weights that stay."""
        return sum(self.parts.values())

    @property
    def fetched_j(self) -> float:
        """All parts: weights that are fetched."""
        return sum(self.fetched.values())

    @property
    def baseline_2023_j(self) -> float:
        """300 fJ for each multiply-accumulate, and nothing else."""
        return self.macs * BASELINE_2023_J

    def up_to_j(self, part: str) -> float:
        """A part with all before it."""
        names = list(PARTS)
        return sum(self.parts[name] for name in names[: names.index(part) + 1])

    def advantage(self, joules: float) -> float:
        """300 fJ per multiply-accumulate over `joules` per token; infinite over nothing."""
        return self.baseline_2023_j / joules if joules else math.inf

    @property
    def largest_part(self) -> str:
        """What the bill is mostly made of."""
        return max(self.parts, key=lambda name: self.parts[name])


# Chips


def fitted(chip: Chip, rows: int, columns: int) -> Chip:
    """The chip with arrays of another size, and the laser that gives a dot product the photons it has now."""
    now = _crossbar(chip)
    tile = dataclasses.replace(now, rows=rows, columns=columns)
    if isinstance(now.laser.power_w, int | float) and now.laser.power_w == 0:
        return dataclasses.replace(chip, tile=tile)  # an exact chip, which needs no light
    power_w = now.laser.power_w * (now.photons_per_mac * now.rows) / (tile.photons_per_mac * rows)
    return dataclasses.replace(chip, tile=eqx.tree_at(lambda each: each.laser.power_w, tile, power_w))


def _crossbar(chip: Chip) -> Crossbar:
    if isinstance(chip.tile, Crossbar):
        return chip.tile
    raise PhotonsimError(
        f"The arrays of {chip.name} are no crossbars, in which a dot product is as long as a column: "
        "the study needs such a chip, for instance optical-transformer-2023."
    )


Group = tuple[Chip, list[MatrixProduct]]


def grown(chip: Chip, workload: Workload, width: int) -> tuple[Group, ...]:
    """Chips whose arrays grew with the model, each with the products that have its size."""
    groups: dict[tuple[int, int], list[MatrixProduct]] = {}
    for product in workload.products:
        groups.setdefault((min(product.k, width), min(product.n, width)), []).append(product)
    return tuple((fitted(chip, *size), products) for size, products in groups.items())


def grown_bills(chip: Chip, workload: Workload, groups: Iterable[Group], weights_stay: bool) -> tuple[Bill, ...]:
    """The bills of a pass on arrays that grew: one for each size of them, the last for what is not a product.

    Differentiable in the continuous parameters of the chips.
    """
    settled = dataclasses.replace(workload, weights_kept=weights_stay)
    settled = kept_in_sram(settled, chip.memory.sram_capacity_bits)
    bills = [_optical_bill(sized, products, weights_stay) for sized, products in groups]
    around = laid_events(Layout(dataclasses.replace(settled, products=()), ()))
    around = dataclasses.replace(around, dram_read_bits=float(settled.dram_read_bits))
    return (*bills, price(chip, around, 0.0))


def _optical_bill(chip: Chip, products: Iterable[MatrixProduct], weights_stay: bool) -> Bill:
    """Products on cores that are always busy: a core's package is on for as long as the core computes."""
    events = EventCounts()
    for product in products:
        mapped = map_product(chip, product, WEIGHT_STATIONARY, weights_stay)
        events += mapped.events * float(product.trips)
    return price(chip, events, events.tile_cycles / (chip.cores * chip.clock_hz))


def parts_j(bills: Sequence[Bill]) -> dict[str, Any]:
    """Joules of the parts of several bills together."""
    charges = [charge for bill in bills for charge in bill.charges]
    return {
        part: sum(charge.joules for charge in charges if charge.boundary == boundary)
        for part, boundary in PARTS.items()
    }


# The study


def scaling_point(
    chip: Chip,
    model: Architecture,
    tokens: int,
    against: Iterable[AbstractBaseline] = (),
    storage: Storage | None = None,
) -> Point:
    """One model in a prefill of `tokens` tokens, on the chip grown with it, as built, and on digital hardware."""
    check_count("tokens", tokens)
    workload, width = forward(model, ForwardPass(1, tokens), storage), model.main.hidden
    groups = grown(chip, workload, width)
    stay, fetched = (_per_token(grown_bills(chip, workload, groups, each), tokens) for each in (True, False))
    roomy = _with_room(chip, workload)
    digital = {each.name: _digital_j(each, roomy, workload) / tokens for each in against}
    return Point(model, workload.macs / tokens, stay, fetched, float(energy(roomy, workload).total_j) / tokens, digital)


def _per_token(bills: Sequence[Bill], tokens: int) -> dict[str, float]:
    return {part: float(joules) / tokens for part, joules in parts_j(bills).items()}


def scaling_study(
    chip: Chip,
    models: Iterable[Architecture],
    tokens: int,
    against: Iterable[AbstractBaseline] = (),
    storage: Storage | None = None,
) -> tuple[Point, ...]:
    """`scaling_point` of every model."""
    against = tuple(against)
    return tuple(scaling_point(chip, model, tokens, against, storage) for model in models)


def _with_room(chip: Chip, workload: Workload) -> Chip:
    room = max(chip.memory.dram_capacity_bits, float(workload.resident_bits))
    return eqx.tree_at(lambda each: each.memory.dram_capacity_bits, chip, room)


def _digital_j(baseline: AbstractBaseline, chip: Chip, workload: Workload) -> float:
    """Boards fetch their weights once a pass; a floor's stay, as those of the chip beside it."""
    if isinstance(baseline, ComputeFloor):
        workload = dataclasses.replace(workload, weights_kept=True)
    return float(baseline.enough(workload).energy(chip, workload).total_j)


# What it would take

AS_DESCRIBED, FREE_WRITES, FUTURE = "as described", "cells written for nothing", "and future electronics"
FUTURE_BITS = 4


def with_free_writes(chip: Chip) -> Chip:
    """The chip with cells that cost nothing to write: keys and values are written for every token, weights are not."""
    cell = dataclasses.replace(_crossbar(chip).cell, write_energy_j=0.0)
    return dataclasses.replace(chip, tile=dataclasses.replace(_crossbar(chip), cell=cell))


def with_future_electronics(chip: Chip) -> Chip:
    """What Anderson et al. expect: memory at a fifth, converters of 4 bits at half of what these would take today."""
    tile, memory = _crossbar(chip), chip.memory
    prices = ("sram_read_j_per_bit", "sram_write_j_per_bit", "dram_j_per_bit")
    cheaper: dict[str, Any] = {name: getattr(memory, name) / 5 for name in prices}
    tile = dataclasses.replace(tile, input_dac=_halved(tile.input_dac), adc=_halved(tile.adc))
    return dataclasses.replace(chip, tile=tile, memory=dataclasses.replace(memory, **cheaper))


def _halved(converter: Any) -> Any:
    bits = None if converter.bits is None else min(converter.bits, FUTURE_BITS)
    energy_j = converter.energy_j if bits is None else converter.energy_at(bits)
    return dataclasses.replace(converter, bits=bits, energy_j=0.5 * energy_j)


def advantages(chip: Chip, model: Architecture, tokens: int, storage: Storage | None = None) -> dict[str, float]:
    """300 fJ per multiply-accumulate over the whole bill of weights that stay, under better and better assumptions."""
    free = with_free_writes(chip)
    fewer = Storage(FUTURE_BITS, FUTURE_BITS, FUTURE_BITS)
    cases = {
        AS_DESCRIBED: (chip, storage),
        FREE_WRITES: (free, storage),
        FUTURE: (with_future_electronics(free), fewer),
    }
    return {name: float(advantage_of(each, model, tokens, stored)) for name, (each, stored) in cases.items()}


def advantage_of(chip: Chip, model: Architecture, tokens: int, storage: Storage | None = None) -> Any:
    """300 fJ per multiply-accumulate over the bill of a pass whose weights stay; differentiable in the chip."""
    workload = forward(model, ForwardPass(1, tokens), storage)
    bills = grown_bills(chip, workload, grown(chip, workload, model.main.hidden), True)
    return workload.macs * BASELINE_2023_J / sum(parts_j(bills).values())


# What follows


def exponent(widths: Sequence[float], energies: Sequence[float]) -> float:
    """The least-squares slope of `ln energy` over `ln width`; NaN without two widths, or where energy is none."""
    if len(set(widths)) < 2 or min(energies) <= 0:
        return math.nan
    return float(np.polyfit(np.log(widths), np.log(energies), 1)[0])


def light_exponent(points: Sequence[Point]) -> float:
    """Of the light of a multiply-accumulate; −1 by the law."""
    return exponent([point.width for point in points], [point.parts[LIGHT] / point.macs for point in points])


def width_for(points: Sequence[Point], advantage: float) -> float:
    """Width at which the whole bill, weights staying, is that much below 300 fJ.

    Extrapolated from the two largest models that are only scaled; NaN without them.
    """
    scaled = [point for point in points if point.model.assumed][-2:]
    if len({point.width for point in scaled}) < 2:
        return math.nan
    near, far = ((math.log(point.width), math.log(point.advantage(point.total_j))) for point in scaled)
    slope = (far[1] - near[1]) / (far[0] - near[0])
    return math.exp(far[0] + (math.log(advantage) - far[1]) / slope)
