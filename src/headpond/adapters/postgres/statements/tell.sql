SELECT pg_notify(given.channel, given.words) FROM unnest($1::text[], $2::text[]) AS given (channel, words)
