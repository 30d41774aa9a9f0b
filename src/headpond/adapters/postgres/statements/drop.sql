-- As ack, and their teams are not charged for them.
WITH gone AS (
    DELETE FROM messages
    USING unnest($2::bigint[], $3::text[]) AS given (seq, token)
    WHERE messages.seq = given.seq AND messages.token = given.token AND messages.visible_at > $1
    RETURNING messages.lane, messages.team, messages.charge
),

refunds AS (SELECT lane, team, sum(charge) AS charge FROM gone GROUP BY lane, team)

UPDATE shares SET tag = shares.tag - refunds.charge
FROM refunds
WHERE shares.lane = refunds.lane AND shares.team = refunds.team
