-- Nothing if somebody else is at it. The table keeps its pages, since to cut them off would lock it.
VACUUM (SKIP_LOCKED, TRUNCATE FALSE) messages
