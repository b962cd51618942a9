"""All statements on the tables of tasks, with a module for every phase of a task's life.

The column names are those of the first migration, since a migration must only add while old code runs beside the new
schema. Names that differ in Python are mapped here and in `records`: `wake_at` is the time to publish the task,
`wakeups` the number of messages that the sweeper sent, `losses` the number of lost workers, `waits_for` the number of
parents that have not succeeded, and `takes` the result argument.

Rules for all statements:

- Times come from the database's clock, never from that of a worker or a caller. `statement_timestamp()` advances
  inside a transaction, unlike `now()`, and can be compared with an index, unlike `clock_timestamp()`.
- A statement that changes a running task names its `attempt`, so that a worker that lost its lease changes nothing.
- Rows are locked in the order of their ids, or skipped when locked, so that statements cannot deadlock.
- A batch is a single parameter, an array or a JSON array of rows, for any number of rows, so that PostgreSQL caches the
  plan. Rows as JSON take half the time of an array per column, to write and to read.
- JSON is passed and returned as text, so that both drivers return the same.
"""
