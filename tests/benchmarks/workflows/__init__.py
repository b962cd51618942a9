"""Durable workflows beside DBOS and Absurd."""
