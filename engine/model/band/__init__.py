"""The network of bands: vae.py has it all, decoder.py what draws a part, steps.py the steps of it."""
