SELECT record FROM webhook_dispatches WHERE endpoint = $1 AND event = $2
