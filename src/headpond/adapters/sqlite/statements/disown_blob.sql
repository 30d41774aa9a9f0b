INSERT OR IGNORE INTO disowned_blobs (name) VALUES (?)
