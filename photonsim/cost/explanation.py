"""A line of the bill, opened: what was counted, the price of one, who says so, inside which boundary, and the product.

A line is `joules = count × price`, and its price stands under a name in the description of the hardware, beside its
source. Some prices follow from several settings (light at the wall: power over efficiency); then all of them are shown.
Counts and prices are printed with seven digits, so that whoever checks a product by hand finds it again.
"""

import textwrap
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from photonsim.chip import Chip, Source
from photonsim.cost.area import area
from photonsim.cost.bill import Bill, Charge
from photonsim.cost.workload import Workload

Sources = tuple[tuple[str, Source], ...]


def explain(bill: Bill, component: str, hardware: Any, tokens: int = 1, width: int = 80) -> list[str]:
    """A component of a bill of `hardware` (a chip, a baseline), opened line by line; `tokens` share a pass.

    Lines that come to nothing are named together, each with the price or the count that is zero.
    """
    joules, total_j = bill.component_j(component), bill.total_j
    share = f", {100 * joules / total_j:.1f} % of {total_j:.4g} J" if total_j > 0 else ""
    head = f"{component} ({bill.name} on {hardware.name}, {hardware.status}): {joules:.7g} J{share}"
    lines = _wrapped(head, width, "")
    charges = [charge for charge in bill.charges if charge.component == component]
    paid = [charge for charge in charges if charge.joules]
    for charge in paid:
        lines += _charge_lines(charge, hardware, width)
    if len(paid) < len(charges):
        nothing = "; ".join(
            f"{charge.what} ({charge.count:.7g} × {charge.price_name} = {charge.price:g} {charge.price_unit})"
            for charge in charges
            if not charge.joules
        )
        lines += _wrapped(f"nothing: {nothing}", width, "  ")
    added = " + ".join(f"{charge.joules:.7g}" for charge in paid) + " = " if len(paid) > 1 else ""
    each = f" = {joules / tokens:.7g} J for each of {tokens} tokens" if tokens > 1 else ""
    return [*lines, *_wrapped(f"added up: {added}{joules:.7g} J{each}", width, "  ")]


def _charge_lines(charge: Charge, hardware: Any, width: int) -> Iterator[str]:
    """One line of the bill: its boundary, count × price = product, and where the price is from."""
    yield f"  {charge.what} [boundary: {charge.boundary}]"
    yield f"    {charge.count:.7g} × {charge.price:.7g} {charge.price_unit} = {charge.joules:.7g} J"
    if charge.price_name not in dict(charge.sources):
        yield from _wrapped(f"price: {charge.price_name}, which follows from", width, "    ")
    yield from _source_lines(charge.sources, hardware, width)


def _source_lines(sources: Sources, hardware: Any, width: int) -> Iterator[str]:
    """Each setting, its value and its source."""
    for name, source in sources:
        yield from _wrapped(f"{name}{_value(hardware, name)}: {source_text(source)}", width, "    ")


def _value(hardware: Any, name: str) -> str:
    """The value of a setting; nothing where it is of the chip that a digital floor stands beside."""
    try:
        return f" = {attrgetter(name)(hardware):.6g}"
    except AttributeError:
        return ""


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def source_text(source: Source) -> str:
    """A source as a reader should see it: the text, and whether the number is published or assumed, with its range."""
    between = "" if source.low is None else f", range {source.low:g} to {source.high:g}"
    return f"{source.text} [assumed{between}]" if source.assumed else f"{source.text} [published]"


def explain_vector_work(workload: Workload) -> list[str]:
    """The vector unit's operations by what they are for."""
    counted: dict[str, int] = {}
    for work in workload.vector:
        counted[work.name] = counted.get(work.name, 0) + work.operations
    total = max(sum(counted.values()), 1)
    parts = (f"{name} {count:.4g} ({100 * count / total:.1f} %)" for name, count in counted.items())
    return _wrapped(f"vector operations: {', '.join(parts)}", 80, "  ")


def explain_area(chip: Chip, width: int = 80) -> list[str]:
    """The area of a chip, opened line by line."""
    patches = [patch for patch in area(chip) if patch.mm2]
    total_mm2 = sum(patch.mm2 for patch in patches)
    lines = [f"area ({chip.name}, {chip.status}): {total_mm2:.7g} mm²"]
    for patch in patches:
        factor = f" × layout factor {patch.layout_factor:.6g}" if patch.layout_factor != 1 else ""
        named = patch.component if patch.what == patch.component else f"{patch.component}: {patch.what}"
        lines.append(f"  {named}")
        lines.append(f"    {patch.number:.7g} × {1e12 * patch.each_m2:.7g} µm²{factor} = {patch.mm2:.7g} mm²")
        lines += _source_lines(patch.sources, chip, width)
    return lines
