"""MIDI files: bytes, notes, songs."""
