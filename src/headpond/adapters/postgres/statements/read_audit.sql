SELECT jobs.seq, finished_at, record, requests.body, responses.body
FROM jobs
LEFT JOIN requests ON $7::boolean AND requests.seq = jobs.seq
LEFT JOIN responses ON $7::boolean AND responses.seq = jobs.seq
WHERE
    finished_at IS NOT NULL
    AND (finished_at, jobs.seq) > ($1::double precision, $2::bigint)
    AND ($3::text IS NULL OR team = $3)
    AND ($4::text IS NULL OR model = $4)
    AND ($5::double precision IS NULL OR finished_at < $5)
ORDER BY finished_at, jobs.seq
LIMIT $6
