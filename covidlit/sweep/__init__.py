"""Sweeps: Optuna behind Hydra."""
