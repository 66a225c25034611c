"""Chips that are read once, a small decoder, and one PyTorch thread: the machine's processors run other tests."""

from typing import Any

import pytest
import torch
import transformers

from photonsim.chip import load_chip

CONFIG: dict[str, Any] = {"vocab_size": 97, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2}
CONFIG |= {"num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 64, "pad_token_id": 0}


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def envise():
    """A chip with converters and noise."""
    return load_chip("lightmatter-envise-2025")


@pytest.fixture(scope="session")
def ideal():
    """A chip that nothing disturbs."""
    return load_chip("ideal")


@pytest.fixture
def decoder():
    """A random Llama, new for each test."""
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG)).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture(scope="session")
def tokens():
    """Two sequences of twelve tokens."""
    return torch.randint(3, 97, (2, 12), generator=torch.Generator().manual_seed(1))
