INSERT INTO responses (seq, body) SELECT seq, ? FROM jobs WHERE id = ?
