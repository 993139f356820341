"""Diseases that patients are followed for: each a YAML of lesions, factors, models and words.

Packaged ones lie here; a platform has further ones in its folder `diseases`. They are read at
start, as `platform.toml` is.
"""
