"""Physics of one component at a time: what light and charge do in it, and what that costs."""

from photonsim.devices.directional_coupler import DirectionalCoupler as DirectionalCoupler
from photonsim.devices.electro_absorption_modulator import ElectroAbsorptionModulator as ElectroAbsorptionModulator
from photonsim.devices.kinds import MODULATORS as MODULATORS
from photonsim.devices.kinds import STAGES as STAGES
from photonsim.devices.laser import Laser as Laser
from photonsim.devices.link_budget import LinkBudget as LinkBudget
from photonsim.devices.mach_zehnder_modulator import MachZehnderModulator as MachZehnderModulator
from photonsim.devices.metasurface_modulator import MetasurfaceModulator as MetasurfaceModulator
from photonsim.devices.microring import Microring as Microring
from photonsim.devices.modulator import AbstractModulator as AbstractModulator
from photonsim.devices.modulator import LinearModulator as LinearModulator
from photonsim.devices.modulator import Modulator as Modulator
from photonsim.devices.modulator import switching_energy_j as switching_energy_j
from photonsim.devices.passives import AbstractPassive as AbstractPassive
from photonsim.devices.passives import Crossings as Crossings
from photonsim.devices.passives import Loss as Loss
from photonsim.devices.passives import SplitterTree as SplitterTree
from photonsim.devices.passives import Waveguide as Waveguide
from photonsim.devices.pcm import PcmCell as PcmCell
from photonsim.devices.phase_shifter import PhaseShifter as PhaseShifter
from photonsim.devices.receiver import NoiseBudget as NoiseBudget
from photonsim.devices.receiver import Receiver as Receiver
from photonsim.devices.receiver import ideal_responsivity_a_per_w as ideal_responsivity_a_per_w
from photonsim.devices.receiver import johnson_noise_a_per_sqrt_hz as johnson_noise_a_per_sqrt_hz
from photonsim.devices.weight_cell import WeightCell as WeightCell
