"""The store as documents of one table: in DynamoDB, Firestore, Cosmos DB."""
