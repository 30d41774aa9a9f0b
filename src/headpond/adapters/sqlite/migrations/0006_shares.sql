-- Fair shares of a lane between teams, as domain/fairness.py says.
--
-- lanes      the virtual time of each lane
-- shares     the tag of each team that has messages ready in a lane, or whose tag is ahead of the
--            lane's virtual time; others are like new ones and are forgotten. Of equal tags the
--            lower `seq` goes first: the team that came first.
--
-- A message is ready when it has no token, whatever the clock says. Any other is hidden until
-- `visible_at`: leased under its token, or delayed under the token ''. Receiving makes those ready
-- whose time has come. A team is backlogged when it has a message ready; triggers see to that for
-- every statement that makes one ready.

ALTER TABLE messages ADD COLUMN weight REAL NOT NULL DEFAULT 1.0;

UPDATE messages SET token = '' WHERE token IS NULL;

DROP INDEX messages_of_lane;

CREATE INDEX messages_ready ON messages (lane, team, seq) WHERE token IS NULL;

CREATE INDEX messages_hidden ON messages (lane, visible_at) WHERE token IS NOT NULL;

CREATE TABLE lanes (lane TEXT PRIMARY KEY, virtual_time REAL NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE shares (
    seq INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    team TEXT NOT NULL,
    tag REAL NOT NULL,
    backlogged INTEGER NOT NULL,
    UNIQUE (lane, team)
) STRICT;

CREATE INDEX shares_in_turn ON shares (lane, backlogged, tag);

CREATE TRIGGER sent_ready AFTER INSERT ON messages WHEN new.token IS NULL
BEGIN
    INSERT INTO shares (lane, team, tag, backlogged)
    VALUES (
        new.lane,
        new.team,
        coalesce((SELECT virtual_time FROM lanes WHERE lane = new.lane), 0.0),
        1
    )
    ON CONFLICT (lane, team) DO UPDATE
    SET tag = max(tag, excluded.tag), backlogged = 1
    WHERE NOT backlogged;
END;

CREATE TRIGGER made_ready AFTER UPDATE OF token ON messages WHEN new.token IS NULL
BEGIN
    INSERT INTO shares (lane, team, tag, backlogged)
    VALUES (
        new.lane,
        new.team,
        coalesce((SELECT virtual_time FROM lanes WHERE lane = new.lane), 0.0),
        1
    )
    ON CONFLICT (lane, team) DO UPDATE
    SET tag = max(tag, excluded.tag), backlogged = 1
    WHERE NOT backlogged;
END;
