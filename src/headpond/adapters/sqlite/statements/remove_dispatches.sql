DELETE FROM webhook_dispatches WHERE endpoint = ?
