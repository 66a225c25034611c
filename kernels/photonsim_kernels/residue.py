"""Remainders of sums as they are read from angles: `read_remainders` of `photonsim.tiles.remainders`, which explains.

Sixteen sums are read by all moduli at once, in registers: of each, the remainder, its two fields with their noise, the
angle that they show, and the steps by which it was misread; then the sum that the remainders mean. The instructions of
moduli and vectors alternate, so that each waits while the others go on.

Numbers are float32 where the definition's are, and whole ones below 2^24 so.
"""

from numba import types
from numba.core import cgutils

from photonsim_kernels import simd
from photonsim_kernels.compiled import emitted
from photonsim_kernels.jobs import PANELS
from photonsim_kernels.noise import COSINE_POLYNOMIAL
from photonsim_kernels.products import PANEL, ROWS

TURN_POLYNOMIAL = (  # atan(r) / (2π r) in r² on [0, 1]
    0.15915483236312866,
    -0.05304612219333649,
    0.03174594044685364,
    -0.022136256098747253,
    0.01534599345177412,
    -0.008898669853806496,
    0.0034795610699802637,
    -0.0006452944362536073,
)
MODULI, DRAWS = 3, 3  # of each modulus: deviates of the cosine, of the sine and of the phase
COLUMNS = PANELS * PANEL
DRAW_BYTES = 4 * ROWS * COLUMNS
TOGETHER = PANEL // simd.LANES  # vectors of sums that are read in alternation
SMALLEST = 2.0**-126


class _Moduli:
    """Of each modulus, and of each of the vectors that are read together, its numbers in every lane."""

    def __init__(self, builder, constants):
        """`constants`: the address of (moduli, 3) float32, each with its spread of phases and its weight."""

        def splats(place):
            numbers = [simd.load(builder, constants, simd.FLOAT, 12 * c + 4 * place) for c in range(MODULI)]
            return [simd.splat(builder, number) for number in numbers for _ in range(TOGETHER)]

        self.numbers, self.phases, weights = splats(0), splats(1), splats(2)
        self.weights = [builder.fptosi(weight, simd.INTS) for weight in weights]
        self.negatives = [builder.fneg(number) for number in self.numbers]
        self.inverses = [builder.fdiv(simd.floats(1.0), number) for number in self.numbers]
        self.quarters = [builder.fmul(number, simd.floats(0.25)) for number in self.numbers]
        self.per_quarter = [builder.fdiv(simd.floats(4.0), number) for number in self.numbers]


def _each(operation, *operands):
    return [operation(*values) for values in zip(*operands, strict=True)]


def _multiply_add(builder, a, b, c):
    return _each(lambda *values: simd.multiply_add(builder, *values), a, b, c)


def _less_turns(builder, numbers, moduli, rounded=simd.round_to_even):
    """`numbers` less the whole turns, of a modulus each, that are nearest: within ±modulus / 2."""
    turns = [rounded(builder, v) for v in _each(builder.fmul, numbers, moduli.inverses)]
    return _multiply_add(builder, moduli.negatives, turns, numbers)


def _with_sign_of(builder, values, signs):
    """`values`, negated where the number beside is negative."""
    return _marked(builder, values, [builder.bitcast(sign, simd.INTS) for sign in signs])


def _marked(builder, values, masks):
    """`values`, negated where the highest bit of a mask is set."""
    marks = [builder.and_(mask, simd.ints(1 << 31)) for mask in masks]
    marked = [builder.xor(builder.bitcast(v, simd.INTS), m) for v, m in zip(values, marks, strict=True)]
    return [builder.bitcast(m, simd.FLOATS) for m in marked]


def _emit_fields(builder, steps, moduli):
    """Cosines and sines of 2π steps / modulus, by one polynomial: the sine's is that of a quarter turn less."""
    away = _less_turns(builder, steps, moduli)
    short = _each(builder.fsub, moduli.quarters, [simd.absolute(builder, v) for v in away])
    t = _each(builder.fmul, short, moduli.per_quarter)
    rest = [builder.fsub(simd.floats(1.0), simd.absolute(builder, v)) for v in t]
    squares = [builder.fmul(v, v) for v in (*rest, *t)]
    fields = simd.polynomial(builder, squares, COSINE_POLYNOMIAL)
    fields = _with_sign_of(builder, fields, (*short, *away))
    return fields[: len(steps)], fields[len(steps) :]


