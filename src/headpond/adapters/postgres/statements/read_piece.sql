-- The piece that holds the byte, from that byte on.
SELECT substring(data FROM ($2::bigint - first_byte)::integer + 1)
FROM blob_pieces
WHERE blob = $1 AND first_byte <= $2
ORDER BY blob DESC, first_byte DESC
LIMIT 1
