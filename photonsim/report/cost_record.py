"""Everything that `photonsim cost` finds out, and the same as a record for JSON and as rows for CSV."""

import math
from typing import Any, NamedTuple

from photonsim.chip import Chip
from photonsim.cost import area_mm2, assumed, tops_per_mm2
from photonsim.cost.architecture import Architecture
from photonsim.cost.bill import BOUNDARIES, SITE_BOUNDARIES, tops_per_w
from photonsim.cost.break_even import BreakEven
from photonsim.cost.break_even_map import BreakEvenMap
from photonsim.cost.serving import Phase, Service

PACKAGE = BOUNDARIES[-1]


class Digital(NamedTuple):
    """A baseline that answers the same request."""

    name: str
    title: str
    status: str
    boards: int
    service: Service


class Priced(NamedTuple):
    """Everything that `photonsim cost` finds out: `chip` is all of them together, `single` one of them."""

    model: Architecture
    chip: Chip
    single: Chip
    chips: int
    split: str
    service: Service
    concurrent: int
    digital: tuple[Digital, ...]
    against: str
    break_even: tuple[BreakEven, ...]
    objective: str | None
    maps: tuple[BreakEvenMap, ...] = ()

    @property
    def phases(self) -> dict[str, Phase]:
        """Prefill, and decode where the model answers token by token."""
        service = self.service
        return {"prefill": service.prefill} | ({"decode": service.decode} if service.decode else {})


def cost_record(priced: Priced) -> dict[str, Any]:
    """All of it as plain data. A phase that the model does not have is null."""
    service, model = priced.service, priced.model
    return {
        "model": {
            "name": model.name,
            "title": model.title,
            "source": model.source,
            "assumed": model.assumed,
            "parameters": model.parameters,
            "active_parameters": model.active_parameters,
        },
        "chip": {"name": priced.chip.name, "status": priced.chip.status, "chips": priced.chips, "split": priced.split},
        "request": dict(service.request._asdict()),
        "prefill": _phase_record(service.prefill, priced.chip),
        "decode": _phase_record(service.decode, priced.chip) if service.decode else None,
        "answer": {
            "j_per_request": float(service.j_per_request),
            "first_token_s": float(service.first_token_s),
            "s_per_request": float(service.s_per_request),
            "tokens_per_s": float(service.tokens_per_s),
            "concurrent_requests": priced.concurrent,
        },
        "boundaries": {
            boundary: {
                "j_per_request": float(service.within_j(boundary)),
                "j_per_token": {
                    name: float(phase.site.within_j(boundary)) / phase.tokens for name, phase in priced.phases.items()
                },
                "tops_per_w": {
                    name: _finite(float(tops_per_w(phase.site, boundary))) for name, phase in priced.phases.items()
                },
            }
            for boundary in SITE_BOUNDARIES
        },
        "baselines": [_digital_record(each) for each in priced.digital],
        "break_even": {
            "against": priced.against,
            "boundary": PACKAGE,
            "settings": [each._asdict() | {"wins_now": each.wins_now} for each in priced.break_even],
            "maps": [_map_record(found) for found in priced.maps],
        },
        "area": _area_record(priced),
        "assumed": sorted({name for phase in priced.phases.values() for name in assumed(phase.site)}),
    }


def _area_record(priced: Priced) -> dict[str, Any]:
    by_component = {name: priced.chips * float(mm2) for name, mm2 in area_mm2(priced.single).items()}
    return {
        "mm2": sum(by_component.values()),
        "by_component_mm2": by_component,
        "layout_factor": float(priced.single.floorplan.layout_factor),
        "tops_per_mm2": _finite(float(tops_per_mm2(priced.single))),
    }


def _phase_record(phase: Phase, chip: Chip) -> dict[str, Any]:
    tokens = phase.tokens
    return {
        "j_per_token": float(phase.j_per_token),
        "s_per_token": float(phase.s_per_token),
        "by_component_j": {name: float(joules) / tokens for name, joules in phase.bill.by_component_j().items()},
        "bound_by": phase.latency.bound_by,
        "boundary": PACKAGE,
        "tokens": tokens,
        "seconds": float(phase.latency.seconds),
        "macs": float(phase.workload.macs),
        "utilisation": array_used(phase, chip),
        "by_bound_s": {name: float(seconds) for name, seconds in phase.latency.by_bound_s.items()},
        "products": [
            {
                "name": step.name,
                "dataflow": step.dataflow or None,
                "s": float(step.seconds),
                "needs_s": {part: float(needed) for part, needed in step.needs_s.items() if needed},
                "bound_by": step.bound_by,
                "macs": step.macs,
            }
            for step in phase.latency.steps
        ],
    }


def array_used(phase: Phase, chip: Chip) -> float:
    """Multiply-accumulates of the pass over those that the array could do in its time."""
    return float(phase.workload.macs / (phase.latency.seconds * chip.macs_per_cycle * chip.clock_hz))


def _digital_record(each: Digital) -> dict[str, Any]:
    service = each.service
    phases = {"prefill": service.prefill, "decode": service.decode}
    return {
        "name": each.name,
        "title": each.title,
        "status": each.status,
        "boards": each.boards,
        "j_per_request": float(service.j_per_request),
        "site_j_per_request": float(service.site_j_per_request),
        **{
            name: {
                "j_per_token": float(phase.j_per_token),
                "s_per_token": float(phase.s_per_token),
                "bound_by": phase.latency.bound_by,
            }
            if phase
            else None
            for name, phase in phases.items()
        },
    }


def _map_record(found: BreakEvenMap) -> dict[str, Any]:
    """Two settings at a time; null where the request does not fit the memory."""
    return found._asdict() | {"ratio": [[None if math.isnan(each) else each for each in row] for row in found.ratio]}


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None


def cost_rows(priced: Priced) -> list[list[str | float]]:
    """The bill line by line for CSV: where a line belongs, what is counted, its price, joules, sources."""
    rows: list[list[str | float]] = [
        ["phase", "component", "boundary", "what", "count", "price", "price_unit", "price_name", "joules", "sources"]
    ]
    for name, phase in priced.phases.items():
        for charge in phase.site.charges:
            sources = "; ".join(f"{setting}: {source.text}" for setting, source in charge.sources)
            numbers = (float(charge.count), float(charge.price))
            line = [name, charge.component, charge.boundary, charge.what, *numbers]
            rows.append([*line, charge.price_unit, charge.price_name, float(charge.joules), sources])
    return rows
