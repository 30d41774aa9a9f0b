"""The store as documents of one table, for services that keep such: DynamoDB and Firestore."""
