"""Two settings at a time: a map of the joules of light over the joules of digital hardware. Light wins below 1.

Where two settings are prices and efficiencies, one layout serves the whole map, and all its points are priced by one
`vmap` (`photonsim.cost.design_points`). Array and batch are shapes: each point is laid out anew, and so is the digital
hardware's batch.
"""

from typing import NamedTuple

import numpy as np

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.baselines import AbstractBaseline
from photonsim.cost.break_even import (
    ARRAY_SIZE,
    BATCH,
    CONVERTER_ENERGY,
    LASER_EFFICIENCY,
    converter_energies,
    laser_of,
    with_array,
)
from photonsim.cost.design_points import design_points
from photonsim.cost.energy import laid_energy
from photonsim.cost.mapping import lay_out
from photonsim.cost.serving import Request, request_j, serve_digitally, workloads
from photonsim.cost.workload import Storage, Workload, check_capacity
from photonsim.errors import PhotonsimError

EFFICIENCIES = (0.01, 1.0)
FACTORS = (1e-3, 10.0)


class BreakEvenMap(NamedTuple):
    """Joules of a request on the chip over those on the baseline: `ratio[y][x]`; NaN where that cannot be.

    - `x_now`, `y_now`: the chip and the request as they are.
    """

    x_setting: str
    y_setting: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    ratio: tuple[tuple[float, ...], ...]
    x_now: float
    y_now: float

    @property
    def best(self) -> float:
        """The smallest ratio on the map."""
        return float(np.nanmin(self.ratio))


def price_map(
    chip: Chip,
    model: Architecture,
    request: Request,
    baseline: AbstractBaseline,
    storage: Storage | None = None,
    points: int = 5,
) -> BreakEvenMap:
    """Efficiency of the laser against energy of all converters, `points` of each; the baseline is one number."""
    efficiencies, factors = np.geomspace(*EFFICIENCIES, points), np.geomspace(*FACTORS, points)
    grid_x, grid_y = (axis.ravel() for axis in np.meshgrid(efficiencies, factors))
    energies = {path: grid_y * energy_j for path, energy_j in converter_energies(chip).items()}
    path, laser = laser_of(chip)
    found = design_points(chip, model, request, {f"{path}.wall_plug_efficiency": grid_x, **energies}, storage)
    digital_j = float(serve_digitally(baseline, chip, model, request, storage).j_per_request)
    ratio = np.asarray(found.j_per_request, np.float64).reshape(points, points) / digital_j
    now = (float(laser.wall_plug_efficiency), 1.0)
    return _map((LASER_EFFICIENCY, CONVERTER_ENERGY), efficiencies, factors, ratio, now)


def shape_map(
    chip: Chip,
    model: Architecture,
    request: Request,
    baseline: AbstractBaseline,
    storage: Storage | None = None,
    octaves: int = 2,
    batches: tuple[int, ...] = (1, 4, 16, 64, 256),
) -> BreakEvenMap:
    """Rows and columns of the array, `octaves` either way, against the batch; the laser is held."""
    inner = getattr(chip.tile, "inner", chip.tile)
    sizes = sorted({max(round(inner.rows * 2.0**step), 1) for step in range(-octaves, octaves + 1)})
    chips = [_resized(chip, size) for size in sizes]
    ratio = [_ratios(chip, chips, model, request._replace(batch=batch), baseline, storage) for batch in batches]
    return _map((ARRAY_SIZE, BATCH), sizes, batches, np.asarray(ratio), (inner.rows, request.batch))


def _resized(chip: Chip, size: int) -> Chip | None:
    """The chip with another array; none where there can be no such array."""
    try:
        return with_array(chip, size)
    except PhotonsimError:
        return None


def _ratios(chip: Chip, chips: list[Chip | None], model: Architecture, request: Request, baseline, storage):
    """A row of chips that differ in nothing but their arrays, which digital hardware knows nothing of.

    NaN where there is no such chip, and where the model or its batch no longer fits the memory.
    """
    asked = [workload for workload in workloads(model, request, storage) if workload]
    try:
        for workload in asked:
            check_capacity(chip.name, workload, chip.memory.dram_capacity_bits)
        digital_j = float(serve_digitally(baseline, chip, model, request, storage).j_per_request)
    except PhotonsimError:
        return [float("nan")] * len(chips)
    return [float("nan") if each is None else _request_j(each, asked, request) / digital_j for each in chips]


def _request_j(chip: Chip, asked: list[Workload], request: Request) -> float:
    return float(request_j(request, *(laid_energy(chip, lay_out(chip, workload)).total_j for workload in asked)))


def _map(settings: tuple[str, str], x, y, ratio: np.ndarray, now: tuple[float, float]) -> BreakEvenMap:
    rows = tuple(tuple(map(float, row)) for row in ratio)
    return BreakEvenMap(*settings, tuple(map(float, x)), tuple(map(float, y)), rows, *now)
