"""A cheap, noisy chip asked more often against a dear, clean one asked once, for the same joules.

    python benchmarks/samples.py            # prints the table, and writes it into docs/test_time_compute.md

The question is the next token after each of 256 positions of the shipped text; the model is `tiny`. The dear chip is
the cheap one with more laser power, so with less shot noise. About a minute, of which most is compiling.
"""

import re
from pathlib import Path

from photonsim.chip import load_chip, override
from photonsim.evaluate.samples import Score, at_equal_energy
from photonsim.models import load, sample_text
from photonsim.report.quantities import si

PAGE = Path(__file__).resolve().parents[1] / "docs" / "test_time_compute.md"
PAIRS = {"optical-transformer-2023": 4.0, "feldmann-2021": 1.5}  # the dear one's laser, times the cheap one's
TOKENS, CONTEXT = 256, 64
HEADER = """\
| chip | laser | asked | energy per token | as digital: vote | likeliest | once | as the text: vote | likeliest | once |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def line(chip: str, times: float, score: Score) -> str:
    """A row of the table."""
    shares = (
        score.agrees_by_vote,
        score.agrees_by_likelihood,
        score.agrees_once,
        score.correct_by_vote,
        score.correct_by_likelihood,
        score.correct_once,
    )
    cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
    return f"| `{chip}` | ×{times:g} | {score.samples} | {si(score.joules, 'J')} | {cells} |\n"


def rows(chip: str, times: float) -> str:
    """The cheap chip asked often and the dear one asked once."""
    cheap = load_chip(chip)
    dear = override(cheap, {"laser.power_w": times * cheap.tile.laser.power_w})
    often, once = at_equal_energy(load("tiny"), cheap, dear, sample_text(), TOKENS, CONTEXT)
    return line(chip, 1, often) + line(chip, times, once)


def main() -> None:
    """Make the table and put it between the page's marks."""
    table = HEADER + "".join(rows(chip, times) for chip, times in PAIRS.items())
    print(table, end="")
    page = PAGE.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- begin: benchmarks/samples.py -->\n).*?(<!-- end -->)", re.DOTALL)
    PAGE.write_text(marked.sub(lambda marks: f"{marks[1]}\n{table}\n{marks[2]}", page), encoding="utf-8")


if __name__ == "__main__":
    main()
