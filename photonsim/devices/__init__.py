"""Physics of one component at a time: what light and charge do in it, and what that costs."""

from photonsim.devices.laser import Laser as Laser
from photonsim.devices.modulator import Modulator as Modulator
from photonsim.devices.receiver import Receiver as Receiver
from photonsim.devices.weight_cell import WeightCell as WeightCell
