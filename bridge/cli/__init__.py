"""The command line: `vaebridge serve` and the rest."""
