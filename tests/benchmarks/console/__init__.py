"""Measures of the console on many tasks."""
