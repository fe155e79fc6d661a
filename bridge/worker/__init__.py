"""The other process: what starts it, what is said to it, and its inside."""
