"""The electronic half of the chip: memories, accumulators, the unit that does what light does not, and what is around.

Fields with a default are *assumed* where a chip's file does not give them; `photonsim.chip.defaults` says where each
default is from.
"""

import equinox as eqx

from photonsim.errors import PhotonsimError, check_number


class Memory(eqx.Module):
    """Registers, on-chip SRAM and the main memory behind it.

    - `sram_read_j_per_bit`, `sram_write_j_per_bit`: energy of on-chip traffic, J/bit.
    - `sram_capacity_bits`, `sram_bandwidth_bits_per_s`: of the on-chip SRAM, reads and writes together. What fits stays
      on the chip between layers and passes.
    - `register_j_per_bit`, `register_capacity_bits`: of the accumulators of one core, where partial sums can stay.
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
    sram_capacity_bits: float = 2.56e8
    sram_bandwidth_bits_per_s: float = 6.4e14
    register_j_per_bit: float = 4.6e-15
    register_capacity_bits: float = 2.0**19

    def __check_init__(self):
        for name in ("sram_read_j_per_bit", "sram_write_j_per_bit", "dram_j_per_bit", "register_j_per_bit"):
            check_number(f"memory.{name}", getattr(self, name), at_least=0.0)
        check_number("memory.sram_capacity_bits", self.sram_capacity_bits, at_least=0.0)
        positive = ("dram_bandwidth_bits_per_s", "dram_capacity_bits", "sram_bandwidth_bits_per_s")
        for name in (*positive, "register_capacity_bits"):
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


class Network(eqx.Module):
    """Links between chips that share a model.

    - `link_j_per_bit`: both ends of a link, J/bit.
    - `link_bandwidth_bits_per_s`: of one chip in one direction.
    - `hop_s`: from the end of sending to the start of receiving, s.
    """

    link_j_per_bit: float = 1.3e-12
    link_bandwidth_bits_per_s: float = 3.6e12
    hop_s: float = 1e-6

    def __check_init__(self):
        for name in ("link_j_per_bit", "hop_s"):
            check_number(f"network.{name}", getattr(self, name), at_least=0.0)
        check_number("network.link_bandwidth_bits_per_s", self.link_bandwidth_bits_per_s, above=0.0)


class Host(eqx.Module):
    """The server around a chip, and the building around the server.

    - `power_w`: a chip's share of processors, fans, network cards and power supplies, W.
    - `link_j_per_bit`, `link_bandwidth_bits_per_s`: of the link between host and chip.
    - `pue`: power usage effectiveness, all energy of the building over that of its servers, 1 or more.
    """

    power_w: float = 100.0
    link_j_per_bit: float = 5e-12
    link_bandwidth_bits_per_s: float = 5.12e11
    pue: float = 1.2

    def __check_init__(self):
        for name in ("power_w", "link_j_per_bit"):
            check_number(f"host.{name}", getattr(self, name), at_least=0.0)
        check_number("host.link_bandwidth_bits_per_s", self.link_bandwidth_bits_per_s, above=0.0)
        check_number("host.pue", self.pue, at_least=0.0)
        if isinstance(self.pue, int | float) and self.pue < 1:
            raise PhotonsimError(
                f"host.pue = {self.pue:g} is below 1: a building cannot use less than the servers inside it."
            )

    @property
    def cooling_ratio(self):
        """Joules of cooling and power conversion for each joule of the servers: `PUE − 1`."""
        return self.pue - 1
