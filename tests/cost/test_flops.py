"""Multiply-accumulates against torch's own counter, on small random models of Hugging Face.

Every matrix product of the eager implementations is counted, those of attention, routers and experts included.
"""

from typing import Any

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from photonsim.cost import ForwardPass, architecture, forward

BATCH, TOKENS = 2, 12
SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
DECODER = SIZES | {"num_key_value_heads": 2, "intermediate_size": 48}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
LATENT = {
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
    "n_routed_experts": 8,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
TEXT = {  # settings by model_type
    "gpt2": {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "llama": DECODER,
    "mistral": DECODER | {"sliding_window": None},
    "qwen3": DECODER | {"head_dim": 8},
    "gemma3_text": DECODER | {"head_dim": 8, "sliding_window": 16},
    "mixtral": DECODER | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_moe": DECODER | EXPERTS | {"head_dim": 8, "num_experts": 8, "mlp_only_layers": [0]},
    "glm4_moe": DECODER | EXPERTS | {"head_dim": 8, "n_routed_experts": 8, "first_k_dense_replace": 1},
    "deepseek_v3": DECODER | EXPERTS | LATENT | {"num_key_value_heads": 4},
    "gpt_oss": DECODER | {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16},
    "bert": SIZES | {"intermediate_size": 48, "max_position_embeddings": 64},
}
PIXELS = {"image_size": 16, "patch_size": 4, "intermediate_size": 48, **SIZES}
WHISPER = {
    "vocab_size": 64,
    "d_model": 32,
    "num_mel_bins": 8,
    "max_source_positions": 20,
    "max_target_positions": 40,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 1,
    "decoder_start_token_id": 1,
    **{f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in (("layers", 2), ("ffn_dim", 48))},
    **{f"{side}_attention_heads": 4 for side in ("encoder", "decoder")},
}


def small(kind: str, settings: dict, head: str) -> Any:
    """A random model whose products are all written out: eager attention, experts as a batched product."""
    config = transformers.AutoConfig.for_model(kind, **settings)
    config._experts_implementation = "batched_mm"
    return getattr(transformers, head).from_config(config, attn_implementation="eager").eval()


def counted(model: Any, **inputs) -> int:
    """Multiply-accumulates that torch counts in one forward pass."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**inputs)
    return counter.get_total_flops() // 2


def ours(model: Any, run: ForwardPass) -> int:
    config = model.config.to_dict()
    return forward(architecture(config), run).macs


@pytest.mark.parametrize("kind", TEXT)
def test_a_prefill_takes_the_macs_that_torch_counts(kind):
    model = small(kind, TEXT[kind], "AutoModelForMaskedLM" if kind == "bert" else "AutoModelForCausalLM")
    if kind == "bert":
        model.config.architectures = ["BertForMaskedLM"]
    found = counted(model, input_ids=torch.ones(BATCH, TOKENS, dtype=torch.long))
    assert found == ours(model, ForwardPass(BATCH, TOKENS))


@pytest.mark.parametrize("kind", ["vit", "deit"])
def test_an_image_takes_the_macs_that_torch_counts(kind):
    head = "DeiTForImageClassificationWithTeacher" if kind == "deit" else "ViTForImageClassification"
    config = transformers.AutoConfig.for_model(kind, **PIXELS)
    config._attn_implementation = "eager"
    model = getattr(transformers, head)(config).eval()
    tokens = architecture(model.config.to_dict()).fixed_tokens
    assert counted(model, pixel_values=torch.ones(BATCH, 3, 16, 16)) == ours(model, ForwardPass(BATCH, tokens))


def test_speech_takes_the_macs_that_torch_counts():
    model = small("whisper", WHISPER, "AutoModelForSpeechSeq2Seq")
    speech, text = torch.ones(BATCH, 8, 40), torch.ones(BATCH, 5, dtype=torch.long)
    found = counted(model, input_features=speech, decoder_input_ids=text)
    assert found == ours(model, ForwardPass(BATCH, 5))
