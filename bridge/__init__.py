"""Everything on a wire: OSC, processes, configuration and the command line. Imports no torch."""
