"""How good weights are: figures, judges, what z does, pictures and a listening test."""
