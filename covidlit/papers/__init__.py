"""The tables and figures of the papers that covidlit rebuilds, one package per paper."""
