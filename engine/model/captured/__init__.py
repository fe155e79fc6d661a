"""The steps of decoders for a GPU: the same choices as on the CPU, captured once for a size and replayed."""
