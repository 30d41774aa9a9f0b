WITH touched AS (UPDATE blobs SET written_at = $4 WHERE id = $1 RETURNING id)

INSERT INTO blob_pieces (blob, first_byte, data) SELECT id, $2, $3 FROM touched RETURNING blob
