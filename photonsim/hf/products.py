"""PyTorch's matrix products in one form: `(batch, m, k) @ (batch, k, n)`.

By the time an operation reaches the dispatcher, `linear`, `matmul`, `einsum`, `Conv1D`, `bilinear` and whatever else a
module calls have become a few: `mm`, `addmm`, `bmm`, `baddbmm`, `convolution`, `_grouped_mm` and their relatives below.
"""

import abc
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from photonsim.hf.units import host_array
from photonsim.swap.products import Size, strip_rows
from photonsim.tiles.patches import Window, patch_rows_host

Finish = Callable[[torch.Tensor], torch.Tensor]
Multiply = Callable[[torch.Tensor, int], torch.Tensor]  # (inputs, number of their first row) -> outputs
aten = torch.ops.aten


class AbstractProduct(abc.ABC):
    """A matrix product of an operation; `left` and `right` are its operands as the model has them."""

    either = False  # whether the left operand may sit in the tiles
    tile_operand = 1

    def __init__(self, left: torch.Tensor, right: torch.Tensor):
        self.left = left
        self.right = right

    @property
    @abc.abstractmethod
    def size(self) -> Size:
        """How large it is, with the operand for the tiles on the right."""

    @property
    def obstacle(self) -> str | None:
        """Why no chip can take it, or `None`."""
        for operand in (self.left, self.right):
            if operand.layout is not torch.strided:
                return f"{_plain(operand.layout)} operand: a chip multiplies dense matrices"
            if not operand.is_floating_point() or operand.is_quantized:
                return f"{_plain(operand.dtype)} operand: a chip multiplies real floating-point numbers"
        return None

    @abc.abstractmethod
    def matrix(self) -> torch.Tensor:
        """The operand for the tiles, (k, n) or (batch, k, n): a view wherever one is possible."""

    @abc.abstractmethod
    def inputs(self) -> torch.Tensor:
        """The other operand, (m, k) or (batch, m, k)."""

    def multiply(self, multiply: Multiply) -> torch.Tensor:
        """The float32 product, by what multiplies inputs with the tiles."""
        return multiply(self.inputs(), 0)

    @abc.abstractmethod
    def finish(self, result: torch.Tensor) -> torch.Tensor:
        """What the operation returns, from the float32 product."""


def _plain(thing: Any) -> str:
    return str(thing).removeprefix("torch.")


class Dense(AbstractProduct):
    """`left @ right`, two- or three-dimensional; `after` does what the operation does to it."""

    either = True

    def __init__(self, left: torch.Tensor, right: torch.Tensor, after: Finish = lambda result: result):
        super().__init__(left, right)
        self.after = after

    @property
    def size(self) -> Size:
        rows, inner, columns = *self.left.shape[-2:], self.right.shape[-1]
        m, n = (rows, columns) if self.tile_operand == 1 else (columns, rows)
        return Size(self.left.shape[0] if self.left.ndim == 3 else 1, m, inner, n)

    def matrix(self) -> torch.Tensor:
        return self.right if self.tile_operand == 1 else self.left.transpose(-2, -1)

    def inputs(self) -> torch.Tensor:
        return self.left if self.tile_operand == 1 else self.right.transpose(-2, -1)

    def finish(self, result: torch.Tensor) -> torch.Tensor:
        if self.tile_operand == 0:
            result = result.transpose(-2, -1).contiguous()
        return self.after(result.to(self.left.dtype))


