"""Every architecture of the table in docs/models.md, which is made by the same check."""

import re
from pathlib import Path

import pytest

from photonsim.hf import simulate
from photonsim.hf.architectures import architectures, check

ALL = {architecture.name: architecture for architecture in architectures()}
MIXTURES = ("Qwen3-MoE", "Mixtral", "DeepSeek-V3")
PAGE = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.mark.parametrize("name", ALL)
def test_an_exact_chip_gives_the_models_own_answers_and_every_product_is_counted(name):
    found = check(ALL[name])
    assert found.difference < 1e-4
    assert found.macs == found.macs_expected
    assert found.tokens_equal in ((True,) if ALL[name].generate else (None,))
    assert 0.01 < found.noisy_error < 1  # the noise arrives, and does not drown everything
    assert (0.9 < found.share < 1) if name in MIXTURES else found.share == 1


def test_the_page_of_models_has_a_green_row_for_each():
    rows = re.findall(r"^\| ([^|]+?) \| \d+ \|.*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == list(ALL)
    assert "**" not in PAGE.read_text(encoding="utf-8")


def test_only_routers_stay_digital(ideal):
    for name in MIXTURES:
        table = simulate(ALL[name].model("eager"), ideal).coverage(**ALL[name].inputs)
        digital = [row for row in table.products if not row.on_chip and row.k > 1]
        assert {row.name.split(".", 3)[-1] for row in digital} == {"mlp.gate.weight"}
        assert all("router" in (row.reason or "") for row in digital)
