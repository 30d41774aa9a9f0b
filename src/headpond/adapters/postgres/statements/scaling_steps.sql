SELECT record FROM scaling_steps WHERE pool = $1 ORDER BY at DESC, seq DESC LIMIT $2
