"""`python -m covidlit`: the same as the command `covidlit`."""

from covidlit.cli.main import main

if __name__ == "__main__":
    main()
