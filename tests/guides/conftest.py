"""The engine, the app and the worker of the fundamentals."""

from tests.fundamentals.conftest import app, engine, serving

__all__ = ["app", "engine", "serving"]
