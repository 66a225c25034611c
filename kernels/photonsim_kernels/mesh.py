"""Light through a mesh of interferometers: layer after layer of 2 × 2 blocks, applied in place.

The same sums as `propagate` of `photonsim.devices.mesh`, which explains layers and places. 16 vectors pass together,
real and imaginary parts in rows of their own: 32 vector multiply-adds for a block, 8 N² for a vector and a mesh of N
layers, twice those of the dense product. The light of 16 vectors stays in the first cache up to N = 256.
"""

from numba import types
from numba.extending import overload

from photonsim_kernels import simd
from photonsim_kernels.compiled import compiled, emitted
from photonsim_kernels.fused import multiply_add

TOGETHER = 16  # vectors


def pass_cell(cells, place, light, upper, lower):
    """Block number `place` of `cells` (…, 8) on two waveguides of `light` (waveguides, 2, 16), in place.

    [x; y] ← [a b; c d] [x; y], complex; every sum begins with its last product and is rounded after each of the others.
    """
    numbers = cells.reshape(-1, 8)[place]
    for v in range(TOGETHER):
        (x_re, x_im), (y_re, y_im) = light[upper, :, v].copy(), light[lower, :, v].copy()
        for to, (a_re, a_im, b_re, b_im) in ((upper, numbers[:4]), (lower, numbers[4:])):
            re = multiply_add(b_re, y_re, -b_im * y_im)
            im = multiply_add(b_re, y_im, b_im * y_re)
            light[to, 0, v] = multiply_add(a_re, x_re, multiply_add(-a_im, x_im, re))
            light[to, 1, v] = multiply_add(a_re, x_im, multiply_add(a_im, x_re, im))


@emitted
def _pass_cell(typing_context, cell, upper, lower):
    """The same on addresses. Plain loops took up to twice as long (`kernels/README.md`)."""

    def codegen(context, builder, signature, arguments):
        cell, upper, lower = arguments
        numbers = [simd.splat(builder, simd.load(builder, cell, simd.FLOAT, 4 * i)) for i in range(8)]
        negative = [builder.fneg(number) for number in numbers]
        row = 4 * TOGETHER
        for place in range(0, row, 4 * simd.LANES):
            x_re, x_im = [simd.load(builder, upper, simd.FLOATS, place + row * part) for part in range(2)]
            y_re, y_im = [simd.load(builder, lower, simd.FLOATS, place + row * part) for part in range(2)]
            for to, at in ((upper, 0), (lower, 4)):
                (a_re, a_im, b_re, b_im), minus = numbers[at : at + 4], negative[at : at + 4]
                re = simd.multiply_add(builder, b_re, y_re, builder.fmul(minus[3], y_im))
                im = simd.multiply_add(builder, b_re, y_im, builder.fmul(b_im, y_re))
                re = simd.multiply_add(builder, a_re, x_re, simd.multiply_add(builder, minus[1], x_im, re))
                im = simd.multiply_add(builder, a_re, x_im, simd.multiply_add(builder, a_im, x_re, im))
                simd.store(builder, re, to, place)
                simd.store(builder, im, to, place + row)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@overload(pass_cell)
def _overload(cells, place, light, upper, lower):
    def on_addresses(cells, place, light, upper, lower):
        row = 8 * TOGETHER
        _pass_cell(cells.ctypes.data + 32 * place, light.ctypes.data + row * upper, light.ctypes.data + row * lower)

    return on_addresses


@compiled
def pass_mesh(cells, light):
    """All layers of `cells` (layers, places, 8) on `light` (2 · places, 2, 16), in place."""
    layers, places, _ = cells.shape
    modes = 2 * places
    for layer in range(layers):
        for place in range(places):
            upper = (2 * place + layer % 2) % modes  # in odd layers the last place is that of the rim, and straight
            pass_cell(cells, layer * places + place, light, upper, (upper + 1) % modes)


@compiled
def propagate_rows(cells, turns, fields, light, out):
    """`out` (vectors, modes, 2): `fields` (vectors, modes, 2) behind the mesh and its output phases `turns` (modes, 2).

    At most 16 vectors; `light` (2 · places, 2, 16) is working memory.
    """
    vectors, modes, _ = fields.shape
    light[:] = 0
    for v in range(vectors):
        for n in range(modes):
            for part in range(2):
                light[n, part, v] = fields[v, n, part]
    pass_mesh(cells, light)
    for v in range(vectors):
        for n in range(modes):
            re, im = light[n, 0, v], light[n, 1, v]
            out[v, n, 0] = multiply_add(turns[n, 0], re, -turns[n, 1] * im)
            out[v, n, 1] = multiply_add(turns[n, 0], im, turns[n, 1] * re)
