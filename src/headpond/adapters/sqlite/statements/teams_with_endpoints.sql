SELECT json_each.value
FROM json_each(?)
WHERE EXISTS (SELECT 1 FROM webhook_endpoints WHERE webhook_endpoints.team = json_each.value)
