"""Clip ↔ array: the inputs and outputs of the models. numpy alone, no torch."""
