"""What the table in DynamoDB has to look like, whoever made it.

How many units it is given, its key for encryption and its backups are the operator's, and so is
what its indexes hold beside keys, which would only cost more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headpond.adapters.aws.calls import Answer
from headpond.adapters.documents.table import INDEXES

KEYS = ("pk", "sk")
NAMES = sorted({*KEYS, *(name for pair in INDEXES.values() for name in pair)})


def _schema(pair: Sequence[str]) -> list[dict[str, str]]:
    hash_key, sort_key = pair
    return [
        {"AttributeName": hash_key, "KeyType": "HASH"},
        {"AttributeName": sort_key, "KeyType": "RANGE"},
    ]


FORM: Mapping[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in NAMES],
    "KeySchema": _schema(KEYS),
    "GlobalSecondaryIndexes": [
        {
            "IndexName": index,
            "KeySchema": _schema(pair),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
        for index, pair in INDEXES.items()
    ],
}
"""What CreateTable is asked for, beside the name."""


TIME_TO_LIVE: Mapping[str, Any] = {"AttributeName": "expires", "Enabled": True}
"""What UpdateTimeToLive is asked for once the table is up: CreateTable does not take it."""


def is_up(table: Answer) -> bool:
    """Whether the table that DescribeTable tells of can be used, and each index that it has."""
    statuses = [table["TableStatus"], *(_status(index) for index in _indexes(table).values())]
    return {"ACTIVE", "UPDATING"}.issuperset(statuses)


def faults_of(table: Answer) -> list[str]:
    """What is wrong with the table that DescribeTable tells of, in words."""
    indexes = _indexes(table)
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    keyed = [("", KEYS, table)]
    keyed += [(index, pair, indexes[index]) for index, pair in INDEXES.items() if index in indexes]
    missing = [index for index in INDEXES if index not in indexes]
    return [
        *(f"has no index {index!r}" for index in missing),
        *(
            f"{f'has an index {index!r} that ' if index else ''}is keyed by {_words(each)}, not by "
            f"{' and '.join(pair)}"
            for index, pair, each in keyed
            if each["KeySchema"] != _schema(pair)
        ),
        *(
            f"has an attribute {name!r} of type {types[name]}, not S"
            for name in NAMES
            if types.get(name, "S") != "S"
        ),
    ]


def _indexes(table: Answer) -> dict[str, Answer]:
    found: Iterable[Answer] = table.get("GlobalSecondaryIndexes", ())
    return {each["IndexName"]: each for each in found}


def _status(index: Answer) -> str:
    return index["IndexStatus"]


def _words(keyed: Answer) -> str:
    return " and ".join(each["AttributeName"] for each in keyed["KeySchema"])
