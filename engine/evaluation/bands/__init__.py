"""How good models of bands are: report.py says what is measured."""
