"""`photonsim generate` and `photonsim coverage`: what they print and write, and what they refuse."""

import json

import pytest
from typer.testing import CliRunner

from photonsim.cli.app import app, main
from photonsim.models.registry import TINY_FOLDER


def invoke(*arguments):
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    assert max(len(line) for line in result.stdout.splitlines() if not line.startswith("wrote")) <= 80
    return result.stdout


@pytest.fixture
def refused(monkeypatch, capsys):
    def refuse(*arguments):
        monkeypatch.setattr("sys.argv", ["photonsim", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        assert (stopped.value.code, out) == (2, "")
        return err

    return refuse


def test_generate_prints_both_answers_their_cost_and_all_samples(tmp_path):
    path = tmp_path / "answer.json"
    printed = invoke("generate", "The union", "--tokens", "3", "--samples", "2", "--seed", "4", "--json", str(path))
    for words in ("digital", "lightmatter-envise-2025", "Cost", "Samples", "majority", "best"):
        assert words in printed
    record = json.loads(path.read_text(encoding="utf-8"))
    assert (record["seed"], record["prompt"], len(record["digital"]["tokens"])) == (4, "The union", 3)
    assert record["samples"]["answers"][0] == record["on_chip"]
    assert {"prefill", "decode"} <= set(record["expenses"][0])
    assert ("part at token" in printed) == (record["differs_at"] is not None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["", "--tokens", "3"], "The prompt is empty"),
        (["a", "--tokens", "400"], "takes at once, 256"),
        (["a", "--tokens", "0"], "tokens = 0"),
        (["a", "--temperature", "-1"], "temperature = -1 must be at least 0"),
        (["a", "--top-p", "2"], "top_p = 2 is above 1"),
        (["a", "--samples", "0"], "samples = 0"),
        (["a", "--policy", "nohead"], "Did you mean no-head?"),
        (["a", "--model", "smollm-135m"], "Did you mean smollm2-135m?"),
        (["a", "--json", "absent/out.json"], "does not exist"),
        (["a", "--engine", "abacus"], "auto, jax, numba"),
    ],
)
def test_generate_refuses_what_cannot_be_answered(refused, options, message):
    assert message in refused("generate", *options)


def test_coverage_needs_only_a_configuration(tmp_path):
    printed = invoke("coverage", str(TINY_FOLDER / "config.json"), "--policy", "no-head", "--json", "out.json")
    assert "the head, kept" in " ".join(printed.split())
    record = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert {"mac_share", "macs_total", "sites", "digital", "layers", "weights_on_chip"} <= set(record)
    assert record["products_total"] == len(record["sites"]) == 19
    assert [row["name"] for row in record["digital"]] == ["model.embed_tokens.weight"]
    assert record["mac_share"] == pytest.approx(1 - record["digital"][0]["macs"] / record["macs_total"])
    assert [share["layer"] for share in record["layers"]] == [None, 0, 1]


def test_coverage_lists_the_routers_of_a_mixture_with_the_reason(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(MIXTURE | {"model_type": "qwen3_moe"}))
    assert "noise would flip its choice" in " ".join(invoke("coverage", "config.json").split())


MIXTURE = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "moe_intermediate_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 32,
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["smollm"], "Did you mean smollm2-135m?"),
        (["absent.json"], "Cannot read"),
        (["tiny", "--context", "999"], "a length from 1 to 256"),
        (["tiny", "--rule", "*.nonsense=digital", "--strict"], "decides no matrix product"),
        (["tiny", "--policy", "weight-only"], "Did you mean weights-only?"),
    ],
)
def test_coverage_refuses_what_it_cannot_read(refused, arguments, message):
    assert message in refused("coverage", *arguments)


def test_coverage_of_an_unknown_model_type_says_so(refused, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "oracle"}')
    assert "'oracle' is unknown to transformers" in refused("coverage", "config.json")
