"""`photonsim route`: what it prints and writes for each thing that can be sent, and what it refuses."""

import json

import numpy as np
import pytest
from jax import numpy as jnp
from typer.testing import CliRunner

from photonsim.cli.app import app, main
from photonsim.models import LlamaConfig, Model, load, parameter_shapes


@pytest.fixture
def small(monkeypatch):
    """The tiny model's tokenizer over a random layer, in place of whatever is loaded."""
    config = LlamaConfig(512, 32, 48, 1, 4, 2, 8, 512)
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(config).items()
    params = {name: jnp.array(rng.normal(0, 0.3, shape) + (len(shape) == 1), jnp.float32) for name, shape in shapes}
    monkeypatch.setattr(
        "photonsim.cli.route.load", lambda name: Model("small", config, params, load("tiny").tokenizer, "")
    )


def invoke(*arguments):
    result = CliRunner().invoke(app, ["route", "The union", "--tokens", "2", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    return " ".join(result.stdout.split())


def test_tokens_are_sent_to_digital_hardware_and_both_are_paid_for(small, tmp_path):
    printed = invoke("--threshold", "1", "--hardware", "nvidia-5nm-int4", "--json", "routed.json")
    assert "2 of 2 tokens were done again, each where the chip's probability was below 1" in printed
    for words in ("INT4", "done again", "both", "alone"):
        assert words in printed
    record = json.loads((tmp_path / "routed.json").read_text(encoding="utf-8"))
    assert record["joules"] == pytest.approx(record["chip_joules"] + record["digital_joules"])
    assert record["digital_joules"] == pytest.approx(record["digital_alone_joules"])
    assert (record["again"], record["routing"]["level"], record["prompt"]) == ([True, True], "token", "The union")


def test_layers_are_sent_once_by_how_many_tokens_they_keep(small, tmp_path):
    printed = invoke("--threshold", "1", "--level", "layer", "--json", "layers.json")
    assert "digital: layer 0 keeps" in printed
    record = json.loads((tmp_path / "layers.json").read_text(encoding="utf-8"))
    assert 0 < record["layers"]["agreement"]["0"] <= 1
    digital = {row["name"] for row in record["coverage"]["digital"]}
    assert digital == {row["name"] for row in record["coverage"]["sites"] if row["layer"] == 0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "2"], "threshold = 2 is above 1"),
        (["--threshold", "1", "--level", "word"], "--level = 'word' is unknown"),
        (["--threshold", "1", "--confidence", "luck"], "measure = 'luck' is unknown"),
        (["--threshold", "1", "--hardware", "abacus"], "--hardware = 'abacus' is unknown"),
    ],
)
def test_a_route_that_cannot_be_is_refused(monkeypatch, capsys, options, message):
    monkeypatch.setattr("sys.argv", ["photonsim", "route", "The union", *options])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
