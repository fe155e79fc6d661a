"""How well sound comes back, goes on, and how that depends on how many songs one model learns from."""
