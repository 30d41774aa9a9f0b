SELECT seq, died_at, record
FROM jobs
WHERE
    died_at IS NOT NULL
    AND (died_at, seq) > ($1::double precision, $2::bigint)
    AND ($3::text IS NULL OR team = $3)
    AND ($4::text IS NULL OR model = $4)
    AND ($5::text IS NULL OR record #>> '{error,code}' = $5)
    AND ($6::double precision IS NULL OR died_at < $6)
ORDER BY died_at, seq
LIMIT $7
