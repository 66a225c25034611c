"""Where light would win: the size, batch, laser or converter at which a request costs what it costs digitally.

Each of four settings is moved alone, the others held: the efficiency of the laser (up to 1), the energy of all
converters (down to 0), the rows and columns of the array, the number of requests at once. The root is found on the
cost model that makes the bill, by bisection: between now and the best where the setting is continuous, and up to 64
times as many or a 64th where it is a whole number. The answer may be that no value does it: then the best that was
reached is said.

Moving one setting alone is a question about the bill, not a design: a larger array at the same laser has fewer photons
for each product, and a cheaper converter is as exact as before only on paper.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any, NamedTuple

import equinox as eqx

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.baselines import AbstractBaseline
from photonsim.cost.energy import laid_energy
from photonsim.cost.mapping import lay_out
from photonsim.cost.serving import Request, request_j, serve, serve_digitally
from photonsim.cost.workload import Storage
from photonsim.devices import Laser
from photonsim.errors import PhotonsimError
from photonsim.tiles import Sliced

LASER_EFFICIENCY = "laser wall-plug efficiency"
CONVERTER_ENERGY = "converter energy, × today's"
ARRAY_SIZE = "rows and columns of the array"
BATCH = "batch"
DOUBLINGS = 6  # how far a whole number is followed, either way


class BreakEven(NamedTuple):
    """One setting: its value now, the value at which light costs as much, and what it reaches at best.

    - `now`, `at`: the setting; `at` is None where no value does it.
    - `ratio_now`, `ratio_best`: joules of light over joules of the baseline, now and with the best value looked at.
    """

    setting: str
    now: float
    at: float | None
    ratio_now: float
    ratio_best: float

    @property
    def wins_now(self) -> bool:
        """Whether light is ahead already; `at` is then where it would fall behind."""
        return self.ratio_now < 1


def break_even(
    chip: Chip, model: Architecture, request: Request, baseline: AbstractBaseline, storage: Storage | None = None
) -> tuple[BreakEven, ...]:
    """The four settings at which a request costs on the chip what it costs on the baseline, inside the package."""

    light, group = serve(chip, model, request, storage), serve_digitally(baseline, chip, model, request, storage)
    digital_j = float(group.j_per_request)
    laid = [lay_out(chip, phase.workload) for phase in (light.prefill, light.decode) if phase]

    def repriced(chip: Chip) -> float:
        """Another price of the same layout, over the baseline that does not change."""
        joules = [float(laid_energy(chip, layout).total_j) for layout in laid]
        return request_j(request, *joules) / digital_j

    def remade(size: int, request: Request) -> float:
        """Another layout, and a baseline of its own; infinite where it cannot be built or does not fit the memory."""
        try:
            other = with_array(chip, size) if size else chip
            photonic = serve(other, model, request, storage).j_per_request
            return float(photonic) / float(serve_digitally(baseline, other, model, request, storage).j_per_request)
        except PhotonsimError:
            return float("inf")

    now, efficiency = float(light.j_per_request) / digital_j, laser_of(chip)[1].wall_plug_efficiency
    found = [
        _continuous(LASER_EFFICIENCY, lambda value: repriced(_with_efficiency(chip, value)), efficiency, now, 1.0),
        _continuous(CONVERTER_ENERGY, lambda factor: repriced(_with_converters(chip, factor)), 1.0, now, 0.0),
        _whole(ARRAY_SIZE, lambda size: remade(size, request), chip.tile.rows, now),
    ]
    if model.generates:
        found.append(_whole(BATCH, lambda batch: remade(0, request._replace(batch=batch)), request.batch, now))
    return tuple(found)


def _core(chip: Chip) -> str:
    """Where the optics are: the path of the tile, or of the one inside it."""
    return "tile.inner" if isinstance(chip.tile, Sliced) else "tile"


def laser_of(chip: Chip) -> tuple[str, Laser]:
    """Path and value of a chip's laser."""
    path = f"{_core(chip)}.laser"
    laser = attrgetter(_core(chip))(chip).laser
    if not isinstance(laser, Laser):
        raise PhotonsimError(f"The tile of {chip.name} has no laser, so no efficiency of one to break even at.")
    return path, laser


def converter_energies(chip: Chip) -> dict[str, float]:
    """Path and energy of every converter of a chip, amplifiers included."""
    tile = attrgetter(core := _core(chip))(chip)
    names = [name for name in ("input_dac", "weight_dac", "receiver", "adc") if hasattr(tile, name)]
    return {f"{core}.{name}.energy_j": getattr(tile, name).energy_j for name in names}


def _with(chip: Chip, values: Mapping[str, float]) -> Chip:
    """The chip with other numbers at some paths."""
    return eqx.tree_at(lambda c: [attrgetter(path)(c) for path in values], chip, list(values.values()))


def _with_efficiency(chip: Chip, value: float) -> Chip:
    return _with(chip, {f"{laser_of(chip)[0]}.wall_plug_efficiency": value})


def _with_converters(chip: Chip, factor: float) -> Chip:
    """All converters at a share of their energy."""
    return _with(chip, {path: factor * energy_j for path, energy_j in converter_energies(chip).items()})


def with_array(chip: Chip, size: int) -> Chip:
    """The chip with an array of `size` rows and columns, and everything else as it was."""
    if isinstance(chip.tile, Sliced):
        inner: Any = chip.tile.inner
        return replace(chip, tile=replace(chip.tile, inner=replace(inner, rows=size, columns=size)))
    return replace(chip, tile=replace(chip.tile, rows=size, columns=size))


def _continuous(name: str, ratio: Callable[[float], float], now: float, ratio_now: float, best: float) -> BreakEven:
    """Between the value now and the best there is: where light catches up; if it leads, how far it may fall back."""
    ratio_best = ratio(best)
    other = best if ratio_now >= 1 else now * (1e4 if best < now else 1e-4)
    if (ratio_now >= 1) == (ratio(other) >= 1):
        return BreakEven(name, now, None, ratio_now, ratio_best)
    low, high = sorted((now, other))
    at = _root(lambda value: ratio(value) - 1, low, high)
    return BreakEven(name, now, at, ratio_now, ratio_best)


def _root(difference: Callable[[float], float], low: float, high: float) -> float:
    """Where a monotone function is 0 between two values of different sign, to a part in 10⁵ of what lies between."""
    sign, width = difference(low) > 0, high - low
    while high - low > 1e-5 * width:
        middle = (low + high) / 2
        low, high = (middle, high) if (difference(middle) > 0) == sign else (low, middle)
    return (low + high) / 2


def _whole(name: str, ratio: Callable[[int], float], now: int, ratio_now: float) -> BreakEven:
    """The value nearest to now at which the leader changes: larger ones first, then smaller."""
    best = ratio_now
    for step in (2, 0.5):
        same = now
        for _ in range(DOUBLINGS):
            other = int(same * step)
            if other < 1:
                break
            found = ratio(other)
            best = min(best, found)
            if (found < 1) != (ratio_now < 1):
                return BreakEven(name, now, _between(ratio, same, other, ratio_now < 1), ratio_now, best)
            same = other
    return BreakEven(name, now, None, ratio_now, best)


def _between(ratio: Callable[[int], float], same: int, other: int, winning: bool) -> int:
    """The first whole number from `same` towards `other` at which the leader changes."""
    while abs(other - same) > 1:
        middle = (same + other) // 2
        if (ratio(middle) < 1) == winning:
            same = middle
        else:
            other = middle
    return other
