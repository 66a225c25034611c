"""Joules and seconds of a model on a chip, from shapes alone, with a digital baseline beside them."""

from photonsim.cost.architecture import Architecture as Architecture
from photonsim.cost.baselines import AbstractBaseline as AbstractBaseline
from photonsim.cost.baselines import baselines as baselines
from photonsim.cost.bill import BOUNDARIES as BOUNDARIES
from photonsim.cost.bill import Bill as Bill
from photonsim.cost.bill import Charge as Charge
from photonsim.cost.bill import assumed as assumed
from photonsim.cost.bill import explain as explain
from photonsim.cost.bill import tops_per_w as tops_per_w
from photonsim.cost.catalogue import load_architecture as load_architecture
from photonsim.cost.config import architecture as architecture
from photonsim.cost.energy import energy as energy
from photonsim.cost.energy import peak_bill as peak_bill
from photonsim.cost.energy import peak_power_w as peak_power_w
from photonsim.cost.energy import peak_tops as peak_tops
from photonsim.cost.energy import peak_tops_per_w as peak_tops_per_w
from photonsim.cost.energy import price as price
from photonsim.cost.energy import workload_events as workload_events
from photonsim.cost.forward import forward as forward
from photonsim.cost.latency import Latency as Latency
from photonsim.cost.latency import latency as latency
from photonsim.cost.workload import ForwardPass as ForwardPass
from photonsim.cost.workload import Product as Product
from photonsim.cost.workload import Storage as Storage
from photonsim.cost.workload import Workload as Workload
