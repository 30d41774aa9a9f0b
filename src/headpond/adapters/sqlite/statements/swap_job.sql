-- Compare-and-set: the last two parameters are the id and the version that was read.
UPDATE jobs
SET
    ticket = ?,
    version = ?,
    state = ?,
    attempts = ?,
    lost_leases = ?,
    worker = ?,
    engine = ?,
    queued_at = ?,
    started_at = ?,
    finished_at = ?,
    prompt_tokens = ?,
    completion_tokens = ?,
    confidence = ?,
    error_code = ?,
    error_message = ?
WHERE id = ? AND version = ?
