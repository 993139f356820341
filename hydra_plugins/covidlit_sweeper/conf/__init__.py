"""The sweeper's settings, as Hydra finds them."""
