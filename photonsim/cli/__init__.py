"""The command line: `photonsim run | chips | reproduce | fit | doctor`."""

from photonsim.cli.app import main as main
