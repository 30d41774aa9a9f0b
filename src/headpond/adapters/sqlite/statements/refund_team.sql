UPDATE shares SET tag = tag - ? WHERE lane = ? AND team = ?
