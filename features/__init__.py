"""The acceptance scenarios: Gherkin, one file per area of the guide, and the steps behind them."""
