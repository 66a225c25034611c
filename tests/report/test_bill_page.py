"""The page of the bill says what the model says now, and shows figures that are there."""

import re
from pathlib import Path

import pytest

from photonsim.chip import load_chip
from photonsim.cost import load_architecture
from photonsim.cost.serving import Request, serve
from photonsim.report.quantities import si

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "bill.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["lightening-transformer-b-4bit", "lightmatter-envise-2025", "neurophos-t100"])
def test_the_page_has_the_energies_that_follow_from_the_description_now(name):
    chip = load_chip(name)
    service = serve(chip, load_architecture("llama-3.1-8b"), Request(prompt=512, output=256))
    (row,) = re.findall(rf"^\| {re.escape(chip.title.split(' (')[0])} \|.*$", PAGE, re.MULTILINE)
    assert service.decode is not None
    for phase in (service.prefill, service.decode):
        told = f"{si(float(phase.j_per_token), 'J')}, {phase.latency.bound_by}"
        assert told in row, "run benchmarks/bill_page.py"
    assert si(float(service.j_per_request), "J") in row


def test_every_figure_of_the_page_is_there():
    figures = re.findall(r"\]\((images/\w+\.png)\)", PAGE)
    assert len(figures) == 5
    assert all((DOCS / each).stat().st_size > 10_000 for each in figures)
