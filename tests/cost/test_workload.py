"""Counts of a decoder's work against published sizes and against work done by hand."""

import pytest

from photonsim.cost import ForwardPass, Product, Storage, Workload, architecture, forward
from photonsim.cost.architecture import Attention
from photonsim.cost.workload import macs
from photonsim.errors import PhotonsimError

SMOLLM2_CONFIG = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
}
SMOLLM2 = architecture(SMOLLM2_CONFIG)
TINY = architecture(
    {
        "vocab_size": 10,
        "hidden_size": 4,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 2,
        "intermediate_size": 6,
    }
)


def by_name(items):
    return {item.name: item for item in items}


def test_weights_of_smollm2_are_its_published_parameters():
    """134,515,008 parameters with the tied head counted once; 61 norms of 576 are no matrix product."""
    weights = forward(SMOLLM2, ForwardPass(1, 1), Storage(weight_bits=1)).weight_bits
    assert weights + 61 * 576 == 134_515_008


def test_a_forward_pass_takes_one_mac_per_weight_and_token_and_two_squares_per_head():
    workload = forward(SMOLLM2, ForwardPass(2, 100))
    attention = 2 * 30 * 9 * 2 * 100 * 100 * 64
    assert workload.macs == 200 * (134_515_008 - 61 * 576) + attention


def test_prefill_spreads_the_weights_over_all_tokens_and_decode_over_sequences():
    prefill, decode = (forward(SMOLLM2, run) for run in (ForwardPass(4, 128), ForwardPass(4, 1, past=127)))
    assert (prefill.phase, decode.phase) == ("prefill", "decode")
    assert (prefill.tokens, decode.tokens) == (512, 4)
    assert prefill.weight_bits == decode.weight_bits


def test_a_decode_step_reads_the_cache_of_the_past_and_adds_one_token_to_it():
    """Keys and values of 2 sequences, 1 layer, 1 KV head of 2, in 16 bits: 64 bits per token."""
    cache = by_name(forward(TINY, ForwardPass(2, 1, past=7)).traffic)["KV cache"]
    assert cache.read_bits == 2 * 8 * 64
    assert cache.write_bits == 2 * 1 * 64


def test_decoding_token_by_token_does_the_weight_products_of_one_prefill():
    prefill = by_name(forward(TINY, ForwardPass(1, 5)).products)
    for name in ("q_proj", "down_proj", "lm_head"):
        steps = [ForwardPass(1, 1, past) for past in range(5)]
        decoded = sum(macs(by_name(forward(TINY, step).products)[name]) for step in steps)
        assert decoded == macs(prefill[name])


def test_vector_operations_of_a_tiny_layer_are_those_counted_by_hand():
    """3 tokens, 2 heads over 3 scores; 3 norms of 4; 3 heads of 2 rotated; 6 gates; 2 additions of 4; 10 logits."""
    work = {item.name: item.operations for item in forward(TINY, ForwardPass(1, 3)).vector}
    assert work == {
        "softmax": 2 * 3 * (3 * 14 + 8),
        "RMSNorm": 3 * 3 * (4 * 4 + 10),
        "rotary embedding": 3 * 3 * 2 * 3,
        "SiLU": 3 * 6 * 20,
        "residual": 3 * 2 * 4,
        "read-out": 3 * (10 * 11 + 8),
    }


def test_products_of_two_activations_read_no_weights():
    storage = Storage()
    assert storage.weights_in(Product("scores", "activation", 9, 8, 64, 8)) == 0
    assert storage.weights_in(Product("up", "weight", 1, 8, 64, 32, trips=3)) == 3 * 64 * 32 * 8


def test_a_measured_list_of_products_replaces_the_one_from_the_shape():
    products = (Product("all of it", "weight", 1, 3, 4, 5, on_chip=False),)
    workload = forward(TINY, ForwardPass(1, 3), products=products)
    assert workload.macs == 60
    assert workload.vector == forward(TINY, ForwardPass(1, 3)).vector


def test_a_config_with_missing_fields_is_refused_by_their_names():
    config = {key: value for key, value in SMOLLM2_CONFIG.items() if key not in ("vocab_size", "hidden_size")}
    with pytest.raises(PhotonsimError, match="vocab_size, hidden_size"):
        architecture(config)


def test_head_counts_left_out_of_a_config_follow_from_the_others():
    config = {key: value for key, value in SMOLLM2_CONFIG.items() if key != "num_key_value_heads"}
    attention = architecture(config).main.layers[0].attention
    assert isinstance(attention, Attention)
    assert (attention.kv_heads, attention.head_dim) == (9, 64)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Product("up", "weigth", 1, 2, 3, 4), "Did you mean weight"),
        (lambda: Product("up", "weight", 1, 0, 3, 4), "up: m = 0"),
        (lambda: ForwardPass(1, 0), "tokens = 0"),
        (lambda: ForwardPass(1, 1, -3), "past = -3"),
        (lambda: Storage(weight_bits=0), r"storage\.weight_bits = 0"),
        (lambda: Workload("prefill", 0, (), (), (), Storage()), r"workload\.tokens = 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(build, message):
    with pytest.raises(PhotonsimError, match=message):
        build()
