DELETE FROM answers WHERE seq IN (SELECT seq FROM answers ORDER BY seq LIMIT ?)
