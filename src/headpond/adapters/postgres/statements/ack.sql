DELETE FROM messages
USING unnest($2::bigint[], $3::text[]) AS given (seq, token)
WHERE messages.seq = given.seq AND messages.token = given.token AND messages.visible_at > $1
