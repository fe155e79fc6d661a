"""Corpora of MIDI files → performances → windows to train and measure on."""
