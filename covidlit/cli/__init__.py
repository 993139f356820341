"""The command line: `covidlit` and its commands, each in a file of its own."""
