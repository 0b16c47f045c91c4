"""Ventriloquist: learn how the people in a message history write, and talk with them."""

__version__ = "0.1.0"
