"""The bill beyond the package: the host with its link, then cooling and power conversion of the building.

Photonic chips and digital boards are given the same host and the same building:

    E_site = (E_package + P_host · t + bits · e_link) · PUE
"""

import dataclasses

from photonsim.chip import Chip
from photonsim.cost.bill import HOST_AND_COOLING, Bill
from photonsim.cost.tariff import Line, charge
from photonsim.cost.workload import Workload

HOST = "host"
COOLING = "cooling"


def site_bill(bill: Bill, chip: Chip, workload: Workload, servers: float = 1.0) -> Bill:
    """A bill with the share of host and building that `chip` describes; `servers` counts the shares of a host."""
    lines = [
        Line(HOST, HOST_AND_COOLING, "seconds of a host's share", "host.power_w", servers * bill.seconds),
        Line(HOST, HOST_AND_COOLING, "bits between host and chip", "host.link_j_per_bit", float(workload.host_bits)),
    ]
    around = [charge(line, chip, chip.sources) for line in lines]
    inside_j = bill.total_j + sum(each.joules for each in around)
    cooling = Line(COOLING, HOST_AND_COOLING, "joules of the servers", "host.cooling_ratio", inside_j)
    charges = (*bill.charges, *around, charge(cooling, chip, chip.sources))
    return dataclasses.replace(bill, components=(*bill.components, HOST, COOLING), charges=charges)
