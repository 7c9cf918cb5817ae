-- rows of the same window are joined when it is over
EXPLAIN CHANGELOG_MODE SELECT p.id, a.id FROM TABLE(TUMBLE(TABLE person, DESCRIPTOR(ts), INTERVAL '10' SECOND)) p
JOIN TABLE(TUMBLE(TABLE auction, DESCRIPTOR(ts), INTERVAL '10' SECOND)) a ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end;
