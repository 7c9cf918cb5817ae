-- a table whose primary key tells rows apart by other columns than the query gets the last row of each
CREATE TABLE per_channel (channel STRING, bids BIGINT, PRIMARY KEY (channel) NOT ENFORCED) WITH ('connector' = 'blackhole');
EXPLAIN CHANGELOG_MODE INSERT INTO per_channel SELECT MAX(channel), COUNT(*) FROM bid GROUP BY bidder;
