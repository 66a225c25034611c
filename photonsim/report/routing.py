"""An answer that came from a chip in part: which tokens were computed again digitally, and what either part cost."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from photonsim.chip import Chip
from photonsim.cost import baselines
from photonsim.evaluate.routing import Routed
from photonsim.report.layout import plain_table
from photonsim.report.quantities import si

REASONS = {
    "token": "were done again, each where the chip's {measure} was below {threshold:g}",
    "request": "were done again, together, where the chip's mean {measure} was below {threshold:g}",
}


def routed_tables(routed: Routed, chip: Chip, decode: Callable[[Sequence[int]], str]) -> RenderableType:
    """The answer, how much of it is digital and why, and the bill of both."""
    count, redone = len(routed.again), sum(routed.again)
    routing = routed.routing
    reason = REASONS[routing.level].format(measure=routing.measure, threshold=routing.threshold)
    mean = sum(routed.confidences) / len(routed.confidences)
    notes = f"{redone} of {count} tokens {reason}; over all it was {mean:.2f} on average."
    return Group(_answer(routed, decode), Text(), Text(notes), Text(), bill_table(routed, chip))


def _answer(routed: Routed, decode: Callable[[Sequence[int]], str]) -> Text:
    """The answer, its digital tokens in yellow."""
    tokens = routed.answer.tokens
    texts = [decode(tokens[:end]) for end in range(len(tokens) + 1)]  # a token alone may be half a letter
    pieces = [after.removeprefix(before) for before, after in pairwise(texts)]
    return Text.assemble(
        *((piece, "yellow" if again else "") for piece, again in zip(pieces, routed.again, strict=True))
    )


def bill_table(routed: Routed, chip: Chip) -> Table:
    """Energy of the chip, of what was done again, of both; and of the digital hardware alone."""
    title, count = baselines()[routed.digital_hardware].title, len(routed.again)
    table = plain_table("Energy", "digital tokens in yellow above")
    table.add_column("hardware", overflow="fold")
    for header in ("tokens", "energy", "per token"):
        table.add_column(header, justify="right", no_wrap=True)
    for name, tokens, joules in (
        (chip.title, len(routed.confidences), routed.chip_joules),
        (f"{title}, done again", sum(routed.again), routed.digital_joules),
    ):
        table.add_row(name, str(tokens), si(joules, "J"), si(joules / tokens if tokens else 0.0, "J"))
    table.add_section()
    table.add_row("both", str(count), si(routed.joules, "J"), si(routed.joules / count, "J"), style="bold")
    alone = routed.digital_alone_joules
    table.add_row(f"{title} alone", str(count), si(alone, "J"), si(alone / count, "J"))
    return table


def layers_table(agreement: Mapping[int, float], threshold: float) -> Table:
    """How many of a text's most likely tokens each layer leaves as they are when it alone is on the chip."""
    table = plain_table("Layers", f"on the chip if they keep {100 * threshold:g} % of the tokens")
    table.add_column("layer")
    table.add_column("tokens kept", justify="right")
    table.add_column("where")
    for layer, share in agreement.items():
        digital = threshold == 1 or share < threshold
        table.add_row(
            str(layer), f"{100 * share:.1f} %", "digital" if digital else "chip", style="yellow" if digital else ""
        )
    return table
