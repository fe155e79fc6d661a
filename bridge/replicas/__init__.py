"""Models on other machines, or several times on this one: replicas on Ray, and the relay that asks them."""
