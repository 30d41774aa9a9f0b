-- A team like this is like a new one: it would begin at the lane's virtual time.
DELETE FROM shares
WHERE
    lane = :lane AND backlogged = 0
    AND tag <= (SELECT virtual_time FROM lanes WHERE lane = :lane)
