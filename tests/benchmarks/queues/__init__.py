"""Measure tasks against other task queues on PostgreSQL."""
