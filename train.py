"""Train and evaluate a model: `python train.py model=csacnet`; `--help` lists the choices."""

from covidlit.runs.steps import main

if __name__ == "__main__":
    main()
