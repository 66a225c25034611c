"""Two answers to a prompt side by side, where they part, and what they cost."""

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from photonsim.evaluate.generation import Expense, Generation, first_difference
from photonsim.evaluate.samples import Samples
from photonsim.report.layout import plain_table
from photonsim.report.quantities import si, significant

Decode = Callable[[Sequence[int]], str]


def answers_table(title: str, digital: Sequence[int], on_chip: Sequence[int], decode: Decode) -> Table:
    """The two answers in columns, from the token on in which they differ in yellow."""
    parts = first_difference(digital, on_chip)
    table = plain_table("Answers", "yellow from where they part")
    for name in ("digital", title):
        table.add_column(name, ratio=1, overflow="fold")
    table.add_row(*(_answer(tokens, parts, decode) for tokens in (digital, on_chip)))
    return table


def _answer(tokens: Sequence[int], parts: int | None, decode: Decode) -> Text:
    whole = decode(tokens)
    same = decode(tokens[:parts]) if parts is not None else whole
    same = same if whole.startswith(same) else ""  # a letter of several bytes may be cut in two
    return Text.assemble(same, (whole[len(same) :], "yellow"))


def generation_tables(generation: Generation) -> RenderableType:
    """What is said below the answers: where they part, and energy and time of either."""
    notes = Text("\n".join([_parting(generation), _coverage(generation)]))
    count = len(generation.prompt_tokens)
    return Group(Text(), notes, Text(), expenses_table(generation.expenses, count))


def samples_tables(samples: Samples, prompt: int) -> RenderableType:
    """The different answers of several, how often each was given and how likely the chip found it, and their cost."""
    count = len(samples.answers)
    table = plain_table("Samples", f"{count} answers of the chip, those that are the same in one row")
    table.add_column("answer", ratio=1, overflow="fold")
    for header in ("votes", "log-likelihood\nper token", ""):
        table.add_column(header, justify="right")
    for text, votes in samples.votes.items():
        likelihood = max(each.mean_log_likelihood for each in samples.answers if each.text == text)
        marks = [
            name for name, answer in (("majority", samples.majority), ("best", samples.best)) if answer.text == text
        ]
        table.add_row(Text(text), str(votes), significant(likelihood), ", ".join(marks), style="bold" if marks else "")
    return Group(Text(), table, Text(), expenses_table(samples.expenses, prompt, f"all {count} as one batch"))


def _parting(generation: Generation) -> str:
    at, count = generation.differs_at, len(generation.digital.tokens)
    if at is None:
        return f"All {count} tokens are the same."
    sides = (generation.digital.tokens, generation.on_chip.tokens)
    words = [repr(generation.model.decode(side[at : at + 1])) if at < len(side) else "the end" for side in sides]
    return f"The answers part at token {at + 1} of {count}: {words[0]} digitally, {words[1]} on the chip."


def _coverage(generation: Generation) -> str:
    table = generation.coverage
    line = f"{100 * table.mac_share:.2f} % of the prefill's MACs are on the chip"
    reasons = list(dict.fromkeys(str(row.reason) for row in table.digital if row.macs))
    return f"{line}; digital: {'; '.join(reasons)}." if reasons else f"{line}."


def expenses_table(expenses: Sequence[Expense], prompt: int, remark: str = "") -> Table:
    """Energy and time on each hardware: the prefill, one decoding step, and all together."""
    steps = expenses[0].decode.passes
    caption = f"prefill of {prompt} tokens, then {steps} steps of one{f'; {remark}' if remark else ''}"
    table = plain_table("Cost", caption)
    table.add_column("hardware", overflow="fold")
    for header in ("prefill\nenergy", "\ntime", "step\nenergy", "\ntime", "total\nenergy", "\ntime"):
        table.add_column(header, justify="right", no_wrap=True)
    for number, expense in enumerate(expenses):
        step = [expense.decode.joules / steps, expense.decode.seconds / steps] if steps else [0.0, 0.0]
        cells = [expense.prefill.joules, expense.prefill.seconds, *step, expense.total.joules, expense.total.seconds]
        texts = [si(value, unit) for value, unit in zip(cells, "JsJsJs", strict=True)]
        table.add_row(f"{expense.title}, {expense.status}", *texts, style="" if number else "bold")
    return table
