"""The Hydra tree: where it lies, the keys that it may hold, and its errors in words that help."""
