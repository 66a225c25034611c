"""The command line: `photonsim run | generate | coverage | chips | reproduce | fit | doctor`."""

from photonsim.cli.app import main as main
