"""Many chips at once: joules and seconds of a request on each of a hundred thousand design points, by one `vmap`.

Design points differ in the continuous numbers of a chip: prices, powers, rates, efficiencies. Shapes (rows, columns,
cores, bits) change what happens, not what it costs: each needs a call of its own.

    found = design_points(chip, model, request, {"tile.adc.energy_j": energies_j, "tile.clock_hz": clocks_hz})
    found.j_per_request, found.s_per_request    # one number for each point
"""

from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax
from jax import numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.energy import laid_energy
from photonsim.cost.latency import laid_latency
from photonsim.cost.mapping import lay_out
from photonsim.cost.sensitivity import LAYOUT_SIZES, continuous_settings, setting
from photonsim.cost.serving import Request, request_j, request_s, workloads
from photonsim.cost.workload import Storage, check_capacity
from photonsim.errors import PhotonsimError, check_choice


class Points(NamedTuple):
    """Joules and seconds of one request, for each design point."""

    j_per_request: Float[Array, " points"]
    s_per_request: Float[Array, " points"]


def design_points(
    chip: Chip,
    model: Architecture,
    request: Request,
    settings: Mapping[str, ArrayLike],
    storage: Storage | None = None,
) -> Points:
    """Price a request on the chip with `settings` (dotted path: one value for each point) in place of its own."""
    known = [path for path, _ in continuous_settings(chip, zeros=True) if not path.endswith(LAYOUT_SIZES)]
    for path in settings:
        check_choice("setting", path, known)
    values = [jnp.asarray(each, jnp.float32) for each in settings.values()]
    if not values or any(each.shape != values[0].shape or each.ndim != 1 for each in values):
        raise PhotonsimError("design_points: give at least one setting, and as many values of each as of the others.")
    asked = [workload for workload in workloads(model, request, storage) if workload]
    for workload in asked:
        check_capacity(chip.name, workload, chip.memory.dram_capacity_bits)
    layouts = [lay_out(chip, workload) for workload in asked]

    def price(*point):
        other = eqx.tree_at(lambda each: [setting(each, path) for path in settings], chip, list(point))
        joules = request_j(request, *(laid_energy(other, layout).total_j for layout in layouts))
        return Points(joules, request_s(request, *(laid_latency(other, layout).seconds for layout in layouts)))

    return jax.jit(jax.vmap(price))(*values)
