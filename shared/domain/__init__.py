"""This app's own models, queries and tasks, used by more than one function."""
