SELECT report FROM workers WHERE pool = ? ORDER BY reported_at DESC
