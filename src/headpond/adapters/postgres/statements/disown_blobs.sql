WITH unnamed AS (
    SELECT given.name
    FROM unnest($1::text[]) AS given (name)
    WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.blob = given.name)
),

disowned AS (INSERT INTO disowned_blobs (name) SELECT name FROM unnamed ON CONFLICT DO NOTHING)

SELECT name FROM unnamed
