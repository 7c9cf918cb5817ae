-- a grouping by start and end of a window gives each window once
EXPLAIN CHANGELOG_MODE SELECT auction, window_start, window_end, COUNT(*)
FROM TABLE(HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end;
