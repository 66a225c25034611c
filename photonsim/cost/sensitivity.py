"""Which improvement of a component buys most.

Every continuous number of a chip is halved, and doubled, with all others held, and the change of the joules and seconds
of a request is read off; the better of the two is its improvement. The elasticity, `d ln E / d ln p`, is the slope at
today's value: −0.31 says that 1 % more of it saves 0.31 % of the energy. The slopes are exact derivatives of the cost
model, all of them from one backward pass.

A number that is better halved on the bill may be worse for the answer (a laser at half its power makes more noise): a
price says nothing of that, and `photonsim run --set` does.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.energy import laid_energy
from photonsim.cost.latency import laid_latency
from photonsim.cost.mapping import Layout, lay_out
from photonsim.cost.serving import Request, request_j, request_s, workloads
from photonsim.cost.workload import Storage

LAYOUT_SIZES = ("capacity_bits",)  # ends of the names of numbers that change what happens, not what it costs


class Sensitivity(NamedTuple):
    """One setting: what halving or doubling it does to the joules and seconds of a request, as ratios to today's."""

    setting: str
    value: float
    elasticity: float
    factor: float
    j_ratio: float
    s_ratio: float


def sensitivities(
    chip: Chip, model: Architecture, request: Request, storage: Storage | None = None
) -> tuple[Sensitivity, ...]:
    """Every continuous setting that the bill depends on, the one that saves most first."""
    layouts = [lay_out(chip, workload) for workload in workloads(model, request, storage) if workload]

    def joules(chip: Chip):
        return request_j(request, *(laid_energy(chip, layout).total_j for layout in layouts))

    now_j, now_s = float(joules(chip)), _seconds(chip, layouts, request)
    slopes = eqx.filter_grad(joules)(_as_arrays(chip))
    found = []
    for path, value in continuous_settings(chip):
        slope = float(setting(slopes, path))
        if not slope or path.endswith(LAYOUT_SIZES):
            continue
        changed = [
            (factor, _set(chip, path, factor * value)) for factor in (0.5, 2.0) if _allowed(path, factor * value)
        ]
        ratios = [(float(joules(other)) / now_j, factor, other) for factor, other in changed]
        best_j, factor, other = min(ratios, key=lambda each: each[0])
        best_s = _seconds(other, layouts, request) / now_s
        found.append(Sensitivity(path, value, slope * value / now_j, factor, best_j, best_s))
    return tuple(sorted(found, key=lambda each: each.j_ratio))


def _seconds(chip: Chip, layouts: list[Layout], request: Request) -> float:
    """Time to the last token of a request."""
    return request_s(request, *(float(laid_latency(chip, layout).seconds) for layout in layouts))


def continuous_settings(chip: Chip, zeros: bool = False) -> Iterator[tuple[str, float]]:
    """Dotted path and value of every continuous number of a chip; with `zeros`, of those too that are zero."""
    for keys, value in jax.tree_util.tree_leaves_with_path(chip):
        if isinstance(value, float) and (value or zeros):
            yield ".".join(str(key.name) for key in keys), value


def _as_arrays(chip: Chip) -> Chip:
    return jax.tree.map(lambda value: jax.numpy.asarray(value) if isinstance(value, float) else value, chip)


def setting(chip: Any, path: str) -> Any:
    """What stands at a dotted path of a description; 0 where there is nothing, as in a gradient."""
    for name in path.split("."):
        chip = getattr(chip, name)
    return 0.0 if chip is None else chip


def _set(chip: Chip, path: str, value: float) -> Chip:
    return eqx.tree_at(lambda each: setting(each, path), chip, value)


def _allowed(path: str, value: float) -> bool:
    """Whether a setting may take a value: no efficiency is above 1, and no building uses less than its servers."""
    if path.endswith(("efficiency", "transmission")):
        return value <= 1
    return not path.endswith("pue") or value >= 1
