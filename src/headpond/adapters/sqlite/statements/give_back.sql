UPDATE messages
SET token = CASE WHEN :delay_s > 0 THEN '' END, visible_at = :now + :delay_s
WHERE seq = :seq
