"""Clip ↔ array: what the models hear of a clip. numpy alone, no torch."""
