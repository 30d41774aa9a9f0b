DELETE FROM scaling_steps WHERE at < $1 RETURNING seq
