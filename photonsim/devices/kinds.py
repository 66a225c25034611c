"""The words by which a chip's description chooses among devices of one family."""

from photonsim.devices.electro_absorption_modulator import ElectroAbsorptionModulator
from photonsim.devices.mach_zehnder_modulator import MachZehnderModulator
from photonsim.devices.metasurface_modulator import MetasurfaceModulator
from photonsim.devices.modulator import AbstractModulator, LinearModulator, Modulator
from photonsim.devices.passives import AbstractPassive, Crossings, Loss, SplitterTree, Waveguide

MODULATORS: dict[str, type[AbstractModulator]] = {
    "electro-absorption": ElectroAbsorptionModulator,
    "ideal": Modulator,
    "linear": LinearModulator,
    "mach-zehnder": MachZehnderModulator,
    "metasurface": MetasurfaceModulator,
}
STAGES: dict[str, type[AbstractPassive]] = {
    "crossings": Crossings,
    "loss": Loss,
    "splitter-tree": SplitterTree,
    "waveguide": Waveguide,
}
