SELECT record FROM webhook_dispatches WHERE endpoint = :endpoint AND event = :event
