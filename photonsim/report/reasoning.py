"""What thinking costs, as tables of 80 columns, as a record for JSON, as rows for CSV, and as a figure."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from photonsim.chip import Chip
from photonsim.cost.architecture import Architecture
from photonsim.cost.reasoning import Answer, Question
from photonsim.report.figure import PALETTE, STYLE
from photonsim.report.files import write_whole
from photonsim.report.layout import plain_table
from photonsim.report.money import duration, usd
from photonsim.report.quantities import si, significant

COLOURS = (PALETTE[4], PALETTE[3], PALETTE[2], PALETTE[1])


class Thought(NamedTuple):
    """Everything that `photonsim reason` finds out; the first hardware is the photonic chip."""

    model: Architecture
    chip: Chip
    question: Question
    answers: dict[str, tuple[Answer, ...]]


def thought_record(thought: Thought) -> dict[str, Any]:
    """All of it as plain data."""
    return {
        "model": {"name": thought.model.name, "assumed": thought.model.assumed},
        "chip": {"name": thought.chip.name, "status": thought.chip.status},
        "question": dict(thought.question._asdict()),
        "hardware": {name: [_answer_record(each) for each in found] for name, found in thought.answers.items()},
    }


def _answer_record(each: Answer) -> dict[str, Any]:
    return {
        "thinking": each.thinking,
        "accelerators": each.offer.accelerators,
        "j": each.joules,
        "site_j": float(each.offer.service.site_j_per_request),
        "s": each.seconds,
        "usd": each.usd,
        "growth_share": each.growth_share,
        "cache_bits": each.cache_bits,
    }


def thought_rows(thought: Thought) -> list[list[str | float]]:
    """One answer a line for CSV."""
    rows: list[list[str | float]] = [
        ["hardware", "thinking", "accelerators", "j", "site_j", "s", "usd", "growth_share", "cache_bits"]
    ]
    for name, found in thought.answers.items():
        rows += [[name, *_answer_record(each).values()] for each in found]
    return rows


def thought_tables(thought: Thought) -> RenderableType:
    """Joules, seconds and dollars of an answer against thinking tokens, 80 columns wide."""
    question = thought.question
    asked = f"{question.prompt} tokens in, {question.answer} answered, batch {question.batch}"
    heading = Text(f"{thought.model.title or thought.model.name} thinks: {asked}", style="bold")
    tables = [_answers_table(name, found) for name, found in thought.answers.items()]
    return Group(*(part for part in (heading, *tables, _thought_notes(thought)) for part in (part, Text())))


def _answers_table(name: str, found: Sequence[Answer]) -> Table:
    counts = sorted({each.offer.accelerators for each in found})
    table = plain_table(f"{' to '.join(map(str, (counts[0], *counts[1:][-1:])))} × {name}", found[0].offer.title)
    headers = (
        "thinking\ntokens",
        "energy of\nan answer",
        "× first",
        "of it grown\ncontext",
        "cache",
        "last token\nafter",
        "dollars",
    )
    for header in headers:
        table.add_column(header, justify="right")
    for each in found:
        ratio = significant(each.joules / found[0].joules)
        grown, cache = f"{100 * each.growth_share:.1f} %", si(each.cache_bits / 8, "B")
        cells = (si(each.joules, "J"), ratio, grown, cache, duration(each.seconds), usd(each.usd))
        table.add_row(f"{each.thinking:,}", *cells)
    return table


def _thought_notes(thought: Thought) -> Text:
    light = next(iter(thought.answers.values()))
    bound = light[-1].offer.service.decode
    profile = f"{thought.model.title}: {thought.model.source}. The price is that of the profile, not of the model."
    lines = [profile] if thought.model.assumed else []
    lines += ["Energy is that of the package; dollars are those of photonsim money, host and cooling included."]
    if bound is not None:
        lines.append(f"A thinking token is a decode step: on {thought.chip.name} bound by {bound.latency.bound_by}.")
    return Text("\n".join(lines))


# The figure


def save_thought_figure(thought: Thought, path: Path) -> None:
    """Joules and dollars of an answer against thinking tokens, into a PNG, PDF or SVG file."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.5, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw(left, thought, lambda each: each.joules, "J per answer, package")
        _draw_flat(left, thought)
        _draw(right, thought, lambda each: each.usd, "dollars per answer")
        left.set_title(f"{thought.model.title or thought.model.name} thinks")
        left.legend(fontsize=7.5, frameon=False)
        write_whole(path, lambda temporary: figure.savefig(temporary, bbox_inches="tight"))


def _draw(axes: Axes, thought: Thought, value: Callable[[Answer], float], label: str) -> None:
    """A line for each hardware."""
    for colour, (name, found) in zip(COLOURS, thought.answers.items(), strict=False):
        axes.loglog(_written(thought, found), [value(each) for each in found], "o-", ms=3, color=colour, label=name)
    axes.set_xlabel("tokens written: thinking and answer")
    axes.set_ylabel(label)


def _draw_flat(axes: Axes, thought: Thought) -> None:
    """Dashed: the joules if the context did not grow."""
    for colour, found in zip(COLOURS, thought.answers.values(), strict=False):
        flat = [each.joules * (1 - each.growth_share) for each in found]
        axes.loglog(_written(thought, found), flat, "--", lw=0.9, color=colour)
    axes.plot([], [], "--", lw=0.9, color="k", label="no growth of the context")


def _written(thought: Thought, found: Sequence[Answer]) -> list[int]:
    return [each.thinking + thought.question.answer for each in found]
