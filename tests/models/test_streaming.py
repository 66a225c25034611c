"""Checkpoints read layer by layer: the same answer as from memory, in the memory of a layer."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models

from photonsim.chip import load_chip
from photonsim.errors import PhotonsimError
from photonsim.evaluate.perplexity import compare, text_windows
from photonsim.evaluate.run import window_seed
from photonsim.evaluate.streaming import stream
from photonsim.models import load, sample_text
from photonsim.models.llama import LlamaConfig, parameter_shapes
from photonsim.models.registry import TINY_FOLDER
from photonsim.models.streaming import open_checkpoint
from photonsim.swap import simulate


@pytest.mark.slow
def test_a_streamed_run_is_the_run_from_memory():
    model, checkpoint, chip = load("tiny"), open_checkpoint(TINY_FOLDER), load_chip("lightmatter-envise-2025")
    windows = text_windows(model.encode(sample_text()), 64, 32)
    keys = [window_seed(0, number) for number in range(len(windows))]
    simulation = simulate(model.apply, chip)
    expected = list(
        compare(
            lambda i, ids: model.apply(model.params, ids),
            lambda i, ids: simulation(model.params, ids, seed=keys[i]),
            windows,
        )
    )
    found = stream(checkpoint, chip, windows, keys)
    other = stream(checkpoint, chip, windows, [window_seed(1, number) for number in range(len(windows))])
    for (digital, photonic), (digital_expected, photonic_expected), (_, another) in zip(
        found.parts, expected, other.parts, strict=True
    ):
        np.testing.assert_allclose(digital.nll, digital_expected.nll, atol=1e-4)
        # The digital steps between products round differently when compiled apart, and a rounding may tip a converter
        # by a code; noise of another seed moves every answer by far more.
        apart = np.abs(photonic.nll - photonic_expected.nll).mean()
        assert apart < 0.05 * np.abs(another.nll - photonic_expected.nll).mean()


def test_a_stage_reads_its_own_weights_and_no_more():
    checkpoint, model = open_checkpoint(TINY_FOLDER), load("tiny")
    read = [set(checkpoint.read(stage)) for stage in checkpoint.stages]
    assert set().union(*read) == set(model.params)
    assert {name for name in read[1] if not name.startswith("model.layers.0.")} == set()
    assert checkpoint.digest_sha256 == model.digest_sha256


def test_what_cannot_be_streamed_is_refused(tmp_path):
    with pytest.raises(PhotonsimError, match="is not a folder"):
        open_checkpoint(tmp_path / "model.gguf")
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "gpt2", "vocab_size": 9, "n_embd": 8, "n_layer": 1, "n_head": 1, "n_positions": 8})
    )
    with pytest.raises(PhotonsimError, match="not of the Llama family"):
        open_checkpoint(tmp_path)


ACTIVATIONS = 64 << 20
LARGE = LlamaConfig(
    vocab_size=512,
    hidden_size=1024,
    intermediate_size=4096,
    num_hidden_layers=12,
    num_attention_heads=16,
    num_key_value_heads=16,
    head_dim=64,
    max_position_embeddings=64,
)


def write_large(folder, layers_per_shard: int) -> tuple[int, int]:
    """Random float16 weights in shards of some layers; bytes of all weights, and of the largest shard."""
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(LARGE)
    shard_of = lambda name: int(name.split(".")[2]) // layers_per_shard if ".layers." in name else -1  # noqa: E731
    index, sizes = {}, []
    for number in sorted({shard_of(name) for name in shapes}):
        block = rng.standard_normal(1 << 16, np.float32) * 0.02
        names = [name for name in shapes if shard_of(name) == number]
        tensors = {name: np.resize(block, shapes[name]).astype(np.float16) for name in names}
        file = f"model-{number + 1}.safetensors"
        save_file(tensors, folder / file)
        index |= dict.fromkeys(names, file)
        sizes.append(sum(tensor.nbytes for tensor in tensors.values()))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    fields = {name: getattr(LARGE, name) for name in LlamaConfig.__dataclass_fields__}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **fields}))
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(folder / "tokenizer.json"))
    return sum(sizes), max(sizes)


@pytest.mark.slow
def test_a_checkpoint_larger_than_memory_runs_in_little_more_than_its_largest_shard(tmp_path):
    weights, shard = write_large(tmp_path, layers_per_shard=6)
    program = textwrap.dedent(
        f"""
        import resource
        import jax, numpy as np
        from photonsim.chip import load_chip
        from photonsim.evaluate.perplexity import text_windows
        from photonsim.evaluate.run import window_seed
        from photonsim.evaluate.streaming import stream
        from photonsim.models.registry import TINY_FOLDER
        from photonsim.models.streaming import open_checkpoint

        chip = load_chip("lightmatter-envise-2025")
        keys = [window_seed(0, 0)]
        windows = text_windows(np.arange(65) % 500, 32, 32)
        stream(open_checkpoint(TINY_FOLDER), chip, windows, keys)  # code, compilers and thread pools are now in memory
        data = next(line for line in open("/proc/self/status") if line.startswith("VmData"))
        limit = int(data.split()[1]) * 1024 + int(1.2 * {shard}) + {ACTIVATIONS}
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        parts = stream(open_checkpoint({str(tmp_path)!r}), chip, windows, keys).parts
        assert np.isfinite(parts[0][1].nll).all()
        """
    )
    # Else glibc keeps room for each thread, so for each core; and the compilers are there before the limit is set.
    environment = os.environ | {"MALLOC_ARENA_MAX": "2", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 2 * weights > 2 * (1.2 * shard + ACTIVATIONS)  # as float32, all of it would need over twice the room
