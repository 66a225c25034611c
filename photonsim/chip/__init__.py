"""A chip: tiles, clock, memories and digital logic in one description, read from and written to TOML."""

from photonsim.chip.calibration import Calibration as Calibration
from photonsim.chip.calibration import calibrate as calibrate
from photonsim.chip.chip import Chip as Chip
from photonsim.chip.chip import Quoted as Quoted
from photonsim.chip.chip import Source as Source
from photonsim.chip.description import describe as describe
from photonsim.chip.description import load_chip as load_chip
from photonsim.chip.description import override as override
from photonsim.chip.description import preset_names as preset_names
from photonsim.chip.description import save_chip as save_chip
from photonsim.chip.effects import chip_disturbances as chip_disturbances
from photonsim.chip.effects import disturbances_on as disturbances_on
from photonsim.chip.electronics import DigitalUnit as DigitalUnit
from photonsim.chip.electronics import Host as Host
from photonsim.chip.electronics import Memory as Memory
from photonsim.chip.electronics import Network as Network
from photonsim.chip.floorplan import Floorplan as Floorplan
