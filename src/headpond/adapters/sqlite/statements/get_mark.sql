SELECT finished_at, seq FROM retention_marks WHERE rule = ?
