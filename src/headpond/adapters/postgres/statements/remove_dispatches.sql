DELETE FROM webhook_dispatches WHERE endpoint = $1
