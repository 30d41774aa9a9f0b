SELECT given.name
FROM unnest($1::text[]) AS given (name)
WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.blob = given.name)
