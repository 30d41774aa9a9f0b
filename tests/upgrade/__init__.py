"""A release beside the one before it, on one store.

`previous-sqlite.zip` and `previous-postgres.zip` are the package as it was before that store's
schema last grew, put first on the path of the processes that are to run it. When a schema grows,
its file is made again, from the last release that does not have the step:

    git archive --format=zip --output tests/upgrade/previous-sqlite.zip v0.1.0:src headpond
"""
