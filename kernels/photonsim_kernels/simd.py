"""Vector code for Numba: 8 lanes of 32 bits, written out as LLVM instructions.

Numba leaves vectorising to LLVM, which does well on simple loops and badly on a register-tiled matrix product. The
functions here emit vector instructions directly, from inside a `numba.extending.intrinsic`. LLVM lowers them to
whatever the processor has (AVX2, two halves on SSE or NEON).

Those that build on them take and return *lists* of vectors, one per row that is worked on: the instructions of the rows
alternate, so that a processor which waits for one row's result has the others to go on with.
"""

from llvmlite import ir
from numba.core import cgutils

LANES = 8
FLOAT, INT, LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
WIDE_FLOATS = ir.VectorType(FLOAT, 2 * LANES)
FLOATS, INTS, PAIRS = (ir.VectorType(FLOAT, LANES), ir.VectorType(INT, LANES), ir.VectorType(ir.IntType(16), 2 * LANES))
BYTES, LONGS = ir.VectorType(ir.IntType(8), 4 * LANES), ir.VectorType(LONG, LANES // 2)


def floats(value: float):
    """A constant in every lane."""
    return ir.Constant(FLOATS, [float(value)] * LANES)


def ints(value: int):
    """A constant in every lane; negative and unsigned values share the two's complement."""
    return ir.Constant(INTS, [value & 0xFFFFFFFF] * LANES)


def splat(builder, scalar):
    """A run-time scalar in every lane: 8 of 32 bits, 4 of 64."""
    kind = LONGS if scalar.type == LONG else ir.VectorType(scalar.type, LANES)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(INT, 0))
    order = ir.Constant(ir.VectorType(INT, kind.count), [0] * kind.count)
    return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), order)


def load(builder, address, kind, offset=0):
    """A value of `kind` at a byte address (an integer) plus an offset (an integer, or an LLVM value)."""
    return builder.load(_pointer(builder, address, kind, offset), align=1, typ=kind)


def store(builder, value, address, offset=0):
    """Write `value` at a byte address plus an offset."""
    builder.store(value, _pointer(builder, address, value.type, offset), align=2)


def _pointer(builder, address, kind, offset):
    if isinstance(offset, int):
        offset = ir.Constant(LONG, offset)
    return builder.inttoptr(builder.add(address, offset), kind.as_pointer())


def call(builder, name, result, *operands):
    """The result (of type `result`) of the LLVM intrinsic `name`."""
    signature = ir.FunctionType(result, [operand.type for operand in operands])
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), operands)


def prefetch(builder, address):
    """Ask for the cache line at an address that is to be read after some hundred nanoseconds."""
    byte = ir.IntType(8).as_pointer()
    signature = ir.FunctionType(ir.VoidType(), [byte, INT, INT, INT])
    function = cgutils.get_or_insert_function(builder.module, signature, "llvm.prefetch.p0")
    read, second_cache, data = INT(0), INT(2), INT(1)
    builder.call(function, [builder.inttoptr(address, byte), read, second_cache, data])


def multiply_add(builder, a, b, c):
    """a · b + c, rounded once where the processor has a fused instruction: what XLA's compiler makes of it too."""
    return call(builder, "llvm.fmuladd.v8f32", FLOATS, a, b, c)


def square_root(builder, a):
    """IEEE square root."""
    return call(builder, "llvm.sqrt.v8f32", FLOATS, a)


def round_to_even(builder, a):
    """Nearest integer, ties to even."""
    return call(builder, "llvm.rint.v8f32", FLOATS, a)


def round_down(builder, a):
    """Greatest integer that is not above."""
    return call(builder, "llvm.floor.v8f32", FLOATS, a)


def nearest(builder, a):
    """Nearest integer, ties to even, as a whole number."""
    return call(builder, "llvm.lrint.v8i32.v8f32", INTS, a)


def absolute(builder, a):
    """Magnitudes of float32 or integer numbers."""
    if a.type == FLOATS:
        return call(builder, "llvm.fabs.v8f32", FLOATS, a)
    return builder.select(builder.icmp_signed("<", a, ir.Constant(a.type, [0] * a.type.count)), builder.neg(a), a)


def clip(builder, a, limit):
    """`a` within ±limit; a NaN stays one."""
    low = builder.fneg(limit)
    a = builder.select(builder.fcmp_ordered("<", a, low), low, a)
    return builder.select(builder.fcmp_ordered(">", a, limit), limit, a)


def in_step(builder, vectors):
    """Some vectors, as they are: a point at which all of them are known.

    LLVM likes to finish one vector's chain of instructions before it begins the next, to save registers, and leaves the
    processor waiting. It moves nothing across here: an empty piece of assembler that takes and gives back all of them.
    """
    if len(vectors) == 1 or not builder.module.triple.startswith("x86_64"):
        return vectors
    kinds = [vector.type for vector in vectors]
    together = ir.FunctionType(ir.LiteralStructType(kinds), kinds)
    constraints = ["=x"] * len(kinds) + [str(i) for i in range(len(kinds))]
    held = builder.call(ir.InlineAsm(together, "", ",".join(constraints), side_effect=True), vectors)
    return [builder.extract_value(held, i) for i in range(len(kinds))]


def polynomial(builder, xs, coefficients):
    """Σ_i coefficients[i] x^i of each x, by Horner's rule."""
    values = [floats(coefficients[-1])] * len(xs)
    for coefficient in coefficients[-2::-1]:
        values = [multiply_add(builder, v, x, floats(coefficient)) for v, x in zip(values, xs, strict=True)]
        values = in_step(builder, values)
    return values
