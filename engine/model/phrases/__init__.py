"""The network of phrases: vae.py has it all, decoder.py what draws the hits, steps.py the steps of it."""
