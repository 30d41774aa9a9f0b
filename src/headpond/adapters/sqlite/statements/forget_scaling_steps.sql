DELETE FROM scaling_steps WHERE at < ?
