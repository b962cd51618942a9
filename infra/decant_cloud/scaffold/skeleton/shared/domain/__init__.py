"""Models, queries and tasks that more than one function uses."""
