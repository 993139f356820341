"""covidlit: COVID-19 and pneumonia on chest CT with PyTorch Lightning and Hydra."""

__version__ = "0.1.0"
