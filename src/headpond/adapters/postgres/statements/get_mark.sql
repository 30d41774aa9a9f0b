SELECT finished_at, seq FROM retention_marks WHERE rule = $1 FOR UPDATE
