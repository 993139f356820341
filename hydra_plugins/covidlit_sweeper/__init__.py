"""The entry of covidlit's sweeps for Hydra, which imports it at every start: nothing heavy here."""