def _emit_turns(builder, cosines, sines):
    """atan2(sine, cosine) / 2π."""
    across, up = ([simd.absolute(builder, v) for v in values] for values in (cosines, sines))
    steep = [builder.fcmp_ordered(">", u, a) for u, a in zip(up, across, strict=True)]
    largest, least = _each(builder.select, steep, up, across), _each(builder.select, steep, across, up)
    tiny = simd.floats(SMALLEST)
    largest = [builder.select(builder.fcmp_ordered(">", v, tiny), v, tiny) for v in largest]
    ratios = _each(builder.fdiv, least, largest)
    values = simd.polynomial(builder, [builder.fmul(r, r) for r in ratios], TURN_POLYNOMIAL)
    turned = _marked(builder, ratios, [builder.sext(s, simd.INTS) for s in steep])
    from_axis = [builder.select(s, simd.floats(0.25), simd.floats(0.0)) for s in steep]
    turns = _multiply_add(builder, turned, values, from_axis)
    behind = [builder.fcmp_ordered("<", v, simd.floats(0.0)) for v in cosines]
    turns = [builder.select(b, builder.fsub(simd.floats(0.5), v), v) for b, v in zip(behind, turns, strict=True)]
    return _with_sign_of(builder, turns, sines)


def _emit_codes(builder, fields, full, one_bit):
    """The ADC's codes of fields."""
    fields = [builder.fmul(v, full) for v in fields]
    signs = [builder.fcmp_ordered(">=", v, simd.floats(0.0)) for v in fields]
    signs = [builder.select(s, simd.floats(1.0), simd.floats(-1.0)) for s in signs]
    rounded = [simd.round_to_even(builder, simd.clip(builder, v, full)) for v in fields]
    return [builder.select(one_bit, s, r) for s, r in zip(signs, rounded, strict=True)]


def _emit_misread(builder, sums, deviates, moduli, quadrature, convert):
    """By how many steps the angles that are read of the sums are from their remainders, times the moduli's weights."""
    remainders = _less_turns(builder, sums, moduli, simd.round_down)  # of many turns, so perhaps one off
    remainders = _less_turns(builder, remainders, moduli)
    angles = _multiply_add(builder, moduli.phases, deviates[2], remainders)
    cosines, sines = _emit_fields(builder, angles, moduli)
    spread = [quadrature] * len(sums)
    cosines = convert(_multiply_add(builder, spread, deviates[0], cosines))
    sines = convert(_multiply_add(builder, spread, deviates[1], sines))
    turns = _emit_turns(builder, cosines, sines)
    steps = _multiply_add(builder, turns, moduli.numbers, [builder.fneg(v) for v in remainders])
    return [builder.mul(simd.nearest(builder, v), w) for v, w in zip(steps, moduli.weights, strict=True)]


def _emit_within(builder, numbers, span):
    """Whole `numbers` brought within ±span / 2, the upper end left out; float32."""
    half, inverse = builder.ashr(span, simd.ints(1)), builder.fdiv(simd.floats(1.0), builder.sitofp(span, simd.FLOATS))
    turns = [simd.nearest(builder, builder.fmul(builder.sitofp(n, simd.FLOATS), inverse)) for n in numbers]
    numbers = [builder.sub(n, builder.mul(t, span)) for n, t in zip(numbers, turns, strict=True)]
    low = builder.neg(half)
    above = [builder.icmp_signed(">=", n, half) for n in numbers]
    numbers = [builder.select(a, builder.sub(n, span), n) for a, n in zip(above, numbers, strict=True)]
    below = [builder.icmp_signed("<", n, low) for n in numbers]
    return [
        builder.sitofp(builder.select(b, builder.add(n, span), n), simd.FLOATS)
        for b, n in zip(below, numbers, strict=True)
    ]


