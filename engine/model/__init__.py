"""The networks, top-down: vae → encoder and decoders → lstm. Tensors in, tensors out."""
