"""`python -m covidlit`: the same as the command `covidlit`."""

from covidlit.cli.app import app

if __name__ == "__main__":
    app(prog_name="covidlit")
