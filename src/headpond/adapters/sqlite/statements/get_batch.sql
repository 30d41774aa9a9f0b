SELECT record FROM batches WHERE id = ?
