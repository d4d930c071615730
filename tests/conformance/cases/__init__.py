"""The cases, a module per topic."""
