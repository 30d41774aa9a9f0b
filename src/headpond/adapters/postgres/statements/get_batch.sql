SELECT record FROM batches WHERE id = $1
