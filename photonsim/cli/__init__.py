"""The command line: `photonsim run | chips | doctor`."""

from photonsim.cli.app import main as main
