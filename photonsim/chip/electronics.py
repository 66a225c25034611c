"""The electronic half of the chip: memories, accumulators, and the unit that does what light does not."""

import equinox as eqx

from photonsim.errors import check_number


class Memory(eqx.Module):
    """On-chip SRAM and the main memory behind it.

    - `sram_read_j_per_bit`, `sram_write_j_per_bit`: energy of on-chip traffic, J/bit.
    - `dram_name`: what the main memory is (`"HBM3E"`, `"DDR4"`).
    - `dram_j_per_bit`: energy of main-memory traffic, interface included, J/bit.
    - `dram_bandwidth_bits_per_s`, `dram_capacity_bits`: of the main memory.
    """

    sram_read_j_per_bit: float
    sram_write_j_per_bit: float
    dram_name: str = eqx.field(static=True)
    dram_j_per_bit: float
    dram_bandwidth_bits_per_s: float
    dram_capacity_bits: float

    def __check_init__(self):
        for name in ("sram_read_j_per_bit", "sram_write_j_per_bit", "dram_j_per_bit"):
            check_number(f"memory.{name}", getattr(self, name), at_least=0.0)
        for name in ("dram_bandwidth_bits_per_s", "dram_capacity_bits"):
            check_number(f"memory.{name}", getattr(self, name), above=0.0)


class DigitalUnit(eqx.Module):
    """The digital logic beside the optics, priced per operation at one process node.

    - `accumulate_j`: one rescaling of a partial sum and its addition to the accumulator, J.
    - `scale_j`: one magnitude compare and multiply of the block floating-point encoder, J.
    - `mac_j`, `macs_per_s`: a multiply-accumulate that stays digital, J, and the peak rate of them.
    - `vector_operation_j`, `vector_operations_per_s`: one elementary operation of softmax, norms, rotary embedding or
      activation, J, and the peak rate of them.
    - `node_nm`: process node, nm.
    """

    accumulate_j: float
    scale_j: float
    mac_j: float
    macs_per_s: float
    vector_operation_j: float
    vector_operations_per_s: float
    node_nm: float

    def __check_init__(self):
        for name in ("accumulate_j", "scale_j", "mac_j", "vector_operation_j"):
            check_number(f"digital.{name}", getattr(self, name), at_least=0.0)
        for name in ("macs_per_s", "vector_operations_per_s", "node_nm"):
            check_number(f"digital.{name}", getattr(self, name), above=0.0)
