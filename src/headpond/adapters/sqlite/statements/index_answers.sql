CREATE INDEX answers_by_end ON answers (expires_at)