def _panel(builder, address, place):
    """The vectors of 16 numbers at an address and a place, in bytes."""
    address = builder.add(address, place)
    return [simd.load(builder, address, simd.FLOATS, 4 * simd.LANES * v) for v in range(TOGETHER)]


def _emit_additions(builder, memory, rows, read):
    """`totals` (rows, 64) += what `read(sums, place)` makes of 16 of the sums, times the scales of columns and rows.

    `place`: of the 16 in an array (rows, 64), in bytes.
    """
    sums, units, unit_bytes, scales, totals = memory
    with cgutils.for_range(builder, rows, intp=simd.LONG) as row:
        place = builder.mul(row.index, unit_bytes)
        unit = simd.splat(builder, simd.load(builder, units, simd.FLOAT, place))
        with cgutils.for_range(builder, simd.LONG(PANELS), intp=simd.LONG) as panel:
            block = builder.add(builder.mul(panel.index, simd.LONG(ROWS)), row.index)
            column = builder.mul(panel.index, simd.LONG(4 * PANEL))
            place = builder.add(builder.mul(row.index, simd.LONG(4 * COLUMNS)), column)
            values = read(_panel(builder, sums, builder.mul(block, simd.LONG(4 * PANEL))), place)
            scaled = _each(builder.fmul, values, _panel(builder, scales, column))
            results = _multiply_add(builder, scaled, [unit] * TOGETHER, _panel(builder, totals, place))
            for v, result in enumerate(results):
                simd.store(builder, result, builder.add(totals, place), 4 * simd.LANES * v)


@emitted
def add_exact(typing_context, sums, units, unit_bytes, scales, totals, rows):
    """`totals` (rows, 64) += the `sums` (4, 6, 16) times the scales of columns and of rows, `unit_bytes` apart.

    All but rows are addresses.
    """

    def codegen(context, builder, signature, arguments):
        *memory, rows = arguments
        _emit_additions(builder, memory, rows, lambda values, place: values)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), codegen


@emitted
def add_read(
    typing_context, sums, units, unit_bytes, scales, totals, rows, deviates, constants, quadrature, span, bits
):  # fmt: skip
    """The same for the sums as they are read by converters of some `bits` (0: ideal).

    `deviates` (moduli, 3, 6, 64), of standard deviation `quadrature` for the fields; `constants` (moduli, 3) float32:
    a modulus, the standard deviation of its phase in steps, and the number within ±span/2 whose remainder by it is 1,
    and 0 by the others.
    """

    def codegen(context, builder, signature, arguments):
        memory, (rows, deviates, constants, quadrature, span, bits) = arguments[:5], arguments[5:]
        moduli = _Moduli(builder, constants)
        quadrature, span = simd.splat(builder, quadrature), simd.splat(builder, span)

        def read_by(convert):
            def read(values, place):
                draws = [builder.add(place, simd.LONG(DRAW_BYTES * i)) for i in range(MODULI * DRAWS)]
                drawn = [[v for at in draws[d::DRAWS] for v in _panel(builder, deviates, at)] for d in range(DRAWS)]
                off = _emit_misread(builder, values * MODULI, drawn, moduli, quadrature, convert)
                whole = [simd.nearest(builder, v) for v in values]
                for c in range(MODULI):
                    whole = _each(builder.add, whole, off[TOGETHER * c : TOGETHER * (c + 1)])
                return _emit_within(builder, whole, span)

            return read

        with builder.if_else(builder.icmp_signed("==", bits, simd.LONG(0))) as (ideal, converted):
            with ideal:
                _emit_additions(builder, memory, rows, read_by(lambda fields: fields))
            with converted:
                one_bit = builder.icmp_signed("==", bits, simd.LONG(1))
                levels = builder.sub(builder.shl(simd.LONG(1), builder.sub(bits, simd.LONG(1))), simd.LONG(1))
                levels = builder.select(one_bit, simd.LONG(1), levels)
                full = simd.splat(builder, builder.sitofp(levels, simd.FLOAT))
                codes = read_by(lambda fields: _emit_codes(builder, fields, full, one_bit))
                _emit_additions(builder, memory, rows, codes)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 8, types.float32, types.int32, types.intp), codegen