class Convolution(AbstractProduct):
    """A convolution as patches times kernels, in up to three dimensions; a group is an element of the batch.

    Strips of rows one after another: the matrix of all patches never exists (`photonsim.tiles.patches`).
    """

    def __init__(self, inputs, kernels, bias, stride, padding, dilation, groups):
        super().__init__(inputs, kernels)
        self.bias = bias
        self.groups = groups
        axes = kernels.ndim - 2
        self.stride, self.padding, self.dilation = (_for_axes(v, axes) for v in (stride, padding, dilation))

    @property
    def positions(self) -> tuple[int, ...]:
        """Extent of the result along each axis."""
        sizes = zip(self.left.shape[2:], self.right.shape[2:], self.stride, self.padding, self.dilation, strict=True)
        return tuple((length + 2 * p - d * (window - 1) - 1) // s + 1 for length, window, s, p, d in sizes)

    @property
    def size(self) -> Size:
        features, channels, *window = self.right.shape
        rows = self.left.shape[0] * math.prod(self.positions)
        return Size(self.groups, rows, channels * math.prod(window), features // self.groups)

    def matrix(self) -> torch.Tensor:
        size = self.size
        if self.groups == 1:
            return self.right.reshape(size.n, size.k).t()
        return self.right.reshape(size.batch, size.n, size.k).transpose(1, 2)

    @functools.cached_property
    def _window(self) -> Window:
        return Window(
            positions=self.positions,
            shape=tuple(self.right.shape[2:]),
            strides=self.stride,
            before=self.padding,
            image_dilation=(1,) * len(self.stride),
            window_dilation=self.dilation,
        )

    @functools.cached_property
    def _images(self) -> np.ndarray:
        return host_array(self.left)

    def inputs(self, first: int = 0, count: int | None = None) -> torch.Tensor:
        """Some rows of patches, (count, channels · window), channels slowest, zeros after the last; else all."""
        size = self.size
        rows = torch.from_numpy(patch_rows_host(self._window, self._images, first, count or size.m))
        return rows if size.batch == 1 else rows.reshape(-1, size.batch, size.k).transpose(0, 1)

    def multiply(self, multiply: Multiply) -> torch.Tensor:
        size, count = self.size, strip_rows(self.size.m)
        if count == size.m:
            return multiply(self.inputs(), 0)
        leading = () if size.batch == 1 else (size.batch,)
        whole = torch.empty(*leading, size.m, size.n, device=self.left.device)
        for first in range(0, size.m, count):
            own = whole[..., first : first + count, :]
            own.copy_(multiply(self.inputs(first, count), first)[..., : own.shape[-2], :])
        return whole

    def finish(self, result: torch.Tensor) -> torch.Tensor:
        if self.groups > 1:
            result = result.transpose(0, 1).reshape(self.size.m, -1)
        result = result.reshape(self.left.shape[0], *self.positions, -1).movedim(-1, 1).to(self.left.dtype).contiguous()
        if self.bias is None:
            return result
        return result + self.bias.reshape(-1, *[1] * len(self.stride))


class TransposedConvolution(AbstractProduct):
    """A transposed convolution in one or two dimensions: every input position times the kernels, then added up where
    the windows overlap."""

    def __init__(self, inputs, kernels, bias, stride, padding, dilation, output_padding, groups):
        super().__init__(inputs, kernels)
        self.bias = bias
        self.groups = groups
        axes = kernels.ndim - 2
        settings = (stride, padding, dilation, output_padding)
        self.stride, self.padding, self.dilation, self.extra = (_for_axes(v, axes) for v in settings)

    @property
    def obstacle(self) -> str | None:
        if self.right.ndim > 4:
            return "transposed convolution in three dimensions"
        return super().obstacle

    @property
    def size(self) -> Size:
        channels, features, *window = self.right.shape
        rows = self.left.shape[0] * math.prod(self.left.shape[2:])
        return Size(self.groups, rows, channels // self.groups, features * math.prod(window))

    def matrix(self) -> torch.Tensor:
        size = self.size
        return self.right.reshape(*([] if self.groups == 1 else [size.batch]), size.k, size.n)

    def inputs(self) -> torch.Tensor:
        size = self.size
        rows = self.left.movedim(1, -1).reshape(size.m, -1)
        return rows if self.groups == 1 else rows.reshape(size.m, size.batch, size.k).transpose(0, 1)

    def finish(self, result: torch.Tensor) -> torch.Tensor:
        if self.groups > 1:
            result = result.transpose(0, 1).reshape(self.size.m, -1)
        places, window = self.left.shape[2:], self.right.shape[2:]
        sizes = zip(places, self.stride, self.padding, self.dilation, window, self.extra, strict=True)
        extent = [(place - 1) * s - 2 * p + d * (w - 1) + 1 + e for place, s, p, d, w, e in sizes]
        columns = result.reshape(self.left.shape[0], math.prod(places), -1).transpose(1, 2)
        one, none = [1] * (2 - len(extent)), [0] * (2 - len(extent))  # fold is two-dimensional
        whole = functional.fold(
            columns,
            (*one, *extent),
            (*one, *window),
            dilation=(*one, *self.dilation),
            padding=(*none, *self.padding),
            stride=(*one, *self.stride),
        ).reshape(self.left.shape[0], -1, *extent)
        whole = whole.to(self.left.dtype)
        return whole if self.bias is None else whole + self.bias.reshape(-1, *[1] * len(extent))


class Grouped(AbstractProduct):
    """Rows in consecutive groups, each group times a matrix of its own: the experts of a mixture. `ends` are the row
    numbers after each group."""

    def __init__(self, rows: torch.Tensor, matrices: torch.Tensor, ends: torch.Tensor, bias: torch.Tensor | None):
        super().__init__(rows, matrices)
        self.ends = ends
        self.bias = bias

    @property
    def size(self) -> Size:
        groups, inner, columns = self.right.shape
        rows = self.left.shape[0]
        return Size(groups, -(-rows // max(groups, 1)), inner, columns, ragged_rows=rows)

    def matrix(self) -> torch.Tensor:
        return self.right

    def inputs(self) -> torch.Tensor:
        return self.left

    def finish(self, result: torch.Tensor) -> torch.Tensor:
        result = result.to(self.left.dtype)
        return result if self.bias is None else result + self.bias


def _for_axes(values: Any, axes: int) -> tuple[int, ...]:
    """One number for each axis; a single one holds for all."""
    return tuple(values) if len(values) == axes else tuple(values) * axes


def _add(bias: torch.Tensor, beta: float, alpha: float) -> Finish:
    """`beta · bias + alpha · result`; a bias times 0 is not looked at."""

    def after(result: torch.Tensor) -> torch.Tensor:
        scaled = result if alpha == 1 else result * alpha
        return scaled if beta == 0 else scaled + (bias if beta == 1 else bias * beta)

    return after


def _mm(left, right):
    return Dense(left, right)


def _addmm(bias, left, right, *, beta=1, alpha=1):
    return Dense(left, right, _add(bias, beta, alpha))


def _mv(matrix, vector):
    return Dense(matrix, vector[:, None], lambda result: result[:, 0])


def _addmv(bias, matrix, vector, *, beta=1, alpha=1):
    after = _add(bias, beta, alpha)
    return Dense(matrix, vector[:, None], lambda result: after(result[:, 0]))


def _dot(left, right):
    return Dense(left[None], right[:, None], lambda result: result[0, 0])


def _convolution(inputs, kernels, bias, stride, padding, dilation, transposed, output_padding, groups):
    if transposed:
        return TransposedConvolution(inputs, kernels, bias, stride, padding, dilation, output_padding, groups)
    return Convolution(inputs, kernels, bias, stride, padding, dilation, groups)


def _grouped_mm(left, right, offs=None, bias=None, out_dtype=None):
    if offs is None:
        return Dense(left, right)
    if left.ndim == 2 and right.ndim == 3:
        return Grouped(left, right, offs, bias)
    return None  # the gradient of a grouped product, and others that no model's forward pass has


PRODUCTS: dict[str, Callable[..., AbstractProduct | None]] = {
    "aten::mm": _mm,
    "aten::bmm": _mm,
    "aten::addmm": _addmm,
    "aten::baddbmm": _addmm,
    "aten::addmm_": _addmm,
    "aten::baddbmm_": _addmm,
    "aten::mv": _mv,
    "aten::addmv": _addmv,
    "aten::addmv_": _addmv,
    "aten::dot": _dot,
    "aten::vdot": _dot,
    "aten::_int_mm": _mm,
    "aten::_sparse_mm": _mm,
    "aten::_sparse_addmm": _addmm,
    "aten::convolution": _convolution,
    "aten::_grouped_mm": _grouped_mm,
    "transformers::grouped_mm_fallback": _grouped_mm,
}

# Operations with matrix products inside that are not taken apart: digital, with a warning.
OPAQUE = frozenset(
    f"aten::{name}"
    for name in (
        "_native_multi_head_attention",
        "_transformer_encoder_layer_fwd",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
        "_flash_attention_forward",
        "_efficient_attention_forward",
        "mkldnn_rnn_layer",
        "_cudnn_rnn",
        "miopen_rnn",
        "_trilinear",
        "addbmm",
        "_addmm_activation",
        "_euclidean_dist",
        "_scaled_mm",
        "_scaled_grouped_mm",
        "_weight_int8pack_mm",
        "_weight_int4pack_mm",
        "_weight_int4pack_mm_for_cpu",
        "_dyn_quant_matmul_4bit",
    )
) | {"quantized::linear", "quantized::linear_dynamic", "quantized::conv2d"}
