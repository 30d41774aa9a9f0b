SELECT record FROM scaling_steps WHERE pool = ? ORDER BY at DESC, seq DESC LIMIT ?
