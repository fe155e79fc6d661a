"""What each request does: turns, tickets, the queue for the engine, and the verbs."""
