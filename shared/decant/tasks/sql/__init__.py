"""Every statement on the table, in one place: each module holds those of one part of a task's life.

Rules that they keep:

- Times are the database's own: a worker's or a caller's clock decides nothing. `statement_timestamp()` moves on inside
  a transaction, as `now()` does not, and may be compared with an index, as `clock_timestamp()` may not.
- Whoever changes a row that runs names its `attempt`: an owner that lost its lease changes nothing.
- Rows are locked in the order of their ids, or skipped when locked, so that no two statements wait for each other.
- A batch goes in as one parameter, an array or a JSON array of rows, whatever its length: one statement, and one plan
  that PostgreSQL keeps. Rows as JSON cost half of what one array a column costs to write and to read.
- JSON goes in and comes out as text, so that every driver gives the same.
"""
