SELECT record FROM webhook_dispatches WHERE endpoint = ? AND event = ?
