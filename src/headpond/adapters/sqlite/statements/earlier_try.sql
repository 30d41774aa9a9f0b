SELECT seq, jobs.record
FROM tries
INNER JOIN jobs USING (seq)
WHERE
    tries.fingerprint = :fingerprint AND tries.number < :number AND tries.expires_at > :now
    AND jobs.state <> 'cancelled' AND jobs.record ->> '$.erased_at' IS NULL
ORDER BY tries.number DESC, seq DESC
LIMIT 1
