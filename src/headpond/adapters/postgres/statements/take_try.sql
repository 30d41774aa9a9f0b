-- The job that was tried most often before, and of these the newest, is this try's from now on.
UPDATE tries
SET number = $2, expires_at = $4
FROM (
    SELECT tries.seq, jobs.record
    FROM tries
    INNER JOIN jobs USING (seq)
    WHERE
        tries.fingerprint = $1 AND tries.number < $2 AND tries.expires_at > $3
        AND jobs.state <> 'cancelled' AND jobs.record ->> 'erased_at' IS NULL
    ORDER BY tries.fingerprint DESC, tries.number DESC, tries.seq DESC
    LIMIT 1
) AS earlier
WHERE tries.seq = earlier.seq
RETURNING earlier.record
