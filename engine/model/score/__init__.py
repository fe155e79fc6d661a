"""Sound: frames of a quarter of a second as a few numbers, and what writes them on."""
