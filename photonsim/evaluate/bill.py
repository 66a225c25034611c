"""The bill of a model's pass as its coverage places it: every product on the chip that its rule chose.

Where rules send products to chips of their own, or change settings of the given one, each part of the pass is priced on
its chip and the parts are added, one after another in time: a chip waits for free while another works, as if the same
package changed its mode. What stays digital, the vector unit and the traffic of caches and activations belong to the
given chip. Columns that `OutliersDigital` takes out are digital products; they read no weights of their own from DRAM,
since the pass streams those to the chip anyway.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from photonsim.chip import Chip
from photonsim.cost import (
    Architecture,
    Bill,
    ForwardPass,
    Latency,
    Product,
    Workload,
    architecture,
    energy,
    forward,
    latency,
)
from photonsim.errors import PhotonsimError
from photonsim.models import TextModel
from photonsim.models.families import family_of
from photonsim.swap import Coverage, OutliersDigital, Placement


def decoder_shape(model: TextModel) -> Architecture:
    """The model's shape, as its digital work and memory traffic are counted."""
    kind = family_of(model.config).name
    return architecture(dataclasses.asdict(model.config) | {"model_type": kind}, model.name)


def prefill_workload(model: TextModel, table: Coverage, context: int) -> Workload:
    """What one sequence of `context` tokens asks of the hardware, with the products placed as the coverage says."""
    return pass_workload(table.products, decoder_shape(model), ForwardPass(sequences=1, tokens=context))


def pass_workload(rows: Sequence[Placement], shape: Architecture, run: ForwardPass) -> Workload:
    """A pass whose products are `rows`, whatever their chips: what digital hardware is given too."""
    products = tuple(product for row in rows for product in products_of(row))
    return forward(shape, run, products=products)


def products_of(row: Placement) -> tuple[Product, ...]:
    """A placed site as products to price: one, or two where some of its columns are digital."""
    columns = min(math.ceil(row.digital_columns), row.k - 1)
    rest = Product(row.name, row.kind, row.batch, row.m, row.k - columns, row.n, row.trips, row.on_chip)
    if not columns:
        return (rest,)
    outliers = Product(f"{row.name}, outliers", "activation", row.batch, row.m, columns, row.n, row.trips, False)
    return rest, outliers


def pass_bill(chip: Chip, rows: Sequence[Placement], shape: Architecture, run: ForwardPass) -> tuple[Bill, Latency]:
    """Joules and seconds of a pass whose products are `rows`, each on its own chip."""
    elsewhere: dict[int, tuple[Chip, list[Placement]]] = {}
    own: list[Placement] = []
    for row in rows:
        unit = _optical(row.chip, chip)
        if unit is chip:
            own.append(row)
        else:
            elsewhere.setdefault(id(unit), (unit, []))[1].append(row)
    workload = pass_workload(own, shape, run)
    parts = [(chip, workload)]
    for unit, placed in elsewhere.values():
        products = pass_workload(placed, shape, run).products
        parts.append((unit, dataclasses.replace(workload, products=products, vector=(), traffic=())))
    bills = [energy(unit, part) for unit, part in parts]
    steps = [step for unit, part in parts for step in latency(unit, part).steps]
    return add_bills(bills), Latency(tuple(steps))


def _optical(unit: Any, chip: Chip) -> Chip:
    """The chip whose light a unit uses; the given one for what is digital."""
    unit = unit.chip if isinstance(unit, OutliersDigital) else unit
    if unit is None:
        return chip
    if not isinstance(unit, Chip):
        raise PhotonsimError(f"A rule puts products on a {type(unit).__name__}, which has no bill: give it a Chip.")
    return unit


def add_bills(bills: Sequence[Bill]) -> Bill:
    """Bills of things that happen one after another, as one."""
    first, *others = bills
    if not others:
        return first
    return dataclasses.replace(
        first,
        charges=tuple(charge for bill in bills for charge in bill.charges),
        macs=sum(bill.macs for bill in bills),
        seconds=sum(bill.seconds for bill in bills),
    )
