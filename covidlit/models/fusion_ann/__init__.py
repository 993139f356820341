"""A small network on imaging and clinical features, or an ensemble of them.

`network` trains with torch; `ensemble` scores the same weights with NumPy alone.
"""
