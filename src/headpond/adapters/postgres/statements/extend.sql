UPDATE messages SET visible_at = $1::double precision + $2::double precision
FROM unnest($3::bigint[], $4::text[]) WITH ORDINALITY AS given (seq, token, place)
WHERE messages.seq = given.seq AND messages.token = given.token AND messages.visible_at > $1
RETURNING given.place
