SELECT team, tag FROM shares WHERE lane = ? AND backlogged = 1 ORDER BY tag, seq
