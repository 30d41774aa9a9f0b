"""A release beside the one before it, on one data file.

`previous.zip` is the package as it was before the schema last grew, put first on the path of the
processes that are to run it. A new release replaces it by the one that it follows:

    git archive --format=zip --output tests/upgrade/previous.zip v0.1.0:src headpond
"""
