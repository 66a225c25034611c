"""The pages on scaling and money say what the cost model says now."""

import importlib
import sys
from pathlib import Path

import pytest

from photonsim.chip import load_chip
from photonsim.cost import load_architecture
from photonsim.cost.decoder_family import scaled_decoder
from photonsim.cost.scaling import scaling_point

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    """A script of `benchmarks` as a module; these import each other by name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if "benchmarks" in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_the_page_on_money_is_current(benchmark):
    page = (ROOT / "docs/money.md").read_text("utf-8")
    assert page == benchmark("money").money_page(), "run benchmarks/money.py"


def test_the_page_on_scaling_has_the_numbers_of_today(benchmark):
    script, page = benchmark("scaling"), (ROOT / "docs/scaling.md").read_text("utf-8")
    chip = load_chip(script.PAPER)
    for model in (load_architecture("gpt2"), load_architecture("llama-3.1-405b"), scaled_decoder(1e15)):
        point = scaling_point(chip, model, script.TOKENS)
        cells = (script.short(model.parameters), f"{point.width:,}", *script._macs(point))
        assert " | ".join(cells) in page, f"{model.name}: run benchmarks/scaling.py"
