"""What the PostgreSQL subjects share: an empty schema and a table for results."""

import psycopg

INSERT_RESULT_ASYNCPG = "INSERT INTO results VALUES ($1, $2)"
INSERT_RESULT_PSYCOPG = "INSERT INTO results VALUES (%s, %s)"


def empty(url: str) -> None:
    """Drop everything and make the table of results."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute("CREATE TABLE results (number integer PRIMARY KEY, result text)")


def count_results(url: str) -> int:
    """Count the rows of the table of results."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM results").fetchone()
    return int(row[0]) if row is not None else 0
