-- Without a delay the message gets its old place in the lane, not one behind all that came since.
UPDATE messages
SET
    token = NULL,
    visible_at = CASE WHEN :delay_s > 0 THEN :now + :delay_s ELSE sent_at END
WHERE seq = :seq AND token = :nonce AND visible_at > :now
