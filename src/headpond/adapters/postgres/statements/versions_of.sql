SELECT id, version FROM jobs WHERE id = ANY ($1::text[])
