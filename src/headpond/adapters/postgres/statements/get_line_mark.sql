SELECT ended_at, batch, line FROM retention_line_marks WHERE rule = $1 FOR UPDATE
