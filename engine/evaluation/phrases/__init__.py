"""How good models of phrases are: report.py says what is measured."""
