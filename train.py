"""Train and evaluate a model: `python train.py model=csacnet`; `--help` lists the choices."""

from covidlit.cli.train import main

if __name__ == "__main__":
    main()
