-- q11: bids of each user in each of their sessions (10 s gap)
SELECT bidder, COUNT(*), SESSION_START(ts, INTERVAL '10' SECOND), SESSION_END(ts, INTERVAL '10' SECOND)
FROM bid GROUP BY bidder, SESSION(ts, INTERVAL '10' SECOND);
