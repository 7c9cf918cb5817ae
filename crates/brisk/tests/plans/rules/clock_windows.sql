-- windows of processing time are found by the aggregation, by the clock
CREATE VIEW timed AS SELECT *, PROCTIME() AS pt FROM bid;
EXPLAIN CHANGELOG_MODE SELECT auction, COUNT(*), window_start FROM TABLE(TUMBLE(TABLE timed, DESCRIPTOR(pt), INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end;
