"""Object stores through the library obstore: a folder, S3, Azure Blob, Google Cloud Storage."""
