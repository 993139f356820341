"""Scores of rows of tables from a trained network or classical model, without Lightning."""
