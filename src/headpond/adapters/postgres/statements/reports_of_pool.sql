SELECT report FROM workers WHERE pool = $1 ORDER BY pool DESC, reported_at DESC
