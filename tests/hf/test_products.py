"""Each operation that is a matrix product, against PyTorch's own answer, on an exact chip through its tiles."""

import tracemalloc

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from photonsim.hf import simulate
from photonsim.hf.attention import attention
from photonsim.hf.products import Convolution

GENERATOR = torch.Generator().manual_seed(2)


class Calling(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function, **parameters):
        super().__init__()
        self.function = function
        for name, value in parameters.items():
            self.register_parameter(name, torch.nn.Parameter(value))

    def forward(self, *args):
        return self.function(self, *args)


def normal(*shape):
    return torch.randn(shape, generator=GENERATOR)


def same(ideal, module, *args, products=1):
    """The module's own answer and the exact chip's agree, with that many products on the chip."""
    with torch.no_grad():
        sim = simulate(module, ideal, engine="numba")
        torch.testing.assert_close(sim(*args), module(*args), rtol=1e-5, atol=2e-5)
    assert sum(row.site.trips for row in sim.executed.rows if row.on_chip) == products
    return sim.executed.rows


CASES = {
    "mm": (lambda m, x: x @ m.w, {"w": normal(6, 5)}, (normal(4, 6),)),
    "weight on the left": (lambda m, x: m.w.mT @ x, {"w": normal(6, 5)}, (normal(6, 3),)),
    "addmm": (
        lambda m, x: torch.addmm(m.b, x, m.w, beta=0.5, alpha=2), {"w": normal(6, 5), "b": normal(5)}, (normal(4, 6),),
    ),
    "addmm in place": (lambda m, x: x.clone().addmm_(x, m.w), {"w": normal(6, 6)}, (normal(6, 6),)),
    "into a given tensor": (lambda m, x: torch.mm(x, m.w, out=torch.empty(4, 5)), {"w": normal(6, 5)}, (normal(4, 6),)),
    "bmm": (lambda m, x: torch.bmm(x, m.w), {"w": normal(3, 6, 5)}, (normal(3, 4, 6),)),
    "baddbmm": (lambda m, x: torch.baddbmm(x, x, m.w, alpha=0.5), {"w": normal(3, 6, 6)}, (normal(3, 6, 6),)),
    "matrix times vector": (lambda m, x: m.w @ x, {"w": normal(5, 6)}, (normal(6),)),
    "addmv": (lambda m, x: torch.addmv(m.b, m.w, x), {"w": normal(5, 6), "b": normal(5)}, (normal(6),)),
    "dot": (lambda m, x: torch.dot(m.w, x), {"w": normal(6)}, (normal(6),)),
    "einsum": (lambda m, x: torch.einsum("bti,oi->bto", x, m.w), {"w": normal(5, 6)}, (normal(2, 4, 6),)),
    "experts": (
        lambda m, x: torch.ops.aten._grouped_mm(x, m.w, torch.tensor([3, 3, 8], dtype=torch.int32)),
        {"w": normal(3, 8, 8)}, (normal(8, 8),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operation_on_an_exact_chip_is_itself(ideal, name):
    function, parameters, args = CASES[name]
    rows = same(ideal, Calling(function, **parameters), *args)
    assert rows[0].name == "w"
    assert rows[0].kind == "weight"


@given(data=st.data())
def test_a_convolution_on_an_exact_chip_is_itself(ideal, data):
    axes = data.draw(st.integers(1, 3))
    groups = data.draw(st.sampled_from([1, 2]))
    transposed = axes < 3 and data.draw(st.booleans())
    stride, dilation, padding = (data.draw(st.integers(low, 2)) for low in (1, 1, 0))
    kind = getattr(torch.nn, f"Conv{'Transpose' if transposed else ''}{axes}d")
    layer = kind(4, 6, data.draw(st.integers(1, 3)), stride, padding, dilation=dilation, groups=groups)
    same(ideal, layer, normal(2, 4, *[7] * axes))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_in_strips_is_the_product_of_all_its_patches(envise, monkeypatch, groups):
    """To the bit, noise included: 6000 rows of patches, at most 1032 of which are there at a time."""
    layer, images, rows = torch.nn.Conv2d(4, 6, 3, padding=1, groups=groups, bias=False), normal(2, 4, 60, 50), []

    def multiply_at_once(self, multiply):
        patches = functional.unfold(images, 3, padding=1).transpose(1, 2).reshape(6000, groups, 36 // groups)
        return multiply(patches.transpose(0, 1) if groups > 1 else patches[:, 0], 0)

    def noted(self, first=0, count=None, own=Convolution.inputs):
        rows.append(count)
        return own(self, first, count)

    monkeypatch.setattr(Convolution, "inputs", noted)
    with torch.no_grad():
        found = simulate(layer, envise)(images)
        assert rows == [1000] * 6
        monkeypatch.setattr(Convolution, "multiply", multiply_at_once)
        assert torch.equal(found, simulate(layer, envise)(images))
        assert not torch.equal(found, layer(images))


def test_patches_of_a_larger_image_take_no_more_memory():
    """Of the arrays that NumPy makes: an image of 40 channels has 9 MB of patches, one of four times its size 37."""

    def peak(height):
        images, kernels = normal(1, 40, height, 160), normal(3, 40, 3, 3)
        product = Convolution(images, kernels, None, (1,), (1,), (1,), 1)
        tracemalloc.start()
        product.multiply(lambda inputs, first: inputs @ product.matrix())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    strip = 1032 * 360 * 4
    assert peak(40) < 1.2 * strip
    assert peak(160) < 1.2 * strip


@given(data=st.data())
def test_attention_in_parts_is_the_fused_one(data):
    shared, group = data.draw(st.sampled_from([(2, 1), (1, 3), (2, 2)]))
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    query, key, value = normal(2, shared * group, rows, 8), normal(2, shared, columns, 8), normal(2, shared, columns, 4)
    mask = data.draw(st.sampled_from(["none", "causal", "boolean", "additive"]))
    visible = torch.rand(2, 1, rows, columns, generator=GENERATOR) > 0.4
    given_mask = {"boolean": visible, "additive": normal(2, 1, rows, columns)}.get(mask)
    settings = {
        "attn_mask": given_mask,
        "is_causal": mask == "causal",
        "scale": data.draw(st.sampled_from([None, 0.3])),
        "enable_gqa": group > 1,
    }
    expected = functional.scaled_dot_product_attention(query, key, value, **settings)
    torch.testing.assert_close(attention(query, key, value, **settings), expected, rtol=1e-5, atol=1e-6)


def test_multi_head_attention_is_seen_whole(ideal):
    layer = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = normal(2, 5, 8)
    rows = same(ideal, Calling(lambda m, x: layer(x, x, x)[0]), x, products=4)
    assert [row.kind for row in rows].count("activation") == 4  # its parameters are not the calling module's
    names = [row.name for row in simulate(layer, ideal).coverage(x, x, x).rows]
    assert names == ["in_proj_weight", "product", "product#1", "out_proj.weight"]


def test_a_slice_of_stacked_experts_is_named_by_its_number(ideal):
    rows = same(ideal, Calling(lambda m, x: x @ m.w[2] + x @ m.w[0], w=normal(3, 6, 6)), normal(4, 6), products=2)
    assert [row.name for row in rows] == ["w.2", "w.0"]
    assert rows[0].site.paths == ("w",)


def test_a_weight_made_of_parameters_is_named_after_them(ideal):
    module = Calling(lambda m, x: x @ torch.cat([m.q, m.k], dim=1), q=normal(6, 4), k=normal(6, 4))
    (row,) = same(ideal, module, normal(3, 6))
    assert row.name == "{k,q}"
