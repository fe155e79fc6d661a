"""Scores as sound."""
