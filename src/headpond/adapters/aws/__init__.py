"""AWS: queues on SQS, records in DynamoDB. Every call goes through `calls.py`."""
