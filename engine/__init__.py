"""Clips in, clips out: the models, their weights and their training. Knows no wire, port, clock or process."""
