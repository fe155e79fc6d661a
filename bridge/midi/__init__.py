"""The MIDI edge: ports, and the systems behind them."""
